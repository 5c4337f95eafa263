"""Counted strings of bytes (ANSI_STRING), copies of counted strings, and their letters.

Sources: Microsoft, *RtlCompareString*, *RtlEqualString*, *RtlCopyString*, *RtlAppendStringToString*,
*RtlPrefixString*, *RtlUpperString*, *RtlCreateUnicodeString*, *RtlDowncaseUnicodeString*, *RtlGUIDFromString*
(wdm.h, ntifs.h). Letters are those of ASCII for bytes, Python's for UTF-16.
"""

from __future__ import annotations

import re
import struct
from typing import Final
from uuid import UUID

from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.exports.rtlstrings import give_string, read_unicode_string, string_parts
from harness.virtual.kernel.heap import encode_unicode_string
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_BUFFER_OVERFLOW,
    STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_MAX_CHARACTERS: Final = 0x7FFE
_GUID: Final = re.compile(r"\{([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}")
_NUL_TERMINATE: Final = 1
"""RTL_DUPLICATE_UNICODE_STRING_NULL_TERMINATE."""
_ALLOCATE_NULL: Final = 2
"""RTL_DUPLICATE_UNICODE_STRING_ALLOCATE_NULL_STRING."""


def _bytes(system: System, string: int, *, ignore_case: int = 0) -> bytes:
    length, _, buffer = string_parts(system, string)
    raw = system.memory.load(buffer, length) if length else b""
    return raw.upper() if ignore_case & 0xFF else raw


@export("RtlEqualString", 3)
def rtl_equal_string(system: System, first: int, second: int, ignore_case: int) -> int:
    a, b = (_bytes(system, string, ignore_case=ignore_case) for string in (first, second))
    return int(a == b)


@export("RtlCompareString", 3)
def rtl_compare_string(system: System, first: int, second: int, ignore_case: int) -> int:
    a, b = (_bytes(system, string, ignore_case=ignore_case) for string in (first, second))
    for one, other in zip(a, b, strict=False):
        if one != other:
            return (one - other) & 0xFFFF_FFFF
    return (len(a) - len(b)) & 0xFFFF_FFFF


@export("RtlPrefixString", 3)
def rtl_prefix_string(system: System, prefix: int, string: int, ignore_case: int) -> int:
    a, b = (_bytes(system, found, ignore_case=ignore_case) for found in (prefix, string))
    return int(b.startswith(a))


@export("RtlCopyString", 2)
def rtl_copy_string(system: System, destination: int, source: int) -> None:
    """What fits; without a source the destination is emptied."""
    _, maximum, buffer = string_parts(system, destination)
    raw = (_bytes(system, source) if source else b"")[:maximum]
    if raw:
        system.memory.store(buffer, raw)
    system.memory.put_u16(destination, len(raw))


@export("RtlUpperString", 2)
def rtl_upper_string(system: System, destination: int, source: int) -> None:
    """What fits."""
    _, maximum, buffer = string_parts(system, destination)
    raw = _bytes(system, source, ignore_case=1)[:maximum]
    if raw:
        system.memory.store(buffer, raw)
    system.memory.put_u16(destination, len(raw))


def _append(system: System, destination: int, raw: bytes) -> int:
    length, maximum, buffer = string_parts(system, destination)
    if length + len(raw) > maximum:
        return STATUS_BUFFER_TOO_SMALL
    if raw:
        system.memory.store(buffer + length, raw)
    system.memory.put_u16(destination, length + len(raw))
    return STATUS_SUCCESS


@export("RtlAppendStringToString", 2)
def rtl_append_string_to_string(system: System, destination: int, source: int) -> int:
    return _append(system, destination, _bytes(system, source))


@export("RtlAppendAsciizToString", 2)
def rtl_append_asciiz_to_string(system: System, destination: int, source: int) -> int:
    return _append(system, destination, system.memory.c_string(source, 0xFFFF) if source else b"")


@export("RtlCreateUnicodeString", 2)
def rtl_create_unicode_string(system: System, destination: int, source: int) -> int:
    """TRUE, with a copy in paged pool for RtlFreeUnicodeString."""
    raw = system.memory.wide_string(source, _MAX_CHARACTERS)
    return int(give_string(system, destination, raw, 2, 1, STATUS_BUFFER_OVERFLOW) == STATUS_SUCCESS)


@export("RtlDuplicateUnicodeString", 3)
def rtl_duplicate_unicode_string(system: System, flags: int, source: int, destination: int) -> int:
    flags &= 0xFFFF_FFFF
    allocates_null = flags & _ALLOCATE_NULL
    if flags & ~3 or not destination or (allocates_null and not flags & _NUL_TERMINATE):
        return STATUS_INVALID_PARAMETER
    raw = _bytes(system, source) if source else b""
    if not raw and not allocates_null:
        system.memory.store(destination, encode_unicode_string(0, 0, 0))
        return STATUS_SUCCESS
    nul = 2 if flags & _NUL_TERMINATE else 0
    return give_string(system, destination, raw, nul, 1, STATUS_BUFFER_OVERFLOW)


def _lower(raw: bytes) -> bytes:
    units = struct.unpack(f"<{len(raw) // 2}H", raw)
    lowered = (chr(unit).lower() for unit in units)
    return struct.pack(
        f"<{len(units)}H",
        *(
            ord(text) if len(text) == 1 and ord(text) < 0x10000 else unit
            for unit, text in zip(units, lowered, strict=True)
        ),
    )


@export("RtlDowncaseUnicodeString", 3)
def rtl_downcase_unicode_string(system: System, destination: int, source: int, allocate: int) -> int:
    raw = _bytes(system, source)
    return give_string(system, destination, _lower(raw[: len(raw) & ~1]), 0, allocate, STATUS_BUFFER_OVERFLOW)


@export("RtlDowncaseUnicodeChar", 1)
def rtl_downcase_unicode_char(_system: System, character: int) -> int:
    return int.from_bytes(_lower(struct.pack("<H", character & 0xFFFF)), "little")


@export("RtlValidateUnicodeString", 2)
def rtl_validate_unicode_string(system: System, flags: int, string: int) -> int:
    if flags & 0xFFFF_FFFF:
        return STATUS_INVALID_PARAMETER
    length, maximum, buffer = string_parts(system, string)
    odd = length % 2 or maximum % 2
    good = not odd and length <= maximum and (buffer or not maximum)
    return STATUS_SUCCESS if good else STATUS_INVALID_PARAMETER


@export("RtlGUIDFromString", 2)
def rtl_guid_from_string(system: System, string: int, guid: int) -> int:
    found = _GUID.fullmatch(read_unicode_string(system, string))
    if found is None:
        return STATUS_INVALID_PARAMETER
    system.memory.store(guid, UUID(found[1]).bytes_le)
    return STATUS_SUCCESS


@export("RtlStringFromGUID", 2)
def rtl_string_from_guid(system: System, guid: int, string: int) -> int:
    text = f"{{{str(UUID(bytes_le=system.memory.load(guid, 16))).upper()}}}"
    return give_string(system, string, text.encode("utf-16-le"), 2, 1, STATUS_BUFFER_OVERFLOW)
