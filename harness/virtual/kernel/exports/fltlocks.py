"""The filter manager's locks and pool, and whose operation it is.

Normal kernel APCs are kept off while a lock is held. Sources: Microsoft, *FltInitializePushLock*,
*FltAcquirePushLockExclusiveEx* and their relatives, *FltAcquireResourceExclusive*, *FltReleaseResource*,
*FltAllocatePoolAlignedWithTag*, *FltGetRequestorProcess* (fltkernel.h).
"""

from __future__ import annotations

from typing import Final

from harness.virtual.kernel.exports.ex import ex_allocate_pool_with_tag, ex_free_pool_with_tag
from harness.virtual.kernel.exports.exresource import (
    ex_enter_critical_region_and_acquire_resource_exclusive,
    ex_enter_critical_region_and_acquire_resource_shared,
    ex_initialize_push_lock,
    ex_release_resource_and_leave_critical_region,
    exf_acquire_push_lock_exclusive,
    exf_acquire_push_lock_shared,
    exf_release_push_lock,
)
from harness.virtual.kernel.exports.irql import with_due_interrupts
from harness.virtual.kernel.exports.registry import FILTER_MANAGER, export
from harness.virtual.kernel.objects import ThreadObject
from harness.virtual.kernel.system import System

__all__: list[str] = []

_THREAD: Final = 0x08
"""Offset of FLT_CALLBACK_DATA.Thread."""


@export("FltInitializePushLock", 1, module=FILTER_MANAGER)
def flt_initialize_push_lock(system: System, lock: int) -> None:
    ex_initialize_push_lock(system, lock)


@export("FltDeletePushLock", 1, module=FILTER_MANAGER)
def flt_delete_push_lock(system: System, lock: int) -> None:
    """Nothing is kept of one that nobody holds."""
    system.memory.u64(lock)


@export("FltAcquirePushLockExclusive", 1, module=FILTER_MANAGER)
def flt_acquire_push_lock_exclusive(system: System, lock: int) -> int:
    system.enter_region(guarded=False)
    return exf_acquire_push_lock_exclusive(system, lock)


@export("FltAcquirePushLockExclusiveEx", 2, module=FILTER_MANAGER)
def flt_acquire_push_lock_exclusive_ex(system: System, lock: int, _flags: int) -> int:
    return flt_acquire_push_lock_exclusive(system, lock)


@export("FltAcquirePushLockShared", 1, module=FILTER_MANAGER)
def flt_acquire_push_lock_shared(system: System, lock: int) -> int:
    system.enter_region(guarded=False)
    return exf_acquire_push_lock_shared(system, lock)


@export("FltAcquirePushLockSharedEx", 2, module=FILTER_MANAGER)
def flt_acquire_push_lock_shared_ex(system: System, lock: int, _flags: int) -> int:
    return flt_acquire_push_lock_shared(system, lock)


@export("FltReleasePushLock", 1, module=FILTER_MANAGER)
def flt_release_push_lock(system: System, lock: int) -> int:
    exf_release_push_lock(system, lock)
    system.leave_region(guarded=False)
    return with_due_interrupts(system, 0)


@export("FltReleasePushLockEx", 2, module=FILTER_MANAGER)
def flt_release_push_lock_ex(system: System, lock: int, _flags: int) -> int:
    return flt_release_push_lock(system, lock)


@export("FltAcquireResourceExclusive", 1, module=FILTER_MANAGER)
def flt_acquire_resource_exclusive(system: System, resource: int) -> int:
    return ex_enter_critical_region_and_acquire_resource_exclusive(system, resource)


@export("FltAcquireResourceShared", 1, module=FILTER_MANAGER)
def flt_acquire_resource_shared(system: System, resource: int) -> int:
    return ex_enter_critical_region_and_acquire_resource_shared(system, resource)


@export("FltReleaseResource", 1, module=FILTER_MANAGER)
def flt_release_resource(system: System, resource: int) -> int:
    return ex_release_resource_and_leave_critical_region(system, resource)


@export("FltAllocatePoolAlignedWithTag", 4, module=FILTER_MANAGER)
def flt_allocate_pool_aligned_with_tag(system: System, _instance: int, kind: int, size: int, tag: int) -> int:
    return ex_allocate_pool_with_tag(system, kind, size, tag)


@export("FltFreePoolAlignedWithTag", 3, module=FILTER_MANAGER)
def flt_free_pool_aligned_with_tag(system: System, _instance: int, block: int, tag: int) -> None:
    ex_free_pool_with_tag(system, block, tag)


@export("FltGetRequestorProcess", 1, module=FILTER_MANAGER)
def flt_get_requestor_process(system: System, data: int) -> int:
    """The EPROCESS of the operation's thread; NULL where it has none."""
    thread = system.objects.at(system.memory.u64(data + _THREAD))
    return system.objects.process(thread.pid).address if isinstance(thread, ThreadObject) else 0


@export("FltGetRequestorProcessId", 1, module=FILTER_MANAGER)
def flt_get_requestor_process_id(system: System, data: int) -> int:
    thread = system.objects.at(system.memory.u64(data + _THREAD))
    return thread.pid if isinstance(thread, ThreadObject) else 0
