"""What is mapped where in a process.

Sources: Microsoft, *ZwQueryVirtualMemory* (ntifs.h), MEMORY_BASIC_INFORMATION. The sections of images are not
known: what lies behind their headers counts as code.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.cpu.memory import PAGE, is_kernel_address
from harness.virtual.kernel.exports.psquery import handle_to
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.objects import ProcessObject
from harness.virtual.kernel.system import System
from harness.virtual.kernel.userspace import Region
from harness.virtual.windows.status import (
    STATUS_BUFFER_OVERFLOW,
    STATUS_INFO_LENGTH_MISMATCH,
    STATUS_INVALID_ADDRESS,
    STATUS_INVALID_HANDLE,
    STATUS_INVALID_INFO_CLASS,
    STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_BASIC, _MAPPED_FILE_NAME = 0, 2
"""MemoryBasicInformation, MemoryMappedFilenameInformation."""
_LAST_CLASS: Final = 0x0E
_INFORMATION: Final = struct.Struct("<QQIHxxQIIIxxxx")
"""MEMORY_BASIC_INFORMATION."""
_COMMIT, _FREE = 0x1000, 0x1_0000
_PRIVATE, _IMAGE = 0x2_0000, 0x100_0000
_NO_ACCESS, _READ_ONLY, _READ_WRITE, _EXECUTE_READ, _EXECUTE_WRITE_COPY = 0x01, 0x02, 0x04, 0x20, 0x80


def _basic(region: Region, page: int) -> bytes:
    end = region.base + region.size
    if region.image is not None:
        headers = page == region.base
        size, protect = (PAGE, _READ_ONLY) if headers else (end - page, _EXECUTE_READ)
        known = (_EXECUTE_WRITE_COPY, 0, size, _COMMIT, protect, _IMAGE)
    elif region.is_free:
        return _INFORMATION.pack(page, 0, 0, 0, end - page, _FREE, _NO_ACCESS, 0)
    else:
        known = (_READ_WRITE, 0, end - page, _COMMIT, _READ_WRITE, _PRIVATE)
    return _INFORMATION.pack(page, region.base, *known)


@export("ZwQueryVirtualMemory", 6)
def zw_query_virtual_memory(
    system: System, handle: int, address: int, kind: int, buffer: int, size: int, needed: int
) -> int:
    kind = kind & 0xFFFF_FFFF
    if kind not in (_BASIC, _MAPPED_FILE_NAME):
        if kind > _LAST_CLASS:
            return STATUS_INVALID_INFO_CLASS
        system.lacks(f"ZwQueryVirtualMemory(class {kind})")
    process = handle_to(system, handle)
    if process is None:
        return STATUS_INVALID_HANDLE
    if not isinstance(process, ProcessObject):
        return STATUS_OBJECT_TYPE_MISMATCH
    if is_kernel_address(address):
        return STATUS_INVALID_PARAMETER
    page = address & ~(PAGE - 1)
    region = system.user_space.region_of(process.pid, page)
    too_small = STATUS_INFO_LENGTH_MISMATCH
    if kind == _BASIC:
        content = _basic(region, page)
    elif not region.image:
        return STATUS_INVALID_ADDRESS
    else:
        raw = region.image.encode("utf-16-le", "surrogatepass")
        content = system.heap.string_value(raw, buffer + 16) + raw + bytes(2)
        too_small = STATUS_BUFFER_OVERFLOW
    if kind != _BASIC or size >= len(content):
        _tell_size(system, needed, len(content))
    if size < len(content):
        return too_small
    system.memory.store(buffer, content)
    return STATUS_SUCCESS


def _tell_size(system: System, needed: int, size: int) -> None:
    if needed:
        system.memory.put_u64(needed, size)
