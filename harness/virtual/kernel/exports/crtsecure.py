"""The C run-time library's functions that check their arguments, and those that change letters.

Sources: Microsoft, *C Run-Time Library Reference* (strcpy_s, wcsncpy_s, memcpy_s, _strlwr ...). A kernel has
no invalid-parameter handler: what is wrong is said by the result alone.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.exports.rtl import copy, fill
from harness.virtual.kernel.system import System

__all__: list[str] = []

_EINVAL: Final = 22
_ERANGE: Final = 34
_STRUNCATE: Final = 80
_TRUNCATE: Final = 0xFFFF_FFFF_FFFF_FFFF
_LIMIT: Final = 1 << 20
"""Most characters that one call looks at."""


def _text(system: System, address: int, limit: int, width: int) -> bytes:
    memory = system.memory
    return memory.c_string(address, limit) if width == 1 else memory.wide_string(address, limit)


def _put(system: System, at: int, room: int, source: int, count: int, width: int) -> int:
    """Copy at most ``count`` characters to ``at``, where ``room`` characters fit, and end them.

    :param at: where they go; what stands before it stays.
    """
    nul = bytes(width)
    limit = room if count == _TRUNCATE else min(count, room)
    found = _text(system, source, min(limit, _LIMIT), width)
    if len(found) // width < room:
        system.memory.store(at, found + nul)
        return 0
    if count == _TRUNCATE:
        system.memory.store(at, found[: (room - 1) * width] + nul)
        return _STRUNCATE
    return _ERANGE


def _copy(system: System, destination: int, size: int, source: int, count: int, width: int) -> int:
    if not destination or not size:
        return _EINVAL
    result = _put(system, destination, size, source, count, width) if source or not count else _EINVAL
    if result in (_EINVAL, _ERANGE):
        system.memory.store(destination, bytes(width))
    return result


def _append(system: System, destination: int, size: int, source: int, count: int, width: int) -> int:
    if not destination or not size:
        return _EINVAL
    used = len(_text(system, destination, min(size, _LIMIT), width)) // width
    result = _EINVAL
    if source and used < size:
        result = _put(system, destination + used * width, size - used, source, count, width)
    if result in (_EINVAL, _ERANGE):
        system.memory.store(destination, bytes(width))
    return result


@export("strcpy_s", 3)
def strcpy_s(system: System, destination: int, size: int, source: int) -> int:
    return _copy(system, destination, size, source, _LIMIT, 1)


@export("wcscpy_s", 3)
def wcscpy_s(system: System, destination: int, size: int, source: int) -> int:
    return _copy(system, destination, size, source, _LIMIT, 2)


@export("strncpy_s", 4)
def strncpy_s(system: System, destination: int, size: int, source: int, count: int) -> int:
    return _copy(system, destination, size, source, count, 1)


@export("wcsncpy_s", 4)
def wcsncpy_s(system: System, destination: int, size: int, source: int, count: int) -> int:
    return _copy(system, destination, size, source, count, 2)


@export("strcat_s", 3)
def strcat_s(system: System, destination: int, size: int, source: int) -> int:
    return _append(system, destination, size, source, _LIMIT, 1)


@export("wcscat_s", 3)
def wcscat_s(system: System, destination: int, size: int, source: int) -> int:
    return _append(system, destination, size, source, _LIMIT, 2)


@export("strncat_s", 4)
def strncat_s(system: System, destination: int, size: int, source: int, count: int) -> int:
    return _append(system, destination, size, source, count, 1)


@export("wcsncat_s", 4)
def wcsncat_s(system: System, destination: int, size: int, source: int, count: int) -> int:
    return _append(system, destination, size, source, count, 2)


@export("memcpy_s", "memmove_s", 4)
def memcpy_s(system: System, destination: int, size: int, source: int, count: int) -> int:
    """What does not fit is not copied; memcpy_s then clears the destination, memmove_s here as well."""
    if not count:
        return 0
    if not destination:
        return _EINVAL
    if not source or size < count:
        fill(system, destination, size, 0)
        return _ERANGE if source else _EINVAL
    copy(system, destination, source, count)
    return 0


@export("strncat", 3)
def strncat(system: System, destination: int, source: int, count: int) -> int:
    end = destination + len(system.memory.c_string(destination, _LIMIT))
    system.memory.store(end, system.memory.c_string(source, min(count, _LIMIT)) + b"\0")
    return destination


@export("wcsncat", 3)
def wcsncat(system: System, destination: int, source: int, count: int) -> int:
    end = destination + len(system.memory.wide_string(destination, _LIMIT))
    system.memory.store(end, system.memory.wide_string(source, min(count, _LIMIT)) + b"\0\0")
    return destination


@export("_strlwr", "strlwr", 1)
def strlwr(system: System, text: int) -> int:
    """Letters of ASCII, as in the C locale."""
    system.memory.store(text, system.memory.c_string(text, _LIMIT).lower())
    return text


@export("_wcslwr", "wcslwr", 1)
def wcslwr(system: System, text: int) -> int:
    """Letters of ASCII, as in the C locale."""
    units = system.memory.wide_string(text, _LIMIT)
    pairs = (units[at : at + 2] for at in range(0, len(units), 2))
    lowered = b"".join(pair.lower() if pair[1] == 0 else pair for pair in pairs)
    system.memory.store(text, lowered)
    return text
