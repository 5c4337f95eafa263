"""Memory manager: addresses and what may be done with them.

Sources: Microsoft, *MmGetSystemRoutineAddress*, *MmIsAddressValid*, *MmCopyMemory*, *ProbeForRead* (wdm.h,
ntddk.h). Which error MmCopyMemory ends with where it stops early is not documented.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.memory import PAGE
from harness.virtual.cpu.traps import MemoryFault, StatusRaised
from harness.virtual.kernel.exports.registry import DATA, EXPORTS, KERNEL, data, export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_ACCESS_VIOLATION,
    STATUS_DATATYPE_MISALIGNMENT,
    STATUS_INVALID_PARAMETER,
    STATUS_PARTIAL_COPY,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_USER_PROBE_ADDRESS: Final = 0x7FFF_FFFF_0000
_PHYSICAL, _VIRTUAL = 1, 2
"""MM_COPY_MEMORY_PHYSICAL, MM_COPY_MEMORY_VIRTUAL."""

data("MmHighestUserAddress", 8, 0x7FFF_FFFE_FFFF)
data("MmSystemRangeStart", 8, 0xFFFF_8000_0000_0000)
data("MmUserProbeAddress", 8, _USER_PROBE_ADDRESS)
data("Mm64BitPhysicalAddress", 1, 1)


@export("MmGetSystemRoutineAddress", 1)
def mm_get_system_routine_address(system: System, name: int) -> int:
    """Routines and exported variables alike; NULL for a name that this target does not have, as for one that
    a version of Windows has not."""
    wanted = read_unicode_string(system, name)
    routine = EXPORTS.get(wanted)
    known = wanted in DATA or (routine is not None and routine.module == KERNEL)
    return system.symbol(wanted) if known else 0


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


@export("MmCopyMemory", 5)
def mm_copy_memory(system: System, target: int, source: int, size: int, flags: int, transferred: int) -> int:
    """What cannot be read ends the copy, and not the machine. Physical addresses are not served."""
    memory, flags = system.memory, flags & 0xFFFF_FFFF
    if flags not in (_PHYSICAL, _VIRTUAL):
        return STATUS_INVALID_PARAMETER
    if flags == _PHYSICAL:
        system.lacks("MmCopyMemory(physical addresses)")
    done = 0
    while done < size:
        part = min(size - done, PAGE - (source + done) % PAGE)
        try:
            content = memory.load(source + done, part)
        except MemoryFault:
            break
        memory.store(target + done, content)
        done += part
    memory.put_u64(transferred, done)
    return STATUS_SUCCESS if done == size else STATUS_PARTIAL_COPY


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
