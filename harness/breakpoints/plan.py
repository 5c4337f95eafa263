"""Which breakpoints a target has, how a processor gets past one, and what a stop means, for all processors.

Four addresses a processor fit its debug registers. Three of them are given to what is called often; a
processor passes such a breakpoint under the resume flag, and all the others go on seeing it. Everything else
is a breakpoint instruction in memory, as many as KD has slots for. To get past one of those its instruction
must be in place again for a moment, in which another processor could run past it: so for that long the fourth
register holds the address, on every processor, and the one that steps passes under the resume flag. A second
processor that reaches another breakpoint instruction meanwhile is stopped there again until the register is
free.

Nothing here talks to a target.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple

from harness.breakpoints.debugregisters import ADDRESSES, dr7
from harness.kd.status import STATUS_BREAKPOINT, STATUS_SINGLE_STEP

__all__ = ["MAX_PLANTED", "BreakpointPlan", "Meeting", "StopAt", "WayOn"]

MAX_PLANTED: Final = 32
"""Breakpoint instructions: the slots of KD's table (kdapi.c of ReactOS, KdpBreakpointTable)."""
_COVER: Final = ADDRESSES - 1
"""The register that covers an address whose instruction is in place."""


class StopAt(NamedTuple):
    """An exception at which the target stopped."""

    thread: int
    """Address of the thread object; with the stack pointer it tells one call from another."""
    pc: int
    stack_pointer: int
    code: int
    """NTSTATUS."""


class Meeting(Enum):
    """What a stop means."""

    NONE = "none"
    """It is none of these breakpoints'."""
    HIT = "hit"
    AGAIN = "again"
    """A hit that was told already: its processor was kept from going on."""
    STEPPED = "stepped"
    """The processor has got past a breakpoint."""


class WayOn(NamedTuple):
    """How the processor that stopped goes on."""

    resume_flag: bool = False
    """Past the breakpoint at which it stands."""
    step: bool = False
    """For one instruction, then it stops."""


class _Step(NamedTuple):
    address: int
    stack_pointer: int


class BreakpointPlan:
    """The breakpoints of one boot; none at first."""

    def __init__(self) -> None:
        self._registers: list[int | None] = [None] * _COVER
        self._planted: set[int] = set()
        self._steps: dict[int, _Step] = {}
        self._last_covered = 0
        """Left in its register, where it is off: each change is a request to every processor. As long as
        anything is planted the register is not 0, which tells the next debugger, should this one die."""
        self._told: set[tuple[int, int, int]] = set()
        """Thread, address and stack pointer of hits that were told and are still ahead of their processor."""
        self._was_here: set[int] = set()
        """Where a breakpoint was: a processor may have hit it before it was taken away, and say so later."""
        self._way = WayOn()
        self._cleared = False

    def add(self, address: int, *, often: bool) -> bool:
        """Want a breakpoint there; False where there is no room for it, or none is wanted any more.

        :param often: it is worth a debug register.
        """
        if address in self:
            return True
        if self._cleared:
            return False
        self._told = {call for call in self._told if call[1] != address}
        if often and None in self._registers:
            self._registers[self._registers.index(None)] = address
            return True
        if len(self._planted) >= MAX_PLANTED:
            return False
        self._planted.add(address)
        self._last_covered = self._last_covered or address
        return True

    def remove(self, addresses: Iterable[int]) -> None:
        """Want none there any more."""
        for address in addresses:
            if address in self:
                self._was_here.add(address)
            self._planted.discard(address)
            self._registers = [None if held == address else held for held in self._registers]

    def clear(self) -> None:
        """Want none at all, for good: a hit that is reported later plants nothing that would stay behind."""
        self._cleared = True
        self.remove([*self._planted, *filter(None, self._registers)])

    def __contains__(self, address: object) -> bool:
        return address in self._planted or address in self._registers

    def was_at(self, address: int) -> bool:
        """One was there, and has been taken away."""
        return address in self._was_here

    @property
    def stepping(self) -> bool:
        """A processor is on its way past a planted one, and will stop once more behind it."""
        return bool(self._steps)

    @property
    def planted(self) -> frozenset[int]:
        """Where memory is to hold a breakpoint instruction when the target goes on."""
        return frozenset(self._planted - {self._covered})

    @property
    def addresses(self) -> tuple[int, ...]:
        """What DR0 to DR3 are to hold on every processor."""
        under_way = self._planted or self._steps
        return (*(held or 0 for held in self._registers), self._last_covered if under_way else 0)

    @property
    def dr7(self) -> int:
        """What DR7 is to hold on every processor."""
        return dr7([*(held is not None for held in self._registers), self._covered is not None])

    @property
    def _covered(self) -> int | None:
        return next((step.address for step in self._steps.values()), None)

    def meet(self, stop: StopAt | None) -> Meeting:
        """The target stopped; what it is to this plan. :attr:`way_on` is how its processor goes on.

        :param stop: None: for no exception.
        """
        self._way = WayOn()
        if stop is None or stop.code not in (STATUS_BREAKPOINT, STATUS_SINGLE_STEP):
            return Meeting.NONE
        if stop.code == STATUS_SINGLE_STEP and (step := self._steps.get(stop.thread)) is not None:
            if step.address == stop.pc:  # an instruction that repeats itself
                self._way = WayOn(resume_flag=True, step=True)
            else:
                del self._steps[stop.thread]
            return Meeting.STEPPED
        if stop.pc not in self and not self.was_at(stop.pc):
            return Meeting.NONE
        call = (stop.thread, stop.pc, stop.stack_pointer)
        meeting = Meeting.AGAIN if call in self._told else Meeting.HIT
        self._told.discard(call)
        self._way = self._pass(stop, call)
        return meeting

    @property
    def way_on(self) -> WayOn:
        """How the processor of the last stop goes on."""
        return self._way

    def _pass(self, stop: StopAt, call: tuple[int, int, int]) -> WayOn:
        if stop.pc not in self._planted:
            return WayOn(resume_flag=True)
        interrupted = self._steps.pop(stop.thread, None)
        if interrupted is not None:  # its instruction faulted, and will be executed again
            self._told.add((stop.thread, *interrupted))
        if self._covered not in (None, stop.pc):
            self._told.add(call)
            return WayOn()
        self._last_covered = stop.pc
        self._steps[stop.thread] = _Step(stop.pc, stop.stack_pointer)
        return WayOn(resume_flag=True, step=True)
