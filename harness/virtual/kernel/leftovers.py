"""What memory must not hold when it goes: Driver Verifier's checks of freed pool and of unloaded images.

Sources: Microsoft, *Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION*, *0xC7: TIMER_OR_DPC_INVALID*, *0xE4:
WORKER_INVALID*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.virtual.cpu.traps import BugcheckRaised

if TYPE_CHECKING:
    from harness.virtual.kernel.system import LoadedDriver, System

__all__ = ["demand_freed_pool", "demand_nothing_pending"]

_DRIVER_VERIFIER_DETECTED_VIOLATION: Final = 0xC4
_POOL_NOT_FREED: Final = 0x62
_TIMER_OR_DPC_INVALID: Final = 0xC7
_TIMER_OBJECT, _DPC_OBJECT = 0, 1
_WORKER_INVALID: Final = 0xE4
_ACTIVE_ITEM_FREED: Final = 0


def demand_nothing_pending(system: System, low: int, high: int) -> None:
    """The memory from ``low`` to before ``high`` is about to go.

    :raises BugcheckRaised: a timer that is set, a queued DPC or a queued work item lies there.
    """
    pending = (
        (_TIMER_OR_DPC_INVALID, _TIMER_OBJECT, system.timers.running()),
        (_TIMER_OR_DPC_INVALID, _DPC_OBJECT, system.dpcs.queued()),
        (_WORKER_INVALID, _ACTIVE_ITEM_FREED, system.work.waiting()),
    )
    for code, what, addresses in pending:
        for address in addresses:
            if low <= address < high:
                raise BugcheckRaised(code, what, address, low, high)


def demand_freed_pool(system: System, driver: LoadedDriver) -> None:
    """The driver has unloaded itself.

    :raises BugcheckRaised: there is pool that it allocated and did not free.
    """
    left = system.pool.leftovers(driver.module.name)
    if left:
        name = system.heap.unicode_string(driver.module.name)
        raise BugcheckRaised(_DRIVER_VERIFIER_DETECTED_VIOLATION, _POOL_NOT_FREED, name, 0, len(left))
