"""Physical memory of the virtual target: a page frame for every mapped page, and x64 page tables that say so.

The emulator has virtual memory alone. Each mapped virtual page gets a page frame number when it is first seen
and keeps it; the four levels of tables (Intel SDM vol. 3, 4.5) are built from that map, so a debugger that
walks CR3 finds the same bytes as one that reads virtual memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from harness.virtual.interfaces import KernelMemory

__all__ = ["PAGE_SIZE", "PhysicalMemory"]

PAGE_SIZE: Final = 0x1000
_PAGE_SHIFT: Final = 12
_FIRST_DATA_FRAME: Final = 0x1000
"""Page tables take the frames below; their number is bounded by it."""

_PRESENT: Final = 1
_WRITABLE: Final = 2
_USER: Final = 4
_ACCESSED: Final = 0x20
_DIRTY: Final = 0x40
_NO_EXECUTE: Final = 1 << 63
_USER_HALF: Final = 1 << 47
_ADDRESS_BITS: Final = (1 << 48) - 1


class PhysicalMemory:
    """Physical reads and writes, page tables included.

    :param memory: the target's virtual memory.
    :param ranges: answers the mapped ranges ``(address, size)``, page aligned.
    :param directory_table_base: physical address of the PML4 (CR3).
    """

    def __init__(
        self,
        memory: KernelMemory,
        ranges: Callable[[], Iterable[tuple[int, int]]],
        *,
        directory_table_base: int,
    ) -> None:
        self._memory = memory
        self._ranges = ranges
        self._root = directory_table_base >> _PAGE_SHIFT
        self._known_ranges: tuple[tuple[int, int], ...] | None = None
        self._frame_of: dict[int, int] = {}
        self._page_of: dict[int, int] = {}
        self._tables: dict[int, bytearray] = {}
        self._table_at: dict[tuple[int, int], int] = {}

    def _refresh(self) -> None:
        """Take up what was mapped or unmapped since the last call."""
        ranges = tuple(sorted(self._ranges()))
        if ranges == self._known_ranges:
            return
        self._known_ranges = ranges
        pages = [
            page
            for address, size in ranges
            for page in range(address >> _PAGE_SHIFT, (address + size) >> _PAGE_SHIFT)
        ]
        self._tables = {self._root: bytearray(PAGE_SIZE)}
        self._table_at = {}
        self._page_of = {}
        for page in pages:
            frame = self._frame_of.setdefault(page, _FIRST_DATA_FRAME + len(self._frame_of))
            self._page_of[frame] = page
            self._enter(page, frame)

    def read(self, address: int, size: int) -> bytes:
        """At most ``size`` bytes: fewer where a frame is reached that holds nothing."""
        self._refresh()
        data = b""
        while len(data) < size:
            at = address + len(data)
            offset = at & (PAGE_SIZE - 1)
            wanted = min(size - len(data), PAGE_SIZE - offset)
            piece = self._read_frame(at >> _PAGE_SHIFT, offset, wanted)
            data += piece
            if len(piece) < wanted:
                break
        return data

    def write(self, address: int, data: bytes) -> int:
        """Write as far as frames hold memory; the number of bytes written. Page tables are read-only: the
        emulator would not follow them."""
        self._refresh()
        written = 0
        while written < len(data):
            at = address + written
            offset = at & (PAGE_SIZE - 1)
            piece = data[written : written + PAGE_SIZE - offset]
            page = self._page_of.get(at >> _PAGE_SHIFT)
            if page is None or not self._memory.write((page << _PAGE_SHIFT) + offset, piece):
                break
            written += len(piece)
        return written

    def _read_frame(self, frame: int, offset: int, size: int) -> bytes:
        table = self._tables.get(frame)
        if table is not None:
            return bytes(table[offset : offset + size])
        page = self._page_of.get(frame)
        return b"" if page is None else self._memory.read((page << _PAGE_SHIFT) + offset, size)

    def _enter(self, page: int, frame: int) -> None:
        address = page << _PAGE_SHIFT & _ADDRESS_BITS
        access = _USER if address < _USER_HALF else 0
        table = self._tables[self._root]
        for shift in (39, 30, 21):
            table = self._next_table(table, address, shift, access)
        protection = self._memory.protection(page << _PAGE_SHIFT) or "r"
        entry = frame << _PAGE_SHIFT | _PRESENT | _ACCESSED | access
        if "w" in protection:
            entry |= _WRITABLE | _DIRTY
        if "x" not in protection:
            entry |= _NO_EXECUTE
        _set_entry(table, address >> _PAGE_SHIFT & 0x1FF, entry)

    def _next_table(self, table: bytearray, address: int, shift: int, access: int) -> bytearray:
        key = (shift, address >> shift)
        frame = self._table_at.get(key)
        if frame is None:
            frame = self._table_at[key] = self._root + len(self._tables)
            if frame >= _FIRST_DATA_FRAME:
                raise ValueError("the target's address space needs more page tables than there is room for")
            self._tables[frame] = bytearray(PAGE_SIZE)
            entry = frame << _PAGE_SHIFT | _PRESENT | _WRITABLE | _ACCESSED | _DIRTY | access
            _set_entry(table, address >> shift & 0x1FF, entry)
        return self._tables[frame]


def _set_entry(table: bytearray, index: int, entry: int) -> None:
    table[8 * index : 8 * index + 8] = entry.to_bytes(8, "little")
