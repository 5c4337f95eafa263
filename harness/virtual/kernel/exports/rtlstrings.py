"""Counted strings: UNICODE_STRING and ANSI_STRING.

Sources: Microsoft, *RtlInitUnicodeString*, *RtlCopyUnicodeString*, *RtlUnicodeStringToAnsiString* and
their relatives (wdm.h). Upper case is Python's, one character at a time, as far as it stays one
character.
"""

from __future__ import annotations

import struct

from harness.virtual.kernel.dbgprint import to_ansi
from harness.virtual.kernel.exports.irql import signed
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.heap import encode_unicode_string
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_BUFFER_OVERFLOW,
    STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_PARAMETER,
    STATUS_NAME_TOO_LONG,
    STATUS_NO_MEMORY,
    STATUS_SUCCESS,
)

__all__ = ["give_string", "read_unicode_string", "string_parts", "upcase"]

_MAX_UNICODE = 0xFFFE
_MAX_ANSI = 0xFFFF
_COUNTED = struct.Struct("<HHIQ")
_STRING_TAG = b"Strg"
_X65599 = 1
"""HASH_STRING_ALGORITHM_X65599."""


def string_parts(system: System, string: int) -> tuple[int, int, int]:
    """Length, MaximumLength, Buffer."""
    length, maximum, _, buffer = _COUNTED.unpack(system.memory.load(string, _COUNTED.size))
    return length, maximum, buffer


def _characters(system: System, string: int) -> bytes:
    length, _, buffer = string_parts(system, string)
    return system.memory.load(buffer, length) if length else b""


def read_unicode_string(system: System, string: int) -> str:
    """The text of a UNICODE_STRING; MemoryFault for a bad pointer. Half a character at the end is left
    out."""
    characters = _characters(system, string)
    return characters[: len(characters) & ~1].decode("utf-16-le", "surrogatepass")


def upcase(utf16: bytes) -> bytes:
    """Upper case, character by character, keeping the length."""
    units = [utf16[i : i + 2] for i in range(0, len(utf16) & ~1, 2)]
    return b"".join(map(_upcase_unit, units))


def _upcase_unit(unit: bytes) -> bytes:
    number = int.from_bytes(unit, "little")
    if 0xD800 <= number < 0xE000:
        return unit
    raised = chr(number).upper().encode("utf-16-le")
    return raised if len(raised) == 2 else unit


@export("RtlHashUnicodeString", 4)
def rtl_hash_unicode_string(
    system: System, string: int, ignore_case: int, algorithm: int, result: int
) -> int:
    """x65599, which the default algorithm is, too."""
    if not string or not result or algorithm & 0xFFFF_FFFF > _X65599:
        return STATUS_INVALID_PARAMETER
    characters = _characters(system, string)
    hashed = 0
    for (unit,) in struct.iter_unpack("<H", (upcase(characters) if ignore_case & 0xFF else characters)):
        hashed = (hashed * 65599 + unit) & 0xFFFF_FFFF
    system.memory.put_u32(result, hashed)
    return STATUS_SUCCESS


@export("RtlInitUnicodeString", 2)
def rtl_init_unicode_string(system: System, string: int, source: int) -> None:
    length = len(system.memory.wide_string(source, _MAX_UNICODE // 2 - 1)) if source else 0
    system.memory.store(string, encode_unicode_string(length, length + 2 if source else 0, source))


@export("RtlInitUnicodeStringEx", 2)
def rtl_init_unicode_string_ex(system: System, string: int, source: int) -> int:
    if source and len(system.memory.wide_string(source, 0x8000)) > _MAX_UNICODE - 2:
        return STATUS_NAME_TOO_LONG
    rtl_init_unicode_string(system, string, source)
    return STATUS_SUCCESS


@export("RtlInitAnsiString", "RtlInitString", 2)
def rtl_init_ansi_string(system: System, string: int, source: int) -> None:
    length = len(system.memory.c_string(source, _MAX_ANSI - 1)) if source else 0
    system.memory.store(string, encode_unicode_string(length, length + 1 if source else 0, source))


@export("RtlCopyUnicodeString", 2)
def rtl_copy_unicode_string(system: System, destination: int, source: int) -> None:
    _, maximum, buffer = string_parts(system, destination)
    data = _characters(system, source)[:maximum] if source else b""
    system.memory.store(buffer, data)
    if len(data) + 2 <= maximum:
        system.memory.store(buffer + len(data), b"\0\0")
    system.memory.put_u16(destination, len(data))


@export("RtlAppendUnicodeStringToString", 2)
def rtl_append_unicode_string_to_string(system: System, destination: int, source: int) -> int:
    return _append(system, destination, _characters(system, source))


@export("RtlAppendUnicodeToString", 2)
def rtl_append_unicode_to_string(system: System, destination: int, source: int) -> int:
    return _append(system, destination, system.memory.wide_string(source, 0x7FFF) if source else b"")


def _append(system: System, destination: int, data: bytes) -> int:
    length, maximum, buffer = string_parts(system, destination)
    if length + len(data) > maximum:
        return STATUS_BUFFER_TOO_SMALL
    system.memory.store(buffer + length, data)
    length += len(data)
    if length + 2 <= maximum:
        system.memory.store(buffer + length, b"\0\0")
    system.memory.put_u16(destination, length)
    return STATUS_SUCCESS


def _pair(system: System, first: int, second: int, ignore_case: int) -> tuple[bytes, bytes]:
    a, b = _characters(system, first), _characters(system, second)
    return (upcase(a), upcase(b)) if ignore_case & 0xFF else (a, b)


@export("RtlEqualUnicodeString", 3)
def rtl_equal_unicode_string(system: System, first: int, second: int, ignore_case: int) -> int:
    a, b = _pair(system, first, second, ignore_case)
    return int(a == b)


@export("RtlCompareUnicodeString", 3)
def rtl_compare_unicode_string(system: System, first: int, second: int, ignore_case: int) -> int:
    a, b = _pair(system, first, second, ignore_case)
    for at in range(0, min(len(a), len(b)), 2):
        difference = int.from_bytes(a[at : at + 2], "little") - int.from_bytes(b[at : at + 2], "little")
        if difference:
            return difference & 0xFFFF_FFFF
    return (len(a) - len(b)) & 0xFFFF_FFFF


@export("RtlPrefixUnicodeString", 3)
def rtl_prefix_unicode_string(system: System, prefix: int, string: int, ignore_case: int) -> int:
    a, b = _pair(system, prefix, string, ignore_case)
    return int(b.startswith(a))


@export("RtlSuffixUnicodeString", 3)
def rtl_suffix_unicode_string(system: System, suffix: int, string: int, ignore_case: int) -> int:
    a, b = _pair(system, suffix, string, ignore_case)
    return int(b.endswith(a))


@export("RtlUpcaseUnicodeChar", 1)
def rtl_upcase_unicode_char(_system: System, character: int) -> int:
    return int.from_bytes(upcase((character & 0xFFFF).to_bytes(2, "little")), "little")


@export("RtlUpcaseUnicodeString", 3)
def rtl_upcase_unicode_string(system: System, destination: int, source: int, allocate: int) -> int:
    return give_string(
        system, destination, upcase(_characters(system, source)), 0, allocate, STATUS_BUFFER_OVERFLOW
    )


@export("RtlUnicodeStringToAnsiString", 3)
def rtl_unicode_string_to_ansi_string(system: System, destination: int, source: int, allocate: int) -> int:
    data = to_ansi(_characters(system, source))
    return give_string(system, destination, data, 1, allocate, STATUS_BUFFER_OVERFLOW)


@export("RtlAnsiStringToUnicodeString", 3)
def rtl_ansi_string_to_unicode_string(system: System, destination: int, source: int, allocate: int) -> int:
    data = _characters(system, source).decode("cp1252", "replace").encode("utf-16-le")
    return give_string(system, destination, data, 2, allocate, STATUS_BUFFER_OVERFLOW)


@export("RtlxUnicodeStringToAnsiSize", "RtlUnicodeStringToAnsiSize", 1)
def rtl_unicode_string_to_ansi_size(system: System, string: int) -> int:
    return len(to_ansi(_characters(system, string))) + 1


@export("RtlxAnsiStringToUnicodeSize", "RtlAnsiStringToUnicodeSize", 1)
def rtl_ansi_string_to_unicode_size(system: System, string: int) -> int:
    return 2 * string_parts(system, string)[0] + 2


def give_string(
    system: System, destination: int, data: bytes, nul: int, allocate: int, too_small: int
) -> int:
    """Store ``data`` and ``nul`` zero bytes in the string's buffer, or in a new one."""
    if len(data) + nul > _MAX_ANSI:
        return STATUS_INVALID_PARAMETER
    _, maximum, buffer = string_parts(system, destination)
    if allocate & 0xFF:
        maximum = len(data) + nul
        buffer = system.pool.allocate(maximum, _STRING_TAG, paged=True, site=system.call_site())
        if not buffer:
            return STATUS_NO_MEMORY
    elif len(data) + nul > maximum:
        return too_small
    system.memory.store(buffer, data + bytes(nul))
    system.memory.store(destination, encode_unicode_string(len(data), maximum, buffer))
    return STATUS_SUCCESS


@export("RtlFreeUnicodeString", "RtlFreeAnsiString", 1)
def rtl_free_unicode_string(system: System, string: int) -> None:
    buffer = string_parts(system, string)[2]
    if buffer:
        system.pool.free(buffer)
        system.memory.store(string, bytes(_COUNTED.size))


@export("RtlIntegerToUnicodeString", 3)
def rtl_integer_to_unicode_string(system: System, value: int, base: int, string: int) -> int:
    return _integer_to_unicode(system, value & 0xFFFF_FFFF, base & 0xFFFF_FFFF, string)


@export("RtlInt64ToUnicodeString", 3)
def rtl_int64_to_unicode_string(system: System, value: int, base: int, string: int) -> int:
    return _integer_to_unicode(system, value, base & 0xFFFF_FFFF, string)


def _integer_to_unicode(system: System, value: int, base: int, string: int) -> int:
    forms = {0: "d", 2: "b", 8: "o", 10: "d", 16: "X"}
    if base not in forms:
        return STATUS_INVALID_PARAMETER
    data = format(value, forms[base]).encode("utf-16-le")
    return give_string(system, string, data, 0, 0, STATUS_BUFFER_OVERFLOW)


@export("RtlUnicodeStringToInteger", 3)
def rtl_unicode_string_to_integer(system: System, string: int, base: int, result: int) -> int:
    text = read_unicode_string(system, string).lstrip()
    negative = text.startswith("-")
    text = text.lstrip("+-")
    base &= 0xFFFF_FFFF
    prefixes = {"0x": 16, "0o": 8, "0b": 2}
    if base == 0:
        base = prefixes.get(text[:2].lower(), 10)
        text = text[2:] if base != 10 else text
    if base not in (2, 8, 10, 16):
        return STATUS_INVALID_PARAMETER
    value = 0
    for character in text:
        digit = "0123456789abcdef".find(character.lower())
        if not 0 <= digit < base:
            break
        value = value * base + digit
    system.memory.put_u32(result, signed(-value if negative else value, 32))
    return STATUS_SUCCESS


@export("RtlUnicodeToMultiByteN", 5)
def rtl_unicode_to_multi_byte_n(
    system: System, destination: int, room: int, result: int, source: int, size: int
) -> int:
    text = to_ansi(system.memory.load(source, size & 0xFFFF_FFFE))
    return _convert(system, destination, room & 0xFFFF_FFFF, result, text)


@export("RtlMultiByteToUnicodeN", 5)
def rtl_multi_byte_to_unicode_n(
    system: System, destination: int, room: int, result: int, source: int, size: int
) -> int:
    text = system.memory.load(source, size & 0xFFFF_FFFF).decode("cp1252", "replace").encode("utf-16-le")
    return _convert(system, destination, room & 0xFFFF_FFFE, result, text)


@export("RtlUnicodeToUTF8N", 5)
def rtl_unicode_to_utf8_n(
    system: System, destination: int, room: int, result: int, source: int, size: int
) -> int:
    text = system.memory.load(source, size & 0xFFFF_FFFE).decode("utf-16-le", "replace").encode("utf-8")
    if destination and len(text) > room & 0xFFFF_FFFF:
        return STATUS_BUFFER_TOO_SMALL
    return _convert(system, destination, room & 0xFFFF_FFFF, result, text)


def _convert(system: System, destination: int, room: int, result: int, text: bytes) -> int:
    if destination:
        text = text[:room]
        system.memory.store(destination, text)
    if result:
        system.memory.put_u32(result, len(text))
    return STATUS_SUCCESS
