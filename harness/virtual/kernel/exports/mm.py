"""Memory manager: addresses and what may be done with them.

Sources: Microsoft, *MmGetSystemRoutineAddress*, *MmIsAddressValid*, *ProbeForRead* (wdm.h, ntddk.h).
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.traps import StatusRaised
from harness.virtual.kernel.exports.registry import DATA, EXPORTS, data, export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT

__all__: list[str] = []

_USER_PROBE_ADDRESS: Final = 0x7FFF_FFFF_0000

data("MmHighestUserAddress", 8, 0x7FFF_FFFE_FFFF)
data("MmSystemRangeStart", 8, 0xFFFF_8000_0000_0000)
data("MmUserProbeAddress", 8, _USER_PROBE_ADDRESS)
data("Mm64BitPhysicalAddress", 1, 1)


@export("MmGetSystemRoutineAddress", 1)
def mm_get_system_routine_address(system: System, name: int) -> int:
    """Routines and exported variables alike; NULL for a name that this target does not have, as for one that
    a version of Windows has not."""
    wanted = read_unicode_string(system, name)
    return system.symbol(wanted) if wanted in EXPORTS or wanted in DATA else 0


@export("MmIsAddressValid", 1)
def mm_is_address_valid(system: System, address: int) -> int:
    return int(system.memory.is_mapped(address) or system.memory.show(address, write=False))


@export("MmIsNonPagedSystemAddressValid", 1)
def mm_is_non_paged_system_address_valid(system: System, address: int) -> int:
    return int(system.memory.is_mapped(address))


@export("MmLockPagableDataSection", "MmLockPageableDataSection", 1)
def mm_lock_pagable_data_section(system: System, address: int) -> int:
    """MmLockPagableCodeSection is the same routine. The handle is the section's address; that of one that is
    never paged out is its own."""
    region = system.pageable.at(address)
    if region is None:
        return address
    system.pageable.lock(region)
    return region


@export("MmLockPagableSectionByHandle", 1)
def mm_lock_pagable_section_by_handle(system: System, handle: int) -> None:
    mm_lock_pagable_data_section(system, handle)


@export("MmUnlockPagableImageSection", 1)
def mm_unlock_pagable_image_section(system: System, handle: int) -> None:
    region = system.pageable.at(handle)
    if region is not None:
        system.pageable.unlock(region)


@export("MmPageEntireDriver", 1)
def mm_page_entire_driver(system: System, address: int) -> int:
    """Base of the driver that holds the address. Only sections that are pageable by name are paged out: what
    else a driver means by it is up to its own IRQLs."""
    driver = system.module_at(address)
    return 0 if driver is None else driver.module.base


@export("MmResetDriverPaging", 1)
def mm_reset_driver_paging(_system: System, _address: int) -> None:
    """See MmPageEntireDriver."""


def _probe(address: int, length: int, alignment: int) -> None:
    if length == 0:
        return
    if address & (max(alignment & 0xFFFF_FFFF, 1) - 1):
        raise StatusRaised(STATUS_DATATYPE_MISALIGNMENT)
    if address + length > _USER_PROBE_ADDRESS:
        raise StatusRaised(STATUS_ACCESS_VIOLATION)


@export("ProbeForRead", 3)
def probe_for_read(_system: System, address: int, length: int, alignment: int) -> None:
    """Checks the range alone: what is not mapped faults when it is read."""
    _probe(address, length, alignment)


@export("ProbeForWrite", 3)
def probe_for_write(system: System, address: int, length: int, alignment: int) -> None:
    """Touches every page, as on Windows."""
    _probe(address, length, alignment)
    for page in range(address & ~0xFFF, address + length, 0x1000):
        touched = max(page, address)
        system.memory.store(touched, system.memory.load(touched, 1))
