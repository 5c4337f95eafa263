"""The C run-time library that ntoskrnl exports: memory, strings, characters.

Source: Microsoft, *C Run-Time Library Reference*.
"""

from __future__ import annotations

from harness.virtual.kernel.exports.irql import signed
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.exports.rtl import copy, fill
from harness.virtual.kernel.exports.rtlstrings import upcase
from harness.virtual.kernel.system import System

__all__: list[str] = []

_LIMIT = 1 << 20
_MINUS_ONE = 0xFFFF_FFFF


@export("memcpy", "memmove", 3)
def memcpy(system: System, destination: int, source: int, size: int) -> int:
    return copy(system, destination, source, size)


@export("memset", 3)
def memset(system: System, destination: int, value: int, size: int) -> int:
    return fill(system, destination, size, value)


@export("memcmp", 3)
def memcmp(system: System, first: int, second: int, size: int) -> int:
    return _order(system.memory.load(first, size), system.memory.load(second, size))


@export("memchr", 3)
def memchr(system: System, start: int, value: int, size: int) -> int:
    at = system.memory.load(start, size).find(value & 0xFF)
    return start + at if at >= 0 else 0


def _order(a: bytes, b: bytes) -> int:
    return _MINUS_ONE if a < b else int(a > b)


@export("strlen", 1)
def strlen(system: System, text: int) -> int:
    return len(system.memory.c_string(text, _LIMIT))


@export("strnlen", 2)
def strnlen(system: System, text: int, limit: int) -> int:
    return len(system.memory.c_string(text, min(limit, _LIMIT)))


@export("wcslen", 1)
def wcslen(system: System, text: int) -> int:
    return len(system.memory.wide_string(text, _LIMIT)) // 2


@export("wcsnlen", 2)
def wcsnlen(system: System, text: int, limit: int) -> int:
    return len(system.memory.wide_string(text, min(limit, _LIMIT))) // 2


@export("strcpy", 2)
def strcpy(system: System, destination: int, source: int) -> int:
    system.memory.store(destination, system.memory.c_string(source, _LIMIT) + b"\0")
    return destination


@export("wcscpy", 2)
def wcscpy(system: System, destination: int, source: int) -> int:
    system.memory.store(destination, system.memory.wide_string(source, _LIMIT) + b"\0\0")
    return destination


@export("strncpy", 3)
def strncpy(system: System, destination: int, source: int, count: int) -> int:
    count = min(count, _LIMIT)
    system.memory.store(destination, system.memory.c_string(source, count).ljust(count, b"\0"))
    return destination


@export("wcsncpy", 3)
def wcsncpy(system: System, destination: int, source: int, count: int) -> int:
    count = min(count, _LIMIT)
    system.memory.store(destination, system.memory.wide_string(source, count).ljust(2 * count, b"\0"))
    return destination


@export("strcat", 2)
def strcat(system: System, destination: int, source: int) -> int:
    end = destination + len(system.memory.c_string(destination, _LIMIT))
    system.memory.store(end, system.memory.c_string(source, _LIMIT) + b"\0")
    return destination


@export("wcscat", 2)
def wcscat(system: System, destination: int, source: int) -> int:
    end = destination + len(system.memory.wide_string(destination, _LIMIT))
    system.memory.store(end, system.memory.wide_string(source, _LIMIT) + b"\0\0")
    return destination


@export("strcmp", 2)
def strcmp(system: System, first: int, second: int) -> int:
    return strncmp(system, first, second, _LIMIT)


@export("strncmp", 3)
def strncmp(system: System, first: int, second: int, count: int) -> int:
    count = min(count, _LIMIT)
    return _order(system.memory.c_string(first, count), system.memory.c_string(second, count))


@export("_stricmp", 2)
def stricmp(system: System, first: int, second: int) -> int:
    return strnicmp(system, first, second, _LIMIT)


@export("_strnicmp", 3)
def strnicmp(system: System, first: int, second: int, count: int) -> int:
    count = min(count, _LIMIT)
    a, b = system.memory.c_string(first, count), system.memory.c_string(second, count)
    return _order(a.lower(), b.lower())


def _wide_order(a: bytes, b: bytes) -> int:
    return _order(_big_endian(a), _big_endian(b))


def _big_endian(utf16: bytes) -> bytes:
    """So that bytes compare as 16-bit characters do."""
    swapped = bytearray(utf16)
    swapped[0::2], swapped[1::2] = utf16[1::2], utf16[0::2]
    return bytes(swapped)


@export("wcscmp", 2)
def wcscmp(system: System, first: int, second: int) -> int:
    return wcsncmp(system, first, second, _LIMIT)


@export("wcsncmp", 3)
def wcsncmp(system: System, first: int, second: int, count: int) -> int:
    count = min(count, _LIMIT)
    return _wide_order(system.memory.wide_string(first, count), system.memory.wide_string(second, count))


@export("_wcsicmp", 2)
def wcsicmp(system: System, first: int, second: int) -> int:
    return wcsnicmp(system, first, second, _LIMIT)


@export("_wcsnicmp", 3)
def wcsnicmp(system: System, first: int, second: int, count: int) -> int:
    count = min(count, _LIMIT)
    a, b = system.memory.wide_string(first, count), system.memory.wide_string(second, count)
    return _wide_order(upcase(a), upcase(b))


@export("strchr", 2)
def strchr(system: System, text: int, character: int) -> int:
    found = (system.memory.c_string(text, _LIMIT) + b"\0").find(character & 0xFF)
    return text + found if found >= 0 else 0


@export("strrchr", 2)
def strrchr(system: System, text: int, character: int) -> int:
    found = (system.memory.c_string(text, _LIMIT) + b"\0").rfind(character & 0xFF)
    return text + found if found >= 0 else 0


@export("strstr", 2)
def strstr(system: System, text: int, wanted: int) -> int:
    found = system.memory.c_string(text, _LIMIT).find(system.memory.c_string(wanted, _LIMIT))
    return text + found if found >= 0 else 0


def _units(utf16: bytes) -> list[int]:
    return [int.from_bytes(utf16[i : i + 2], "little") for i in range(0, len(utf16), 2)]


@export("wcschr", 2)
def wcschr(system: System, text: int, character: int) -> int:
    units = [*_units(system.memory.wide_string(text, _LIMIT)), 0]
    wanted = character & 0xFFFF
    return text + 2 * units.index(wanted) if wanted in units else 0


@export("wcsrchr", 2)
def wcsrchr(system: System, text: int, character: int) -> int:
    units = [*_units(system.memory.wide_string(text, _LIMIT)), 0]
    wanted = character & 0xFFFF
    if wanted not in units:
        return 0
    return text + 2 * (len(units) - 1 - units[::-1].index(wanted))


@export("wcsstr", 2)
def wcsstr(system: System, text: int, wanted: int) -> int:
    haystack, needle = system.memory.wide_string(text, _LIMIT), system.memory.wide_string(wanted, _LIMIT)
    for at in range(0, len(haystack) - len(needle) + 1, 2):
        if haystack.startswith(needle, at):
            return text + at
    return 0


@export("toupper", 1)
def toupper(_system: System, character: int) -> int:
    return character - 0x20 if 0x61 <= character & 0xFFFF_FFFF <= 0x7A else character


@export("tolower", 1)
def tolower(_system: System, character: int) -> int:
    return character + 0x20 if 0x41 <= character & 0xFFFF_FFFF <= 0x5A else character


@export("towupper", "RtlUpperChar", 1)
def towupper(_system: System, character: int) -> int:
    return int.from_bytes(upcase((character & 0xFFFF).to_bytes(2, "little")), "little")


@export("towlower", 1)
def towlower(_system: System, character: int) -> int:
    lowered = chr(character & 0xFFFF).lower()
    return ord(lowered) if len(lowered) == 1 else character & 0xFFFF


@export("atoi", "atol", 1)
def atoi(system: System, text: int) -> int:
    digits = system.memory.c_string(text, 64).lstrip()
    sign = -1 if digits.startswith(b"-") else 1
    digits = digits.lstrip(b"+-") if digits[:1] in (b"+", b"-") else digits
    value = 0
    for digit in digits:
        if not 0x30 <= digit <= 0x39:
            break
        value = value * 10 + digit - 0x30
    return signed(sign * value, 32) & 0xFFFF_FFFF
