"""Executive: pool, look-aside lists, work items, and raised exceptions.

Sources: Microsoft, *ExAllocatePoolWithTag*, *ExAllocatePool2*, *ExFreePoolWithTag*,
*ExInitializeNPagedLookasideList*, *ExQueueWorkItem* (wdm.h, ntddk.h); *Bug Check 0xC2: BAD_POOL_CALLER*.
"""

from __future__ import annotations

import struct

from harness.virtual.cpu.traps import BugcheckRaised, StatusRaised
from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.deferred import WorkItem
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.leftovers import demand_nothing_pending
from harness.virtual.kernel.system import System
from harness.virtual.windows.irql import APC_LEVEL, DISPATCH_LEVEL
from harness.virtual.windows.status import (
    STATUS_ACCESS_VIOLATION,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_BAD_POOL_CALLER = 0xC2
_WORKER_INVALID = 0xE4
_ALREADY_QUEUED = 1
_PAGED_TYPE = 0x1
_RAISE_TYPE = 0x10
_RAISE_ON_FAIL, _FAIL_NO_RAISE = 0x1, 0x2
"""EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL, EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE."""
_NO_TAG = b"None"
_POOL_FLAG_UNINITIALIZED = 0x2
_POOL_FLAG_RAISE_ON_FAILURE = 0x20
_POOL_FLAG_PAGED = 0x100
_NONPAGED_NX_TYPE = 0x200
_LOOKASIDE_TYPE = 0x24
"""Offset of Type, Tag, Size, Allocate and Free in GENERAL_LOOKASIDE."""
_WORK_ROUTINE, _WORK_PARAMETER = 0x10, 0x18


def _tag(value: int) -> bytes:
    return (value & 0xFFFF_FFFF).to_bytes(4, "little")


def _allocate(
    system: System, size: int, tag: bytes, *, paged: bool, raises: bool, fill: int, kind: int
) -> int:
    limit = APC_LEVEL if paged else DISPATCH_LEVEL
    if system.cpu.irql > limit:
        raise BugcheckRaised(_BAD_POOL_CALLER, 0x8, system.cpu.irql, kind, size)
    address = system.pool.allocate(size, tag, paged=paged, site=system.call_site(), fill=fill)
    if address == 0 and raises:
        raise StatusRaised(STATUS_INSUFFICIENT_RESOURCES)
    return address


@export("ExAllocatePoolWithTag", 3)
def ex_allocate_pool_with_tag(system: System, kind: int, size: int, tag: int) -> int:
    kind &= 0xFFFF_FFFF
    return _allocate(
        system,
        size,
        _tag(tag),
        paged=bool(kind & _PAGED_TYPE),
        raises=bool(kind & _RAISE_TYPE),
        fill=0xCD,  # not zero: uninitialised pool holds whatever was there
        kind=kind,
    )


@export("ExAllocatePool", 2)
def ex_allocate_pool(system: System, kind: int, size: int) -> int:
    return ex_allocate_pool_with_tag(system, kind, size, int.from_bytes(_NO_TAG, "little"))


@export("ExAllocatePoolWithQuotaTag", 3)
def ex_allocate_pool_with_quota_tag(system: System, kind: int, size: int, tag: int) -> int:
    """Raises on failure unless POOL_QUOTA_FAIL_INSTEAD_OF_RAISE (8) is set."""
    raises = 0 if kind & 0x8 else _RAISE_TYPE
    return ex_allocate_pool_with_tag(system, kind & ~0x8 | raises, size, tag)


@export("ExAllocatePoolZero", 3)
def ex_allocate_pool_zero(system: System, kind: int, size: int, tag: int) -> int:
    address = ex_allocate_pool_with_tag(system, kind, size, tag)
    if address:
        system.memory.store(address, bytes(size))
    return address


@export("ExAllocatePool2", 3)
def ex_allocate_pool2(system: System, flags: int, size: int, tag: int) -> int:
    """Zeroed unless POOL_FLAG_UNINITIALIZED; NULL on failure unless POOL_FLAG_RAISE_ON_FAILURE."""
    if size == 0 or tag & 0xFFFF_FFFF == 0:
        return 0
    return _allocate(
        system,
        size,
        _tag(tag),
        paged=bool(flags & _POOL_FLAG_PAGED),
        raises=bool(flags & _POOL_FLAG_RAISE_ON_FAILURE),
        fill=0xCD if flags & _POOL_FLAG_UNINITIALIZED else 0,
        kind=flags & 0xFFFF_FFFF,
    )


@export("ExFreePool", 1)
def ex_free_pool(system: System, address: int) -> None:
    _free(system, address, None)


@export("ExFreePoolWithTag", 2)
def ex_free_pool_with_tag(system: System, address: int, tag: int) -> None:
    _free(system, address, _tag(tag) if tag & 0xFFFF_FFFF else None)


@export("ExFreePool2", 4)
def ex_free_pool2(system: System, address: int, tag: int, _parameters: int, _count: int) -> None:
    ex_free_pool_with_tag(system, address, tag)


def _free(system: System, address: int, tag: bytes | None) -> None:
    block = system.pool.find(address)
    limit = APC_LEVEL if block is not None and block.paged else DISPATCH_LEVEL
    if system.cpu.irql > limit:
        raise BugcheckRaised(_BAD_POOL_CALLER, 0x9, system.cpu.irql, int(limit == APC_LEVEL), address)
    if block is not None and system.verifier:
        demand_nothing_pending(system, address, address + block.size)
    system.pool.free(address, tag, system.call_site())
    if block is not None:
        system.locks.forget(address, block.size)


@export("ExInitializeNPagedLookasideList", 7)
def ex_initialize_npaged_lookaside_list(
    system: System, lookaside: int, allocate: int, free: int, flags: int, size: int, tag: int, _depth: int
) -> None:
    """GENERAL_LOOKASIDE; the driver's inline pop finds it empty and calls Allocate, its push calls Free."""
    kind = _NONPAGED_NX_TYPE | flags & _RAISE_TYPE
    _initialize_lookaside(system, lookaside, (allocate, free), (kind, tag, size))


@export("ExInitializePagedLookasideList", 7)
def ex_initialize_paged_lookaside_list(
    system: System, lookaside: int, allocate: int, free: int, flags: int, size: int, tag: int, _depth: int
) -> None:
    kind = _PAGED_TYPE | flags & _RAISE_TYPE
    _initialize_lookaside(system, lookaside, (allocate, free), (kind, tag, size))


def _initialize_lookaside(
    system: System, lookaside: int, routines: tuple[int, int], entry: tuple[int, int, int]
) -> None:
    # Depth 0: a freed entry always goes back to the pool, so that a use after it faults.
    counters = bytes(_LOOKASIDE_TYPE)
    allocate = routines[0] or system.symbol("ExAllocatePoolWithTag")
    free = routines[1] or system.symbol("ExFreePool")
    what = struct.pack("<III", *(word & 0xFFFF_FFFF for word in entry))
    system.belongings.take(Belonging.LOOKASIDE_LIST, lookaside, system.call_site())
    system.memory.store(lookaside, counters + what + struct.pack("<QQ", allocate, free) + bytes(0x20))


@export("ExInitializeLookasideListEx", 8)
def ex_initialize_lookaside_list_ex(
    system: System,
    lookaside: int,
    allocate: int,
    free: int,
    pool: int,
    flags: int,
    size: int,
    tag: int,
    _depth: int,
) -> int:
    """AllocateEx and FreeEx are handed the list, too; the pool's routines take no notice of it."""
    flags &= 0xFFFF_FFFF
    if flags & ~(_RAISE_ON_FAIL | _FAIL_NO_RAISE) or flags == _RAISE_ON_FAIL | _FAIL_NO_RAISE:
        return STATUS_INVALID_PARAMETER
    kind = pool & 0xFFFF_FFFF | (_RAISE_TYPE if flags & _RAISE_ON_FAIL else 0)
    _initialize_lookaside(system, lookaside, (allocate, free), (kind, tag, size))
    return STATUS_SUCCESS


@export("ExFlushLookasideListEx", 1)
def ex_flush_lookaside_list_ex(_system: System, _lookaside: int) -> None:
    """Nothing is cached in the list."""


@export("ExDeleteNPagedLookasideList", "ExDeletePagedLookasideList", "ExDeleteLookasideListEx", 1)
def ex_delete_lookaside_list(system: System, lookaside: int) -> None:
    """Nothing is cached in the list."""
    system.belongings.give_back(Belonging.LOOKASIDE_LIST, lookaside)


@export("ExQueueWorkItem", 2)
def ex_queue_work_item(system: System, item: int, queue: int) -> None:
    if system.memory.u64(item):
        raise BugcheckRaised(_WORKER_INVALID, _ALREADY_QUEUED, item, queue & 0xFFFF_FFFF)
    routine = system.memory.u64(item + _WORK_ROUTINE)
    parameter = system.memory.u64(item + _WORK_PARAMETER)
    system.memory.put_u64(item, item)
    system.belongings.take(Belonging.QUEUED_WORK, routine, system.call_site())
    system.work.queue(WorkItem(routine, (parameter,), address=item))


@export("ExRaiseStatus", 1)
def ex_raise_status(_system: System, status: int) -> None:
    raise StatusRaised(status & 0xFFFF_FFFF)


@export("ExRaiseAccessViolation", 0)
def ex_raise_access_violation(_system: System) -> None:
    raise StatusRaised(STATUS_ACCESS_VIOLATION)


@export("ExGetPreviousMode", 0)
def ex_get_previous_mode(system: System) -> int:
    """A callback in a user process's system call sees UserMode."""
    return int(system.context.pid != 4)


@export("ExIsProcessorFeaturePresent", 1)
def ex_is_processor_feature_present(_system: System, feature: int) -> int:
    return int(feature & 0xFFFF_FFFF in (2, 3, 6, 8, 9, 10, 12))  # cmpxchg8b, mmx, sse, rdtsc, pae, sse2, nx


@export("ExUuidCreate", 1)
def ex_uuid_create(system: System, uuid: int) -> int:
    """A version 1 UUID from the clock and a counter, so that runs repeat."""
    system.uuids += 1
    time = system.clock.system_time & 0xFFFF_FFFF_FFFF_FFF
    fields = (time & 0xFFFF_FFFF, time >> 32 & 0xFFFF, 0x1000 | time >> 48)
    system.memory.store(uuid, struct.pack("<IHHQ", *fields, 0x8000 | system.uuids << 16))
    return 0
