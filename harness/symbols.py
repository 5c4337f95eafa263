"""Functions and lines of addresses in a driver, from the .pdb that was made with it.

Read by `symbolic`, or on Windows, for which that has no build, by the system's own dbghelp.dll. Where the
.pdb is missing or another build's, an address stays what it is.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PureWindowsPath
from typing import Any, Final, NamedTuple

from harness.dbghelp import CodeLines, own_frame, read_lines
from harness.files import read_file

__all__ = ["MAX_PDB", "DriverSymbols", "SourcePlace", "with_source"]

MAX_PDB: Final = 256 << 20
"""Largest .pdb that is read, in bytes."""
_PLACE: Final = re.compile(
    r"(\b(?:instruction|routine) at )?(?<![\w.\\/])([^\s\\/+()]+\.sys)\+0x([0-9a-f]{1,8})\b", re.IGNORECASE
)
"""With what begins at the place; otherwise it is where a call returns to."""


class SourcePlace(NamedTuple):
    """Where an address is in the source."""

    function: str
    file: str
    """Its name without its folder."""
    line: int

    def __str__(self) -> str:
        return f"{self.function}, {self.file}:{self.line}"


class DriverSymbols:
    """The symbols of one driver; read when they are first asked for.

    :param image: the driver's file.
    :param pdb: of the .pdb beside it, which need not exist.
    """

    def __init__(self, image: bytes, pdb: Path) -> None:
        self._image = image
        self._pdb = pdb

    def place_of(self, rva: int) -> SourcePlace | None:
        """Where the instruction is that holds the byte at ``rva``, bytes from the image's base; of a call
        that is the byte before where it returns to. None where nothing is known."""
        if sys.platform == "win32":
            code = self._lines.at(rva) if self._lines is not None else None
            return code and SourcePlace(code.function, PureWindowsPath(code.file).name, code.line)
        if self._cache is None:
            return None
        # Code of the linker's own has a name and no line.
        found = [place for place in self._cache.lookup(rva) if place.full_path and place.line]
        if not found:
            return None
        function, path, line = own_frame([(place.symbol, place.full_path, place.line) for place in found])
        return SourcePlace(function.partition("(")[0], PureWindowsPath(path).name, line)

    @cached_property
    def _lines(self) -> CodeLines | None:
        try:
            return read_lines(self._image, read_file(self._pdb, limit=MAX_PDB))
        except OSError:
            return None

    @cached_property
    def _cache(self) -> Any:
        if importlib.util.find_spec("symbolic") is None:
            return None
        from symbolic.debuginfo import Archive
        from symbolic.exceptions import SymbolicError

        try:
            # An archive reads the bytes where they lie, and an object its archive: each has to live on here.
            contents = (self._image, read_file(self._pdb, limit=MAX_PDB))
            archives = [Archive.from_bytes(content) for content in contents]
            image, pdb = (next(archive.iter_objects()) for archive in archives)
            return pdb.make_symcache() if image.debug_id == pdb.debug_id else None
        except (OSError, SymbolicError, StopIteration):
            return None


def with_source(text: str, symbols: Mapping[str, DriverSymbols]) -> str:
    """``text`` with function and line behind every ``driver.sys+0x1234``.

    That is where a call returns to, and the call is meant, unless the text says that the ``instruction at``
    or the ``routine at`` this place is.

    :param symbols: by the driver's file name in lower case.
    """

    def place(found: re.Match[str]) -> str:
        begins, file, rva = found.groups()
        known = symbols.get(file.lower())
        source = None if known is None else known.place_of(int(rva, 16) - (begins is None))
        return found[0] if source is None else f"{found[0]} ({source})"

    return _PLACE.sub(place, text)
