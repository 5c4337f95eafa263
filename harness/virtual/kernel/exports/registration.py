"""What the registrations of callbacks share: where a routine has to lie, and what a removal waits for.

Sources: Microsoft, *PsSetCreateProcessNotifyRoutineEx*, *ObRegisterCallbacks*: STATUS_ACCESS_DENIED where the
image was not linked with /INTEGRITYCHECK.
"""

from __future__ import annotations

from collections.abc import Collection

from harness.virtual.cpu.traps import Hung
from harness.virtual.kernel.execution import CallbackKey
from harness.virtual.kernel.structures.modules import ENTRY_FLAGS, INTEGRITY_FORCED
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_SUCCESS

__all__ = ["await_calls", "has_forced_integrity", "report_registration"]


def has_forced_integrity(system: System, routine: int) -> bool:
    """The routine lies in an image that was linked with /INTEGRITYCHECK."""
    driver = system.module_at(routine)
    if driver is None:
        return False
    return bool(system.memory.u32(driver.loader_entry + ENTRY_FLAGS) & INTEGRITY_FORCED)


def report_registration(system: System, group: str, routine: int, status: int) -> None:
    """A driver asked for a callback; one that is refused breaks a standing rule.

    :param routine: the callback, or what else tells this registration from others.
    """
    site = system.call_site()
    if site is not None:
        place = system.place(site.address)
        system.broken_rules.registered(group, system.place(routine), status, site, place)


def await_calls(system: System, group: str, routines: Collection[int]) -> int:
    """STATUS_SUCCESS, once every call of these callbacks that is running has returned.

    :raises Hung: one of them asks.
    """
    keys = [CallbackKey(group, routine) for routine in routines]
    running = tuple(found for found in system.executions if found.callback in keys)
    if system.current in running:
        _tell_own_removal(system, group)
        raise Hung(f"removes its {group} callback from inside it, which waits for it to return")

    def attempt() -> int | None:
        return STATUS_SUCCESS if all(found.ended for found in running) else None

    what = f"waits for its {group} callback to return"
    return system.waits.until(
        attempt, running, what, holders=lambda: [f for f in running if not f.ended], held="that is"
    )


def _tell_own_removal(system: System, group: str) -> None:
    site = system.call_site()
    if site is not None:
        place = system.place(site.address)
        message = f"{site.driver} removes its {group} callback from inside it, by {site.routine} at {place}"
        system.broken_rules.add("CallbackRemovesItself", site.driver, place, message)
