"""Kernel stacks: each processor's own, and more for what stands in the middle meanwhile."""

from __future__ import annotations

from typing import Final, NamedTuple

from harness.virtual.cpu.memory import Memory

__all__ = ["KERNEL_STACK_SIZE", "STACK_BASE", "KernelStacks", "Stack"]

STACK_BASE: Final = 0xFFFFFB00_00000000
_STRIDE: Final = 0x100000
KERNEL_STACK_SIZE: Final = 0x6000
"""24 KB, as on x64 Windows; one unmapped page below it catches an overflow."""


class Stack(NamedTuple):
    """One kernel stack."""

    low: int
    """Its lowest address."""
    high: int
    """The address behind it."""


class KernelStacks:
    """Hands out stacks: the processor's own while nothing stands on it, else a further one.

    :param processors: how many have one of their own.
    """

    def __init__(self, memory: Memory, processors: int) -> None:
        self._memory = memory
        self._mapped = 0
        self._used: set[Stack] = set()
        self._spare: set[Stack] = set()
        self.own = tuple(self._map() for _ in range(processors))
        """Of the processors."""

    def take(self, processor: int) -> Stack:
        """A stack for what begins on ``processor``; to be given back when that has ended."""
        stack = self.own[processor]
        if stack in self._used:
            # The lowest one, so that what came and went before does not matter.
            stack = min(self._spare, default=None) or self._map()
            self._spare.discard(stack)
        self._used.add(stack)
        return stack

    def give_back(self, stack: Stack) -> None:
        """Nothing is on it any more."""
        self._used.discard(stack)
        if stack not in self.own:
            self._spare.add(stack)

    def _map(self) -> Stack:
        low = STACK_BASE + self._mapped * _STRIDE
        self._mapped += 1
        self._memory.map(low, KERNEL_STACK_SIZE)
        return Stack(low, low + KERNEL_STACK_SIZE)
