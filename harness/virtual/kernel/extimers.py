"""EX_TIMERs: timers that the kernel allocates, each with the driver's routine that is called when it expires.

Each is a KTIMER, with the KDPC behind it that it queues. Source: Microsoft, *Deleting a System-Allocated
Timer Object*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.virtual.cpu.traps import MemoryFault
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.deferred import KDpc
from harness.virtual.kernel.execution import DPC
from harness.virtual.windows.irql import DISPATCH_LEVEL

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["ExTimers"]

MAX_TIMERS: Final = 0x1000
"""That exist at a time; allocating further ones fails."""
_DPC: Final = 0x40
"""Where the KDPC lies, behind the KTIMER."""


@dataclass(slots=True)
class _ExTimer:
    routine: int
    """0: there is none."""
    context: int
    running: bool = False
    """Its routine has not returned."""
    disabled: bool = False
    """It is to be deleted as soon as it is idle."""
    deleted_routine: int = 0
    """Called then; 0: nobody is."""
    deleted_context: int = 0


class ExTimers:
    """All that are allocated, by their address."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._timers: dict[int, _ExTimer] = {}

    def allocate(self, routine: int, context: int) -> int:
        """Room for a timer that is not set; 0 where there are too many."""
        if len(self._timers) >= MAX_TIMERS:
            return 0
        timer = self._system.heap.allocate(_DPC + KDpc.SIZE)
        self._timers[timer] = _ExTimer(routine, context)
        return timer

    def set(self, timer: int, delay: int, period: int) -> bool:
        """Whether it was set already; times in units of 100 ns."""
        if self._known(timer).disabled:
            return False
        return self._system.timers.set(timer, delay, period, timer + _DPC)

    def cancel(self, timer: int) -> bool:
        """Whether it was set."""
        return not self._known(timer).disabled and self._system.timers.cancel(timer)

    def disable(self, timer: int, deleted: tuple[int, int], *, cancel: bool) -> bool:
        """It can be set no more, and is deleted as soon as it is idle; whether it was set and is cancelled.

        :param deleted: the routine that is called then, 0 for none, and its context.
        """
        known, timers = self._known(timer), self._system.timers
        known.disabled = True
        known.deleted_routine, known.deleted_context = deleted
        if cancel:
            return timers.cancel(timer)
        timers.let_expire_once(timer)
        return False

    def is_disabled(self, timer: int) -> bool:
        """It was told to be deleted already."""
        return self._known(timer).disabled

    def is_idle(self, timer: int) -> bool:
        """Neither is it set, nor is its routine queued or running."""
        system = self._system
        queued = system.memory.u64(timer + _DPC + KDpc.QUEUED) != 0
        return not (self._known(timer).running or queued or timer in system.timers.running())

    def exists(self, timer: int) -> bool:
        """It is not deleted yet."""
        return timer in self._timers

    def of_dpc(self, dpc: int) -> int | None:
        """The timer that queues this KDPC."""
        return dpc - _DPC if dpc - _DPC in self._timers else None

    def expire(self, timer: int, context: ThreadContext) -> Program[None]:
        """Call its routine, and delete it where it is to be."""
        system, known = self._system, self._timers[timer]
        system.memory.put_u64(timer + _DPC + KDpc.QUEUED, 0)
        known.running = True
        if known.routine:
            arguments = (timer, known.context)
            yield from system.enter(known.routine, arguments, context, DISPATCH_LEVEL, what=DPC)
        known.running = False
        if known.disabled and self.is_idle(timer):
            yield from self.delete(timer, context)

    def delete(self, timer: int, context: ThreadContext) -> Program[None]:
        """It is gone: tell whom that is to be told."""
        system, known = self._system, self._timers[timer]
        del self._timers[timer]
        system.heap.free(timer)
        system.belongings.give_back(Belonging.EX_TIMER, timer)
        if known.deleted_routine:
            arguments = (known.deleted_context,)
            yield from system.enter(known.deleted_routine, arguments, context, DISPATCH_LEVEL, what=DPC)
        system.waits.signalled(timer)

    def _known(self, timer: int) -> _ExTimer:
        known = self._timers.get(timer)
        if known is None:
            raise MemoryFault(timer, "read", present=False)
        return known
