"""Where a mapped image exports a name: its export directory, read out of a halted target's memory.

Format: Microsoft, PE Format, "The .edata Section". The names are sorted, so that few of them are read.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.breakpoints.targetreader import Read
from harness.errors import RigError

__all__ = ["MAX_NAMES", "ExportTable"]

MAX_NAMES: Final = 0x10000
"""Exported names that an image may have; Windows' kernel has about 3,000."""
MAX_IMAGE: Final = 1 << 30
"""Bytes of an image; an offset beyond them is taken for damage."""
_LONGEST: Final = 0x80
"""Characters of a name that are read. Longer ones exist, but not among those that are looked for."""
_PAGE: Final = 0x1000

_DIRECTORY_OF_MAGIC: Final = {0x10B: 0x60, 0x20B: 0x70}
"""Optional header's magic (PE32, PE32+) → where in it the data directories begin, the exports first."""
_TABLES: Final = struct.Struct("<20xIIIII")
"""IMAGE_EXPORT_DIRECTORY from NumberOfFunctions on: functions, names, and the three tables."""


class ExportTable:
    """The exports of the image that is mapped at ``base``.

    :raises RigError: no image with exports lies there, or it cannot be read.
    """

    def __init__(self, read: Read, base: int) -> None:
        self._read = read
        self._base = base
        header = read(base, 0x40)
        at = int.from_bytes(header[0x3C:0x40], "little")
        if header[:2] != b"MZ" or at > _PAGE:
            raise RigError(f"no image is mapped at 0x{base:016x}")
        optional = read(base + at, 0x18 + 0x78)
        directory_at = _DIRECTORY_OF_MAGIC.get(int.from_bytes(optional[0x18:0x1A], "little"))
        if optional[:4] != b"PE\0\0" or directory_at is None:
            raise RigError(f"the image at 0x{base:016x} has no headers that are understood")
        self._start, self._size = struct.unpack_from("<II", optional, 0x18 + directory_at)
        if not self._start or self._start > MAX_IMAGE or self._size > MAX_IMAGE:
            raise RigError(f"the image at 0x{base:016x} exports nothing")
        self._functions, self._names, *tables = _TABLES.unpack(read(base + self._start, _TABLES.size))
        self._function_table, self._name_table, self._ordinal_table = tables
        if max(self._functions, self._names) > MAX_NAMES or max(tables) > MAX_IMAGE:
            raise RigError(f"the export directory of the image at 0x{base:016x} is damaged")

    def find(self, name: str) -> int | None:
        """The address of an export; None where there is none of that name, or it is forwarded."""
        wanted = name.encode("ascii")
        low, high = 0, self._names
        while low < high:
            middle = (low + high) // 2
            found = self._name(middle)
            if found == wanted:
                return self._address(middle)
            if found < wanted:
                low = middle + 1
            else:
                high = middle
        return None

    def _name(self, number: int) -> bytes:
        at = self._base + self._number(self._name_table + 4 * number, 4)
        # No further than the page's end: what lies behind it need not be mapped.
        text = self._read(at, min(_LONGEST, _PAGE - at % _PAGE)).split(b"\0", 1)
        if len(text) == 1 and len(text[0]) < _LONGEST:
            start = at + len(text[0])
            text = (text[0] + self._read(start, _LONGEST - len(text[0]))).split(b"\0", 1)
        return text[0]

    def _address(self, number: int) -> int | None:
        ordinal = self._number(self._ordinal_table + 2 * number, 2)
        if ordinal >= self._functions:
            return None
        offset = self._number(self._function_table + 4 * ordinal, 4)
        forwarded = self._start <= offset < self._start + self._size
        return None if forwarded or not offset else self._base + offset

    def _number(self, offset: int, size: int) -> int:
        value = int.from_bytes(self._read(self._base + offset, size), "little")
        if value > MAX_IMAGE:
            raise RigError(f"the export directory of the image at 0x{self._base:016x} is damaged")
        return value
