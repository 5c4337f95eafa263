"""Headers, directories and exports of images that lie in memory.

Sources: Microsoft, *PE Format*; *RtlImageNtHeader*, *RtlImageDirectoryEntryToData* (ntimage.h) and
*RtlFindExportedRoutineByName*, which are not documented, as in ReactOS (sdk/lib/rtl/image.c).
"""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System

__all__: list[str] = []

_LFANEW: Final = 0x3C
_MAX_LFANEW: Final = 256 << 20
_OPTIONAL: Final = 24
"""Where the optional header begins, behind the signature."""
_DIRECTORIES: Final = {0x10B: 96, 0x20B: 112}
"""By the magic of the optional header where its directories begin; their number stands right before."""
_MAX_DIRECTORIES: Final = 16
_SIZE_OF_HEADERS: Final = 60
_SECTION: Final = struct.Struct("<8xIIII16x")
"""VirtualSize, VirtualAddress, SizeOfRawData, PointerToRawData."""
_EXPORTS: Final = 0
_MAX_NAME: Final = 512
_MAX_EXPORTS: Final = 0x1_0000
_NOT_AN_IMAGE: Final = (0, (1 << 64) - 1)


@export("RtlImageNtHeader", 1)
def rtl_image_nt_header(system: System, base: int) -> int:
    """NULL for what is no PE image."""
    memory = system.memory
    if base in _NOT_AN_IMAGE or memory.load(base, 2) != b"MZ":
        return 0
    offset = memory.u32(base + _LFANEW)
    if offset >= _MAX_LFANEW or memory.load(base + offset, 4) != b"PE\0\0":
        return 0
    return base + offset


def _directory(system: System, header: int, index: int) -> tuple[int, int]:
    """Its address relative to the image, and its size; twice 0 where there is none."""
    memory, optional = system.memory, header + _OPTIONAL
    at = _DIRECTORIES.get(memory.u16(optional))
    if at is None or index >= min(memory.u32(optional + at - 4), _MAX_DIRECTORIES):
        return 0, 0
    return memory.u32(optional + at + 8 * index), memory.u32(optional + at + 8 * index + 4)


def _in_file(system: System, header: int, relative: int) -> int | None:
    """Where that address of the image lies in its file."""
    memory = system.memory
    first = header + _OPTIONAL + memory.u16(header + 20)
    for number in range(memory.u16(header + 6)):
        size, start, raw_size, raw = _SECTION.unpack(
            memory.load(first + number * _SECTION.size, _SECTION.size)
        )
        if start <= relative < start + max(size, raw_size):
            return int(raw + relative - start)
    return None


@export("RtlImageDirectoryEntryToData", 4)
def rtl_image_directory_entry_to_data(
    system: System, base: int, mapped: int, index: int, size_at: int
) -> int:
    """NULL where there is none. The low bit of the base says, too, that it is a file and not mapped."""
    as_file = not mapped & 0xFF or base & 1
    base &= ~1
    header = rtl_image_nt_header(system, base)
    if not header:
        return 0
    relative, size = _directory(system, header, index & 0xFFFF)
    if not relative:
        return 0
    if as_file and relative >= system.memory.u32(header + _OPTIONAL + _SIZE_OF_HEADERS):
        found = _in_file(system, header, relative)
        if found is None:
            return 0
        relative = found
    system.memory.put_u32(size_at, size)
    return base + relative


@export("RtlFindExportedRoutineByName", 2)
def rtl_find_exported_routine_by_name(system: System, base: int, name: int) -> int:
    """NULL where nothing of that name is exported, and for an export that is forwarded."""
    memory = system.memory
    header = rtl_image_nt_header(system, base)
    if not header:
        return 0
    relative, size = _directory(system, header, _EXPORTS)
    if not relative:
        return 0
    table = base + relative
    names, functions, names_at, ordinals_at = (
        memory.u32(table + 0x18),
        *(base + memory.u32(table + at) for at in (0x1C, 0x20, 0x24)),
    )
    wanted = memory.c_string(name, _MAX_NAME)
    low, high = 0, min(names, _MAX_EXPORTS)
    while low < high:  # they are sorted by their bytes
        middle = (low + high) // 2
        found = memory.c_string(base + memory.u32(names_at + 4 * middle), _MAX_NAME)
        if found == wanted:
            ordinal = memory.u16(ordinals_at + 2 * middle)
            address = memory.u32(functions + 4 * ordinal)
            return 0 if relative <= address < relative + size else base + address
        if found < wanted:
            low = middle + 1
        else:
            high = middle
    return 0
