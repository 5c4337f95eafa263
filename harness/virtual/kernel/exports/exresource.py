"""Locks with shared owners: ERESOURCE, push locks, rundown protection.

Sources: Microsoft, wdm.h and ntifs.h pages of each routine; structures of build 18362; *Bug Check 0xE3:
RESOURCE_NOT_OWNED*.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised, Hung
from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.callrules import report_with_apcs
from harness.virtual.kernel.execution import Execution
from harness.virtual.kernel.exports.irql import with_due_interrupts
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.resources import Resource
from harness.virtual.kernel.system import System
from harness.virtual.windows.irql import APC_LEVEL

__all__: list[str] = []

_RESOURCE_SIZE: Final = 0x68
_RESOURCE_NOT_OWNED: Final = 0xE3
_LOCKED: Final = 0x1
_SHARER: Final = 0x10
"""Of a push lock: bit 0 says that it is held, the count of those that share it begins at bit 4."""
_RUNDOWN_ACTIVE: Final = 0x1
_RUNDOWN_REFERENCE: Final = 0x2


def _holders(system: System, lock: int) -> Iterable[Execution]:
    return system.locks.holders(lock)


# ERESOURCE


@export("ExInitializeResourceLite", 1)
def ex_initialize_resource_lite(system: System, resource: int) -> int:
    system.memory.store(resource, bytes(_RESOURCE_SIZE))
    system.resources[resource] = Resource()
    system.belongings.take(Belonging.RESOURCE, resource, system.call_site())
    return 0


@export("ExReinitializeResourceLite", 1)
def ex_reinitialize_resource_lite(system: System, resource: int) -> int:
    return ex_initialize_resource_lite(system, resource)


@export("ExDeleteResourceLite", 1)
def ex_delete_resource_lite(system: System, resource: int) -> int:
    system.memory.u64(resource)
    system.resources.pop(resource, None)
    system.belongings.give_back(Belonging.RESOURCE, resource)
    return 0


def _acquire(system: System, resource: int, *, exclusive: bool, wait: bool, starve: bool = False) -> int:
    """TRUE, or FALSE where it is held and ``wait`` is False."""
    system.memory.u64(resource)
    execution, thread, site = system.current, system.current_thread(), system.call_site()
    place = system.caller() if site is None else site.address
    held_off = execution is not None and execution.in_critical_region
    if system.cpu.irql < APC_LEVEL and not held_off:
        report_with_apcs(system)
    state = system.resources.setdefault(resource, Resource())

    def take() -> int | None:
        if not state.can(thread, exclusive=exclusive, starve=starve):
            return None
        state.take(thread, exclusive=exclusive)
        if exclusive:
            state.waiting_exclusive.discard(thread)
        system.locks.taken(resource, execution, place)
        return 1

    if not wait:
        return take() or 0
    if exclusive and thread in state.shared and state.owner != thread:
        raise Hung(f"waits for the ERESOURCE at 0x{resource:016x} exclusively, which it shares already")
    if exclusive and not state.can(thread, exclusive=True, starve=False):
        state.waiting_exclusive.add(thread)
    kind = "exclusively" if exclusive else "shared"
    what = f"waits for the ERESOURCE at 0x{resource:016x} {kind}"
    return system.waits.until(take, (resource,), what, holders=lambda: _holders(system, resource))


@export("ExAcquireResourceExclusiveLite", 2)
def ex_acquire_resource_exclusive_lite(system: System, resource: int, wait: int) -> int:
    return _acquire(system, resource, exclusive=True, wait=bool(wait & 0xFF))


@export("ExAcquireResourceSharedLite", "ExAcquireSharedWaitForExclusive", 2)
def ex_acquire_resource_shared_lite(system: System, resource: int, wait: int) -> int:
    return _acquire(system, resource, exclusive=False, wait=bool(wait & 0xFF))


@export("ExAcquireSharedStarveExclusive", 2)
def ex_acquire_shared_starve_exclusive(system: System, resource: int, wait: int) -> int:
    return _acquire(system, resource, exclusive=False, wait=bool(wait & 0xFF), starve=True)


@export("ExEnterCriticalRegionAndAcquireResourceExclusive", 1)
def ex_enter_critical_region_and_acquire_resource_exclusive(system: System, resource: int) -> int:
    system.enter_region(guarded=False)
    return _acquire(system, resource, exclusive=True, wait=True)


@export("ExEnterCriticalRegionAndAcquireResourceShared", 1)
def ex_enter_critical_region_and_acquire_resource_shared(system: System, resource: int) -> int:
    system.enter_region(guarded=False)
    return _acquire(system, resource, exclusive=False, wait=True)


@export("ExReleaseResourceForThreadLite", 2)
def ex_release_resource_for_thread_lite(system: System, resource: int, thread: int) -> None:
    """Of one that the thread does not have: bug check 0xE3."""
    system.memory.u64(resource)
    state = system.resources.setdefault(resource, Resource())
    if not state.release(thread):
        raise BugcheckRaised(_RESOURCE_NOT_OWNED, resource, thread)
    system.locks.given_back(resource, system.current)
    system.waits.signalled(resource)


@export("ExReleaseResourceLite", 1)
def ex_release_resource_lite(system: System, resource: int) -> None:
    ex_release_resource_for_thread_lite(system, resource, system.current_thread())


@export("ExReleaseResourceAndLeaveCriticalRegion", 1)
def ex_release_resource_and_leave_critical_region(system: System, resource: int) -> int:
    ex_release_resource_lite(system, resource)
    system.leave_region(guarded=False)
    return with_due_interrupts(system, 0)


@export("ExConvertExclusiveToSharedLite", 1)
def ex_convert_exclusive_to_shared_lite(system: System, resource: int) -> None:
    system.memory.u64(resource)
    state = system.resources.setdefault(resource, Resource())
    if not state.convert(system.current_thread()):
        raise BugcheckRaised(_RESOURCE_NOT_OWNED, resource, system.current_thread())
    system.waits.signalled(resource)


@export("ExIsResourceAcquiredExclusiveLite", 1)
def ex_is_resource_acquired_exclusive_lite(system: System, resource: int) -> int:
    state = system.resources.get(resource)
    return int(state is not None and state.owner == system.current_thread())


@export("ExIsResourceAcquiredSharedLite", 1)
def ex_is_resource_acquired_shared_lite(system: System, resource: int) -> int:
    """How often the thread has it, in either way."""
    state = system.resources.get(resource)
    return 0 if state is None else state.count(system.current_thread())


# Push locks


@export("ExInitializePushLock", 1)
def ex_initialize_push_lock(system: System, lock: int) -> None:
    system.memory.put_u64(lock, 0)
    system.locks.forget(lock)


def _acquire_push(system: System, lock: int, *, exclusive: bool) -> int:
    execution, place = system.current, system.caller()

    def take() -> int | None:
        value = system.memory.u64(lock)
        if value and (exclusive or value == _LOCKED):
            return None
        system.memory.put_u64(lock, _LOCKED if exclusive else (value | _LOCKED) + _SHARER)
        system.locks.taken(lock, execution, place)
        return 0

    what = f"waits for the push lock at 0x{lock:016x}"
    if exclusive:
        system.locks.demand_another(lock, execution, what)
    return system.waits.until(take, (lock,), what, holders=lambda: _holders(system, lock))


@export("ExfAcquirePushLockExclusive", 1)
def exf_acquire_push_lock_exclusive(system: System, lock: int) -> int:
    return _acquire_push(system, lock, exclusive=True)


@export("ExfAcquirePushLockShared", 1)
def exf_acquire_push_lock_shared(system: System, lock: int) -> int:
    return _acquire_push(system, lock, exclusive=False)


@export("ExAcquirePushLockExclusiveEx", 2)
def ex_acquire_push_lock_exclusive_ex(system: System, lock: int, _flags: int) -> int:
    return _acquire_push(system, lock, exclusive=True)


@export("ExAcquirePushLockSharedEx", 2)
def ex_acquire_push_lock_shared_ex(system: System, lock: int, _flags: int) -> int:
    return _acquire_push(system, lock, exclusive=False)


@export("ExReleasePushLockExclusiveEx", "ExReleasePushLockSharedEx", "ExReleasePushLockEx", 2)
def ex_release_push_lock_ex(system: System, lock: int, _flags: int) -> None:
    exf_release_push_lock(system, lock)


@export("ExfReleasePushLock", "ExfReleasePushLockExclusive", "ExfReleasePushLockShared", 1)
def exf_release_push_lock(system: System, lock: int) -> None:
    value = system.memory.u64(lock)
    shared = value >> 4
    system.memory.put_u64(lock, value - _SHARER if shared > 1 else 0)
    system.locks.given_back(lock, system.current)
    system.waits.signalled(lock)


# Rundown protection


@export("ExInitializeRundownProtection", "ExReInitializeRundownProtection", 1)
def ex_initialize_rundown_protection(system: System, reference: int) -> None:
    system.memory.put_u64(reference, 0)


@export("ExAcquireRundownProtectionEx", 2)
def ex_acquire_rundown_protection_ex(system: System, reference: int, count: int) -> int:
    value = system.memory.u64(reference)
    if value & _RUNDOWN_ACTIVE:
        return 0
    system.memory.put_u64(reference, value + (count & 0xFFFF_FFFF) * _RUNDOWN_REFERENCE)
    system.locks.taken(reference, system.current, system.caller())
    return 1


@export("ExAcquireRundownProtection", 1)
def ex_acquire_rundown_protection(system: System, reference: int) -> int:
    return ex_acquire_rundown_protection_ex(system, reference, 1)


@export("ExReleaseRundownProtectionEx", 2)
def ex_release_rundown_protection_ex(system: System, reference: int, count: int) -> None:
    value = system.memory.u64(reference)
    system.memory.put_u64(reference, value - (count & 0xFFFF_FFFF) * _RUNDOWN_REFERENCE)
    system.locks.given_back(reference, system.current)
    system.waits.signalled(reference)


@export("ExReleaseRundownProtection", 1)
def ex_release_rundown_protection(system: System, reference: int) -> None:
    ex_release_rundown_protection_ex(system, reference, 1)


@export("ExWaitForRundownProtectionRelease", 1)
def ex_wait_for_rundown_protection_release(system: System, reference: int) -> int:
    """From now on nobody gets the protection; returns when the last one has given it back."""
    system.memory.put_u64(reference, system.memory.u64(reference) | _RUNDOWN_ACTIVE)

    def take() -> int | None:
        return 0 if system.memory.u64(reference) == _RUNDOWN_ACTIVE else None

    what = f"waits for the rundown protection at 0x{reference:016x} to be released"
    return system.waits.until(take, (reference,), what, holders=lambda: _holders(system, reference))


@export("ExRundownCompleted", 1)
def ex_rundown_completed(system: System, reference: int) -> None:
    system.memory.put_u64(reference, _RUNDOWN_ACTIVE)
