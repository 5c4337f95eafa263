"""Timers that the kernel allocates.

Sources: Microsoft, *ExAllocateTimer*, *ExSetTimer*, *ExCancelTimer*, *ExDeleteTimer* (wdm.h), *ExXxxTimer
Routines and EX_TIMER Objects*. Each expires when it is due, whatever its flags and tolerances allow. Which
bugcheck answers arguments that exclude one another is not documented: 0xC7 here.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised, Continued
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.exports.kedpc import timer_header
from harness.virtual.kernel.exports.kewait import demand_wait, due_time
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System

__all__: list[str] = []

_HIGH_RESOLUTION, _NO_WAKE, _NOTIFICATION = 0x4, 0x8, 0x8000_0000
_TIMER_OR_DPC_INVALID: Final = 0xC7
_DELETE_CALLBACK, _DELETE_CONTEXT = 0x08, 0x10
"""Offsets in EXT_DELETE_PARAMETERS."""


@export("ExAllocateTimer", 3)
def ex_allocate_timer(system: System, routine: int, context: int, attributes: int) -> int:
    if attributes & _HIGH_RESOLUTION and attributes & _NO_WAKE:
        raise BugcheckRaised(_TIMER_OR_DPC_INVALID, 0, 0, attributes & 0xFFFF_FFFF)
    synchronization = not attributes & _NOTIFICATION
    timer = system.ex_timers.allocate(routine, context)
    if timer:
        system.memory.store(timer, timer_header(timer, synchronization=synchronization))
        system.belongings.take(Belonging.EX_TIMER, timer, system.call_site())
    return timer


@export("ExSetTimer", 4)
def ex_set_timer(system: System, timer: int, due: int, period: int, _parameters: int) -> int:
    """Negative due times are relative; absolute ones are system time. The period is in 100 ns, too."""
    return int(system.ex_timers.set(timer, due_time(system, due) - system.clock.now, period))


@export("ExCancelTimer", 2)
def ex_cancel_timer(system: System, timer: int, _parameters: int) -> int:
    return int(system.ex_timers.cancel(timer))


@export("ExDeleteTimer", 4)
def ex_delete_timer(system: System, timer: int, cancel: int, wait: int, parameters: int) -> int:
    """With Wait it returns when the timer is deleted, and its routine has returned. One that was told to be
    deleted before is left alone."""
    timers, cancels, waits = system.ex_timers, bool(cancel & 0xFF), bool(wait & 0xFF)
    if waits and not cancels:
        raise BugcheckRaised(_TIMER_OR_DPC_INVALID, 0, timer)
    if waits:
        demand_wait(system, timer, 0)
    if timers.is_disabled(timer):
        return 0
    deleted = (0, 0)
    if parameters:
        memory = system.memory
        deleted = memory.u64(parameters + _DELETE_CALLBACK), memory.u64(parameters + _DELETE_CONTEXT)
    cancelled = int(timers.disable(timer, deleted, cancel=cancels))
    if timers.is_idle(timer):
        raise Continued(_delete(system, timer, cancelled))
    if not waits:
        return cancelled

    def attempt() -> int | None:
        return None if timers.exists(timer) else cancelled

    return system.waits.until(attempt, (timer,), f"waits for the routine of the timer at 0x{timer:016x}")


def _delete(system: System, timer: int, result: int) -> Program[int]:
    yield from system.ex_timers.delete(timer, system.context)
    return result
