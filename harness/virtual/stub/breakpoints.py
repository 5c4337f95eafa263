"""The target's breakpoint table: 32 slots, an ``int3`` planted in memory for each (KdpBreakpointTable)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.virtual.interfaces import KernelMemory

__all__ = ["MAX_BREAKPOINTS", "BreakpointTable"]

MAX_BREAKPOINTS: Final = 32
_INT3: Final = b"\xcc"


class BreakpointTable:
    """What WriteBreakPoint and RestoreBreakPoint work on. A handle is a slot's index + 1."""

    def __init__(self, memory: KernelMemory) -> None:
        self._memory = memory
        self._slots: list[tuple[int, bytes] | None] = [None] * MAX_BREAKPOINTS

    def insert(self, address: int) -> int:
        """Plant a breakpoint; its handle, or 0 where the memory cannot be written or no slot is free.

        A second one at an address that has one already gets the same handle.
        """
        for handle, slot in enumerate(self._slots, start=1):
            if slot is not None and slot[0] == address:
                return handle
        if None not in self._slots:
            return 0
        original = self._memory.read(address, 1)
        if not original or not self._memory.write(address, _INT3):
            return 0
        index = self._slots.index(None)
        self._slots[index] = (address, original)
        return index + 1

    def remove(self, handle: int) -> bool:
        """Put the original byte back; False for a handle that holds nothing."""
        if not 1 <= handle <= MAX_BREAKPOINTS:
            return False
        slot = self._slots[handle - 1]
        if slot is None:
            return False
        address, original = slot
        self._slots[handle - 1] = None
        if self._memory.read(address, 1) == _INT3:
            self._memory.write(address, original)
        return True

    def remove_range(self, address: int, size: int) -> None:
        """Remove every breakpoint in ``size`` bytes from ``address``: the kernel does so before it reports an
        exception, with the 16 bytes of code that it sends along (ReactOS, ntoskrnl/kd64/kdapi.c)."""
        for handle, slot in enumerate(self._slots, start=1):
            if slot is not None and address <= slot[0] < address + size:
                self.remove(handle)

    def clear(self) -> None:
        """Remove all of them."""
        for handle in range(1, MAX_BREAKPOINTS + 1):
            self.remove(handle)

    @property
    def slots(self) -> tuple[int | None, ...]:
        """The address that each slot holds; None: it is free."""
        return tuple(None if slot is None else slot[0] for slot in self._slots)

    def take_over(self, slots: Sequence[int | None]) -> None:
        """Plant the breakpoints of another table, under the same handles, in this empty one. One whose memory
        is not there, or not yet, has a handle and nothing planted."""
        for index, address in enumerate(slots[:MAX_BREAKPOINTS]):
            if address is not None:
                self._slots[index] = (address, self._memory.read(address, 1))
                self._memory.write(address, _INT3)

    @property
    def addresses(self) -> tuple[int, ...]:
        """Where breakpoints are planted, by handle."""
        return tuple(slot[0] for slot in self._slots if slot is not None)
