"""What a driver must not leave behind: what memory holds when it goes, and what is there when it is unloaded.

With Driver Verifier some of it is a bugcheck; all of it breaks a standing rule
(:mod:`harness.standingrules`), with the call that took what is left.

Sources: Microsoft, *Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION*, *0xC7: TIMER_OR_DPC_INVALID*, *0xE4:
WORKER_INVALID*.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.belongings import Belonging, CallSite
from harness.virtual.kernel.execution import SYSTEM_THREAD, WORK_ITEM, CallbackKey
from harness.virtual.kernel.operationcallbacks import OperationKey

if TYPE_CHECKING:
    from harness.virtual.kernel.loader import LoadedDriver
    from harness.virtual.kernel.system import System

__all__ = ["demand_nothing_left", "demand_nothing_pending", "report_leftovers"]

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


def demand_nothing_left(system: System, driver: LoadedDriver) -> None:
    """The driver has unloaded itself.

    :raises BugcheckRaised: there is pool that it allocated and did not free, or its image holds something
        that is pending.
    """
    module = driver.module
    left = system.pool.leftovers(module.name)
    if left:
        name = system.heap.unicode_string(module.name)
        raise BugcheckRaised(_DRIVER_VERIFIER_DETECTED_VIOLATION, _POOL_NOT_FREED, name, 0, len(left))
    demand_nothing_pending(system, module.base, module.base + module.size)


_RULES: Final[Mapping[Belonging, str]] = {
    Belonging.CALLBACK: "UnloadCallbacks",
    Belonging.BUGCHECK_CALLBACK: "UnloadCallbacks",
    Belonging.REFERENCE: "UnloadReferences",
    Belonging.POOL: "PoolTracking",
    Belonging.HANDLE: "UnloadHandles",
    Belonging.IO_WORK_ITEM: "UnloadWorkItems",
    Belonging.QUEUED_WORK: "UnloadWorkItems",
    Belonging.TIMER: "UnloadTimers",
    Belonging.EX_TIMER: "UnloadTimers",
    Belonging.DPC: "UnloadDpcs",
    Belonging.THREAD: "UnloadThreads",
    Belonging.DEVICE: "UnloadDevices",
    Belonging.SYMBOLIC_LINK: "UnloadSymbolicLinks",
    Belonging.RESOURCE: "UnloadResources",
    Belonging.LOOKASIDE_LIST: "UnloadLookasideLists",
    Belonging.PROVIDER: "UnloadProviders",
    Belonging.MINIFILTER: "UnloadFilters",
    Belonging.CONTEXT: "UnloadContexts",
    Belonging.FILTER_OBJECT: "UnloadFilterObjects",
    Belonging.FILE_NAME: "UnloadFileNames",
}


def report_leftovers(system: System, driver: LoadedDriver, *, failed: bool) -> None:
    """The driver is about to be unmapped: what it has left behind breaks the rules, a line for each call that
    took it.

    :param failed: its DriverEntry did, so that its DriverUnload was not called.
    """
    name = driver.module.name
    when = "when its DriverEntry failed" if failed else "when it was unloaded"
    for (kind, routine, site), count in Counter(_leftovers(system, driver)).items():
        place = system.place(site.address)
        code = "" if routine is None else f", the routine at {system.place(routine)}"
        origin = f"{code}, from {site.routine} at {place}"
        message = f"{name} left behind {when}: {kind.counted(count)}{origin}"
        system.broken_rules.add(_RULES[kind], name, origin, message)
    system.belongings.forget(name)


def report_kept_file(system: System, file: int) -> None:
    """A driver cannot be unloaded: a reference keeps a file of its device open, whose handle is closed."""
    for site in system.belongings.taken(Belonging.REFERENCE, file):
        origin = f", from {site.routine} at {system.place(site.address)}"
        message = f"{site.driver} cannot be unloaded: a reference keeps a file of its device open{origin}"
        system.broken_rules.add(_RULES[Belonging.REFERENCE], site.driver, origin, message)


def _leftovers(system: System, driver: LoadedDriver) -> Iterator[tuple[Belonging, int | None, CallSite]]:
    """Each with the routine of the driver that it is there to call, if it has one that is known."""
    name = driver.module.name
    there = _what_is_there(system)
    for kind, key, site in system.belongings.of(name):
        if kind not in there or key in there[kind]:
            yield kind, _routine_of(kind, key), site
    for block in system.pool.leftovers(name):
        assert block.site is not None
        yield Belonging.POOL, None, block.site


def _routine_of(kind: Belonging, key: Hashable) -> int | None:
    if kind in (Belonging.THREAD, Belonging.QUEUED_WORK):
        assert isinstance(key, int)
        return key
    return key.routine if isinstance(key, CallbackKey | OperationKey) else None


def _what_is_there(system: System) -> Mapping[Belonging, frozenset[Hashable]]:
    """Of what ends by itself what has not ended; of the rest everything that was not given back is there."""
    running = {
        what: frozenset(found.routine for found in system.executions if found.what == what)
        for what in (SYSTEM_THREAD, WORK_ITEM)
    }
    return {
        Belonging.TIMER: frozenset(system.timers.running()),
        Belonging.DPC: frozenset(system.dpcs.queued()),
        Belonging.THREAD: running[SYSTEM_THREAD],
        Belonging.QUEUED_WORK: running[WORK_ITEM] | frozenset(system.work.routines()),
    }
