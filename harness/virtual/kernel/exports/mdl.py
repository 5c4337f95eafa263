"""Memory descriptor lists.

Sources: Microsoft, *IoAllocateMdl*, *MmProbeAndLockPages*, *MmMapLockedPagesSpecifyCache* (wdm.h); *Bug Check
0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION*.
"""

from __future__ import annotations

from typing import Final, NoReturn

from harness.virtual.cpu.memory import is_kernel_address
from harness.virtual.cpu.traps import BugcheckRaised, StatusRaised
from harness.virtual.kernel.chains import links_of
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.mdls import MDL, MdlFlag
from harness.virtual.kernel.structures.irp import IRP
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_ACCESS_VIOLATION

__all__: list[str] = []

_IO_READ_ACCESS: Final = 0
"""LOCK_OPERATION IoReadAccess; IoWriteAccess and IoModifyAccess write."""
_USER_MODE: Final = 1
_MAX_SIZE: Final = 0xFFFF_FFFF
_DRIVER_VERIFIER_DETECTED_VIOLATION: Final = 0xC4
_MAPS_UNLOCKED: Final = 0xB3
_UNLOCKS_UNLOCKED: Final = 0x7C
_UNLOCKS_NONPAGED: Final = 0x7D


@export("IoAllocateMdl", 5)
def io_allocate_mdl(system: System, address: int, size: int, secondary: int, _charge: int, irp: int) -> int:
    mdl = system.mdls.allocate(address, size & _MAX_SIZE, site=system.call_site())
    if mdl and irp:
        link = irp + IRP.offset("MdlAddress")
        if secondary & 0xFF:
            *_, link = links_of(system.memory, link, MDL.offset("Next"), "MDLs")
        system.memory.put_u64(link, mdl)
    return mdl


@export("IoFreeMdl", 1)
def io_free_mdl(system: System, mdl: int) -> None:
    system.mdls.free(mdl)


@export("MmBuildMdlForNonPagedPool", 1)
def mm_build_mdl_for_non_paged_pool(system: System, mdl: int) -> None:
    memory = system.memory
    start = memory.u64(mdl + MDL.offset("StartVa")) + memory.u32(mdl + MDL.offset("ByteOffset"))
    system.mdls.set_flags(mdl, MdlFlag.SOURCE_IS_NONPAGED_POOL)
    memory.put_u64(mdl + MDL.offset("MappedSystemVa"), start)


@export("MmProbeAndLockPages", 3)
def mm_probe_and_lock_pages(system: System, mdl: int, mode: int, operation: int) -> None:
    """Raises where the pages cannot be accessed, in user mode also where they are the system's."""
    start = system.memory.u64(mdl + MDL.offset("StartVa"))
    if mode & 0xFF == _USER_MODE and is_kernel_address(start):
        raise StatusRaised(STATUS_ACCESS_VIOLATION)
    if not system.mdls.lock(mdl, write=operation & _MAX_SIZE != _IO_READ_ACCESS):
        raise StatusRaised(STATUS_ACCESS_VIOLATION)


@export("MmUnlockPages", 1)
def mm_unlock_pages(system: System, mdl: int) -> None:
    flags = system.mdls.flags(mdl)
    if not flags & MdlFlag.PAGES_LOCKED:
        nonpaged = flags & MdlFlag.SOURCE_IS_NONPAGED_POOL
        _refuse(_UNLOCKS_NONPAGED if nonpaged else _UNLOCKS_UNLOCKED, mdl, flags)
    system.mdls.unlock(mdl)


@export("MmMapLockedPagesSpecifyCache", 6)
def mm_map_locked_pages_specify_cache(
    system: System, mdl: int, _mode: int, _cache: int, _address: int, _bugcheck: int, _priority: int
) -> int:
    """What MmGetSystemAddressForMdlSafe calls where the MDL is not mapped yet."""
    return _map(system, mdl)


@export("MmMapLockedPages", 2)
def mm_map_locked_pages(system: System, mdl: int, _mode: int) -> int:
    return _map(system, mdl)


@export("MmUnmapLockedPages", 2)
def mm_unmap_locked_pages(system: System, _address: int, mdl: int) -> None:
    system.mdls.unmap(mdl)


def _map(system: System, mdl: int) -> int:
    flags = system.mdls.flags(mdl)
    if not flags & (MdlFlag.PAGES_LOCKED | MdlFlag.SOURCE_IS_NONPAGED_POOL):
        _refuse(_MAPS_UNLOCKED, mdl, flags)
    return system.mdls.map(mdl)


def _refuse(code: int, mdl: int, flags: int) -> NoReturn:
    raise BugcheckRaised(_DRIVER_VERIFIER_DETECTED_VIOLATION, code, mdl, flags, 0)
