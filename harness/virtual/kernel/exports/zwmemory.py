"""Memory of processes that drivers allocate and free.

Memory that is reserved and not committed, parts of an allocation and addresses of the caller's choice are not
served: they end the run. Sources: Microsoft, *ZwAllocateVirtualMemory*, *ZwFreeVirtualMemory* (ntifs.h).
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.memory import is_kernel_address, page_ceiling
from harness.virtual.kernel.exports.psquery import handle_to
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.objects import ProcessObject
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_FREE_VM_NOT_AT_BASE,
    STATUS_INVALID_HANDLE,
    STATUS_INVALID_PAGE_PROTECTION,
    STATUS_INVALID_PARAMETER_4,
    STATUS_INVALID_PARAMETER_5,
    STATUS_MEMORY_NOT_ALLOCATED,
    STATUS_NO_MEMORY,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_PROCESS_IS_TERMINATING,
    STATUS_SUCCESS,
    STATUS_UNABLE_TO_FREE_VM,
)

__all__: list[str] = []

MAX_ALLOCATED: Final = 64 << 20
"""Bytes that all processes together are given at most."""
_GRANULARITY: Final = 0x1_0000
_COMMIT, _RESERVE, _TOP_DOWN = 0x1000, 0x2000, 0x10_0000
_DECOMMIT, _RELEASE = 0x4000, 0x8000
_OTHER_TYPES: Final = 0x08_0000 | 0x40_0000 | 0x2000_0000 | 0x20_0000
"""MEM_RESET, MEM_PHYSICAL, MEM_LARGE_PAGES, MEM_WRITE_WATCH."""
_PROTECTIONS: Final = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80)
"""PAGE_NOACCESS to PAGE_EXECUTE_WRITECOPY; :data:`_MODIFIERS` may be added."""
_MODIFIERS: Final = 0x700


def _process(system: System, handle: int) -> ProcessObject | int:
    """The process of a handle, or the NTSTATUS."""
    process = handle_to(system, handle)
    if process is None:
        return STATUS_INVALID_HANDLE
    if not isinstance(process, ProcessObject):
        return STATUS_OBJECT_TYPE_MISMATCH
    return STATUS_PROCESS_IS_TERMINATING if process.exiting else process


@export("ZwAllocateVirtualMemory", 6)
def zw_allocate_virtual_memory(
    system: System, handle: int, base_at: int, _zero_bits: int, size_at: int, kind: int, protect: int
) -> int:
    """The protection is not looked at further: what is allocated can be read and written."""
    kind, protect = kind & 0xFFFF_FFFF, protect & 0xFFFF_FFFF
    base, size = system.memory.u64(base_at), system.memory.u64(size_at)
    if not kind & (_COMMIT | _RESERVE | _OTHER_TYPES):
        return STATUS_INVALID_PARAMETER_5
    if kind & _OTHER_TYPES or not kind & _COMMIT:
        system.lacks("ZwAllocateVirtualMemory(but for MEM_COMMIT)")
    if kind & ~(_COMMIT | _RESERVE | _TOP_DOWN):
        return STATUS_INVALID_PARAMETER_5
    if protect & ~_MODIFIERS not in _PROTECTIONS:
        return STATUS_INVALID_PAGE_PROTECTION
    if not size or is_kernel_address(size) or is_kernel_address(base + size):
        return STATUS_INVALID_PARAMETER_4
    process = _process(system, handle)
    if isinstance(process, int):
        return process
    if base:
        system.lacks("ZwAllocateVirtualMemory(at an address of the caller's choice)")
    pages = page_ceiling(size)
    if system.user_space.total() + pages > MAX_ALLOCATED:
        return STATUS_NO_MEMORY
    address = system.user_space.allocate(process.pid, b"", pages, granularity=_GRANULARITY)
    system.memory.put_u64(base_at, address)
    system.memory.put_u64(size_at, pages)
    return STATUS_SUCCESS


@export("ZwFreeVirtualMemory", 4)
def zw_free_virtual_memory(system: System, handle: int, base_at: int, size_at: int, kind: int) -> int:
    kind &= 0xFFFF_FFFF
    base, size = system.memory.u64(base_at), system.memory.u64(size_at)
    if kind not in (_DECOMMIT, _RELEASE):
        return STATUS_INVALID_PARAMETER_4
    process = _process(system, handle)
    if isinstance(process, int):
        return process
    region = system.user_space.region_at(process.pid, base)
    if region is None:
        return STATUS_MEMORY_NOT_ALLOCATED
    first, pages = region
    if kind == _DECOMMIT or (size and base == first and page_ceiling(size) < pages):
        system.lacks("ZwFreeVirtualMemory(of a part, or MEM_DECOMMIT)")
    if base != first:
        return STATUS_FREE_VM_NOT_AT_BASE
    if page_ceiling(size) > pages:
        return STATUS_UNABLE_TO_FREE_VM
    system.user_space.free(process.pid, first)
    system.memory.put_u64(base_at, first)
    system.memory.put_u64(size_at, pages)
    return STATUS_SUCCESS
