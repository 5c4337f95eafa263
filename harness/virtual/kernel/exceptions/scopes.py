"""The scope table: the ``__try`` blocks of a C function, innermost first (SCOPE_TABLE_AMD64, winnt.h)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from harness.virtual.kernel.exceptions.unwindinfo import BadUnwindInfo, Read

__all__ = ["MAX_SCOPES", "Scope", "read_scopes"]

MAX_SCOPES: Final = 4096
"""Entries that one function may have."""
_ENTRY: Final = struct.Struct("<IIII")


class Scope(NamedTuple):
    """One ``__try`` block, all of it RVAs."""

    begin: int
    end: int
    handler: int
    """The filter of an ``__except`` (:attr:`ALWAYS`: none is needed), or the ``__finally``."""
    target: int
    """The ``__except`` block; 0: it is a ``__finally``."""

    @property
    def is_finally(self) -> bool:
        """It ends with a ``__finally``."""
        return self.target == 0

    @property
    def always(self) -> bool:
        """``__except (EXCEPTION_EXECUTE_HANDLER)``."""
        return self.handler == 1

    def holds(self, rva: int) -> bool:
        """The block has the instruction."""
        return self.begin <= rva < self.end


def read_scopes(read: Read, address: int) -> tuple[Scope, ...]:
    """The table at ``address``, which a language handler is given as its data.

    :raises BadUnwindInfo: it is damaged.
    """
    count = int.from_bytes(_read(read, address, 4), "little")
    if count > MAX_SCOPES:
        raise BadUnwindInfo(f"a scope table of {count} entries")
    raw = _read(read, address + 4, count * _ENTRY.size)
    return tuple(Scope(*entry) for entry in _ENTRY.iter_unpack(raw))


def _read(read: Read, address: int, size: int) -> bytes:
    data = read(address, size)
    if len(data) != size:
        raise BadUnwindInfo(f"0x{address:x}+0x{size:x} is not mapped")
    return data
