"""The native debugger's breakpoints, and how a target is let go past them.

A target removes a breakpoint that lies in the code bytes it reports (PC to PC+15). So before it runs on,
those are inserted again; and where one lies at the program counter itself, the instruction under it is
stepped over first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness.debuggers.native.targetmemory import REQUEST_SECONDS, TargetMemory, UnreadableMemory
from harness.kd.manipulate import Manipulate, RestoreBreakPoint, WriteBreakPoint
from harness.kd.statechange import Exception64, StateChange

__all__ = ["Breakpoints"]

REPORTED_BYTES = 16

R = TypeVar("R", bound=Manipulate)


class Breakpoints:
    """The breakpoints of one target. Every method needs it halted."""

    def __init__(self, ask: Callable[[Manipulate, float], Manipulate], memory: TargetMemory) -> None:
        self._ask = ask
        self._memory = memory
        self._handles: dict[int, int | None] = {}
        """Address → the target's handle; None = to be inserted before the target runs on."""

    def __contains__(self, address: int) -> bool:
        return self._memory.canonical(address) in self._handles

    @property
    def addresses(self) -> frozenset[int]:
        """Where they are."""
        return frozenset(self._handles)

    def set(self, address: int) -> None:
        """Insert one; raises :class:`UnreadableMemory` where the target refuses."""
        address = self._memory.canonical(address)
        if self._handles.get(address) is None:
            self._handles[address] = self._insert(address)

    def clear(self, address: int) -> None:
        """Remove one; nothing happens where there is none."""
        handle = self._handles.pop(self._memory.canonical(address), None)
        if handle is not None:
            self._ask(RestoreBreakPoint(handle=handle), REQUEST_SECONDS)

    def clear_all(self) -> None:
        """Remove all."""
        for address in list(self._handles):
            self.clear(address)

    def forget(self) -> None:
        """The target rebooted: there are none."""
        self._handles.clear()

    def reported(self, change: StateChange) -> None:
        """The target stopped and reported code bytes: what lay in them is gone."""
        if isinstance(change, Exception64):
            for address in self._handles:
                if 0 <= address - change.program_counter < REPORTED_BYTES:
                    self._handles[address] = None

    def to_step_over(self, change: StateChange) -> bool:
        """One lies at the program counter, so that its instruction must run before it is inserted again."""
        return change.program_counter in self._handles

    def insert_again(self) -> None:
        """Insert what a stop removed."""
        for address, handle in self._handles.items():
            if handle is None:
                self._handles[address] = self._insert(address)

    def _insert(self, address: int) -> int:
        reply = self._ask(WriteBreakPoint(address=address), REQUEST_SECONDS)
        assert isinstance(reply, WriteBreakPoint)
        if not reply.succeeded:
            raise UnreadableMemory(
                f"the target refuses a breakpoint at 0x{address:016x} (status 0x{reply.status:08x})"
            )
        return reply.handle
