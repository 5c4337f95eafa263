"""RTL_QUERY_REGISTRY_TABLE: what an entry asks for, and how its value is stored where it asks for that.

Source: Microsoft, *RtlQueryRegistryValues* (wdm.h).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from harness.virtual.cpu.memory import Memory
from harness.virtual.kernel.belongings import CallSite
from harness.virtual.kernel.exports.irql import signed
from harness.virtual.kernel.exports.rtlstrings import string_parts
from harness.virtual.kernel.heap import encode_unicode_string
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_BUFFER_TOO_SMALL,
    STATUS_NO_MEMORY,
    STATUS_SUCCESS,
)

__all__ = [
    "ENTRY_SIZE",
    "MAX_ENTRIES",
    "MAX_NAME",
    "MAX_VALUES",
    "MULTI_SZ",
    "NONE",
    "SZ",
    "Flag",
    "QueryEntry",
    "RegistryData",
    "default_of",
    "demand_expanded",
    "read_entry",
    "store_directly",
    "strings_of",
]

MAX_ENTRIES: Final = 4096
"""Of one table; a longer one ends the run."""
MAX_VALUES: Final = 4096
"""Of one key, and strings of one REG_MULTI_SZ."""
MAX_NAME: Final = 0x7FFF
"""Characters of a name or of a string that stands for a value."""
NONE, SZ, EXPAND_SZ, MULTI_SZ = 0, 1, 2, 7
"""REG_NONE and its like."""
_STRINGS: Final = (SZ, EXPAND_SZ, MULTI_SZ)
_ENTRY: Final = struct.Struct("<QI4xQQI4xQI4x")
ENTRY_SIZE: Final = _ENTRY.size
_MAX_STRING: Final = 0xFFFF
_TYPECHECK_SHIFT: Final = 24
_TAG: Final = b"vrqR"


class Flag(enum.IntFlag):
    """RTL_QUERY_REGISTRY_SUBKEY and its like."""

    SUBKEY = 0x1
    TOPKEY = 0x2
    REQUIRED = 0x4
    NOVALUE = 0x8
    NOEXPAND = 0x10
    DIRECT = 0x20
    DELETE = 0x40
    TYPECHECK = 0x100


class QueryEntry(NamedTuple):
    """One entry."""

    routine: int
    flags: int
    name: int
    """Address of the NUL-terminated name; 0: there is none."""
    context: int
    """EntryContext."""
    default_kind: int
    wanted_kind: int
    """What TYPECHECK demands; REG_NONE: anything."""
    default: int
    """DefaultData."""
    default_length: int

    @property
    def ends(self) -> bool:
        """It is the table's last, which asks for nothing."""
        return not self.routine and not self.flags & (Flag.SUBKEY | Flag.DIRECT)


class RegistryData(NamedTuple):
    """A value as it is handed over."""

    name: bytes
    """UTF-16, without a NUL."""
    kind: int
    data: bytes


def read_entry(memory: Memory, address: int) -> QueryEntry:
    """The entry at an address; MemoryFault where there is none."""
    routine, flags, name, context, kind, data, length = _ENTRY.unpack(memory.load(address, ENTRY_SIZE))
    return QueryEntry(
        routine, flags, name, context, kind & 0xFF, kind >> _TYPECHECK_SHIFT & 0xFF, data, length
    )


def default_of(memory: Memory, entry: QueryEntry) -> RegistryData | None:
    """What stands for a value that is not there; None: nothing. The length of a string may be left out."""
    if entry.default_kind == NONE:
        return None
    length = entry.default_length
    if not length and entry.default_kind in (SZ, EXPAND_SZ):
        length = len(memory.wide_string(entry.default, MAX_NAME)) + 2
    elif not length and entry.default_kind == MULTI_SZ:
        while length < _MAX_STRING and (part := memory.wide_string(entry.default + length, MAX_NAME)):
            length += len(part) + 2
        length += 2
    name = memory.wide_string(entry.name, MAX_NAME) if entry.name else b""
    return RegistryData(name, entry.default_kind, memory.load(entry.default, length) if length else b"")


def strings_of(data: bytes) -> Iterator[bytes]:
    """The strings of a REG_MULTI_SZ, each with its NUL."""
    text = data[: len(data) & ~1].decode("utf-16-le", "surrogatepass")
    for part in text.split("\0")[:MAX_VALUES]:
        if not part:
            return
        yield f"{part}\0".encode("utf-16-le", "surrogatepass")


def demand_expanded(system: System, found: RegistryData) -> None:
    """The value names no environment variables; one that does ends the run."""
    if found.kind == EXPAND_SZ and b"%\0" in found.data:
        system.lacks("RtlQueryRegistryValues(environment variables)")


def store_directly(system: System, where: int, found: RegistryData, site: CallSite | None) -> int:
    """Store a value at the EntryContext; the NTSTATUS.

    :param site: the call, whose memory it is that is allocated for a string.
    """
    memory, size = system.memory, len(found.data)
    if found.kind in _STRINGS:
        return _store_string(system, where, found.data[:_MAX_STRING], site)
    if size <= 4:
        memory.store(where, found.data)
        return STATUS_SUCCESS
    room = signed(memory.u32(where), 32)
    if room < 0:
        if -room < size:
            return STATUS_BUFFER_TOO_SMALL
        memory.store(where, found.data)
        return STATUS_SUCCESS
    if room < 8 + size:
        return STATUS_BUFFER_TOO_SMALL
    memory.store(where, struct.pack("<II", size, found.kind) + found.data)
    return STATUS_SUCCESS


def _store_string(system: System, string: int, data: bytes, site: CallSite | None) -> int:
    _, maximum, buffer = string_parts(system, string)
    if not buffer:
        maximum = len(data)
        buffer = system.pool.allocate(maximum, _TAG, paged=True, site=site)
        if not buffer:
            return STATUS_NO_MEMORY
    elif len(data) > maximum:
        return STATUS_BUFFER_TOO_SMALL
    system.memory.store(buffer, data)
    system.memory.store(string, encode_unicode_string(max(len(data) - 2, 0), maximum, buffer))
    return STATUS_SUCCESS
