"""Functions and lines of a driver, as Windows' own dbghelp.dll reads them from its .pdb.

The library is the system's and reads files that nobody vouches for, so it does that in a process of its own,
which is given :data:`SECONDS`: ``python -m harness.dbghelp DRIVER.sys`` prints the table. Symbol servers and
the environment's symbol path are left alone: what is not in the driver's folder is not there.

Sources: Microsoft, *SymLoadModuleExW*, *SymEnumSymbolsW*, *SymQueryInlineTrace*, *SymFromInlineContextW*,
*SymGetLineFromInlineContextW*, *SymSetOptions* (dbghelp.h).
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any, Final, NamedTuple

import pefile

__all__ = [
    "MAX_CODE",
    "MAX_FUNCTIONS",
    "SECONDS",
    "CodeLine",
    "CodeLines",
    "own_frame",
    "pdb_name",
    "read_lines",
]

SECONDS: Final = 60
"""How long the process may take."""
MAX_FUNCTIONS: Final = 100_000
"""Functions that are looked at."""
MAX_CODE: Final = 1 << 20
"""Bytes of functions that are looked at, one by one: a few seconds."""
_MAX_NAME: Final = 1024
"""Characters of a symbol's name."""
_MAX_DEPTH: Final = 64
"""Functions inlined in one another."""
_NOT_INLINED: Final = 0xFFFF_FFFF
"""INLINE_FRAME_CONTEXT_IGNORE."""
_MAX_PDB_NAME: Final = 255
_BASE: Final = 0x1_0000_0000
"""Where the library is told that the driver lies; any address does."""
_PROCESS: Final = 0x70726F63
"""What stands for the process whose symbols these are; it need not be one."""
_OPTIONS: Final = 0x2 | 0x10 | 0x200 | 0x400 | 0x1000 | 0x8_0000 | 0x200_0000
"""SYMOPT_UNDNAME, LOAD_LINES, FAIL_CRITICAL_ERRORS, EXACT_SYMBOLS, IGNORE_NT_SYMPATH, NO_PROMPTS,
DISABLE_SYMSRV_AUTODETECT."""
_FUNCTION: Final = 5
"""SymTagFunction."""
_SYSTEM_FOLDER: Final = 0x800
"""LOAD_LIBRARY_SEARCH_SYSTEM32."""
_NO_DIALOGS: Final = 0x1 | 0x2 | 0x8000
"""SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SEM_NOOPENFILEERRORBOX."""


class CodeLine(NamedTuple):
    """A stretch of code of one line."""

    rva: int
    end: int
    """Behind its last byte."""
    function: str
    file: str
    """As the compiler was told it, with its folder."""
    line: int


def own_frame(frames: Sequence[tuple[str, str, int]]) -> tuple[str, str, int]:
    """Of function, file and line of code that was inlined, the innermost first, those to tell: a line of the
    driver's own says more than one of a header's inline function."""
    return next((frame for frame in frames if not frame[1].lower().endswith(".h")), frames[0])


class CodeLines:
    """All lines of a driver.

    :param lines: in any order.
    """

    def __init__(self, lines: list[CodeLine]) -> None:
        self._lines = sorted(lines)
        self._starts = [line.rva for line in self._lines]

    def at(self, rva: int) -> CodeLine | None:
        """The line whose code lies there."""
        index = bisect_right(self._starts, rva) - 1
        if index < 0 or rva >= self._lines[index].end:
            return None
        return self._lines[index]


def read_lines(image: bytes, pdb: bytes) -> CodeLines | None:
    """The lines that ``pdb`` has for the driver ``image``; None where it is not its own, or damaged."""
    name = pdb_name(image)
    if name is None:
        return None
    with tempfile.TemporaryDirectory(prefix="procnotify-", ignore_cleanup_errors=True) as folder:
        driver = Path(folder, "driver.sys")
        driver.write_bytes(image)
        driver.with_name(name).write_bytes(pdb)
        command = [sys.executable, "-m", __name__, str(driver)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return None
    if done.returncode != 0:
        return None
    try:
        return CodeLines([CodeLine(*row) for row in json.loads(done.stdout)])
    except (TypeError, ValueError):
        return None


def pdb_name(image: bytes) -> str | None:
    """What the driver calls its .pdb, without the folder: under that name the library looks for it."""
    try:
        pe = pefile.PE(data=image, fast_load=True)
        pe.parse_data_directories([pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_DEBUG"]])
        records = [entry.entry for entry in getattr(pe, "DIRECTORY_ENTRY_DEBUG", ())]
        names = [record.PdbFileName for record in records if hasattr(record, "PdbFileName")]
        text = names[0].rstrip(b"\0").decode("utf-8")
    except (pefile.PEFormatError, AttributeError, IndexError, ValueError):
        return None
    name = PureWindowsPath(text).name
    fits = name.lower().endswith(".pdb") and len(name) <= _MAX_PDB_NAME and name.isprintable()
    return name if fits and not set(name) & set('<>:"|?*/\\') else None


class _SymbolInfo(ctypes.Structure):
    _fields_ = (
        ("SizeOfStruct", ctypes.c_uint32),
        ("TypeIndex", ctypes.c_uint32),
        ("Reserved", ctypes.c_uint64 * 2),
        ("Index", ctypes.c_uint32),
        ("Size", ctypes.c_uint32),
        ("ModBase", ctypes.c_uint64),
        ("Flags", ctypes.c_uint32),
        ("Value", ctypes.c_uint64),
        ("Address", ctypes.c_uint64),
        ("Register", ctypes.c_uint32),
        ("Scope", ctypes.c_uint32),
        ("Tag", ctypes.c_uint32),
        ("NameLen", ctypes.c_uint32),
        ("MaxNameLen", ctypes.c_uint32),
        ("Name", ctypes.c_uint16 * 1),
    )


class _LongSymbolInfo(ctypes.Structure):
    _fields_ = (("head", _SymbolInfo), ("more", ctypes.c_uint16 * _MAX_NAME))


class _Line(ctypes.Structure):
    _fields_ = (
        ("SizeOfStruct", ctypes.c_uint32),
        ("Key", ctypes.c_void_p),
        ("LineNumber", ctypes.c_uint32),
        ("FileName", ctypes.c_wchar_p),
        ("Address", ctypes.c_uint64),
    )


def _library() -> Any:
    load = getattr(ctypes, "WinDLL", None)
    if load is None:
        raise OSError("dbghelp.dll is Windows' own")
    load("kernel32.dll").SetErrorMode(_NO_DIALOGS)
    library = load("dbghelp.dll", winmode=_SYSTEM_FOLDER)
    handle, dword, address = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    wide, pointer = ctypes.c_wchar_p, ctypes.c_void_p
    library.SymInitializeW.argtypes = (handle, wide, ctypes.c_int)
    library.SymLoadModuleExW.argtypes = (handle, handle, wide, wide, address, dword, pointer, dword)
    library.SymLoadModuleExW.restype = address
    library.SymEnumSymbolsW.argtypes = (handle, address, wide, pointer, pointer)
    library.SymAddrIncludeInlineTrace.argtypes = (handle, address)
    library.SymAddrIncludeInlineTrace.restype = dword
    library.SymQueryInlineTrace.argtypes = (handle, address, dword, address, address, pointer, pointer)
    library.SymFromInlineContextW.argtypes = (handle, address, dword, pointer, pointer)
    library.SymGetLineFromInlineContextW.argtypes = (handle, address, dword, address, pointer, pointer)
    return library


def _name(symbol: _SymbolInfo) -> str:
    start = ctypes.addressof(symbol) + _SymbolInfo.Name.offset
    return ctypes.wstring_at(start, min(symbol.NameLen, _MAX_NAME)).rstrip("\0")


def _functions(library: Any) -> list[tuple[int, int]]:
    """Address and size of every function that has a size."""
    found: list[tuple[int, int]] = []

    def visit(info: Any, _size: int, _context: int) -> int:
        symbol = info.contents
        if symbol.Tag == _FUNCTION and symbol.Size:
            found.append((symbol.Address, symbol.Size))
        return len(found) < MAX_FUNCTIONS

    kind = ctypes.WINFUNCTYPE(  # type: ignore[attr-defined,unused-ignore]  # Windows alone has it
        ctypes.c_int, ctypes.POINTER(_SymbolInfo), ctypes.c_uint32, ctypes.c_void_p
    )
    callback = kind(visit)
    library.SymEnumSymbolsW(_PROCESS, _BASE, "*", ctypes.cast(callback, ctypes.c_void_p), None)
    return found


def _frames_at(library: Any, start: int, address: int) -> Iterator[tuple[str, str, int]]:
    """Function, file and line of the code at an address of the function that begins at ``start``; those that
    were inlined there come first, the innermost first of all."""
    depth = library.SymAddrIncludeInlineTrace(_PROCESS, address)
    inline, index = ctypes.c_uint32(), ctypes.c_uint32()
    if depth and library.SymQueryInlineTrace(
        *(_PROCESS, start, 0, 0, address, ctypes.byref(inline), ctypes.byref(index))
    ):
        for context in range(inline.value, inline.value + min(depth, _MAX_DEPTH)):
            yield from _frame(library, address, context)
    yield from _frame(library, address, _NOT_INLINED)


def _frame(library: Any, address: int, context: int) -> Iterator[tuple[str, str, int]]:
    line, info = _Line(SizeOfStruct=ctypes.sizeof(_Line)), _LongSymbolInfo()
    info.head.SizeOfStruct, info.head.MaxNameLen = ctypes.sizeof(_SymbolInfo), _MAX_NAME
    offset, far_offset = ctypes.c_uint32(), ctypes.c_uint64()
    if library.SymFromInlineContextW(
        *(_PROCESS, address, context, ctypes.byref(far_offset), ctypes.byref(info))
    ) and library.SymGetLineFromInlineContextW(
        *(_PROCESS, address, context, _BASE, ctypes.byref(offset), ctypes.byref(line))
    ):
        yield _name(info.head), line.FileName or "", line.LineNumber


def _lines_of(library: Any, start: int, size: int) -> Iterator[CodeLine]:
    """Where the code of a function has which line: one after the other."""
    for address in range(start, start + size):
        frames = [frame for frame in _frames_at(library, start, address) if frame[1] and frame[2]]
        if frames:
            yield CodeLine(address - _BASE, address + 1 - _BASE, *own_frame(frames))


def _joined(lines: Iterable[CodeLine]) -> list[CodeLine]:
    """The same with one entry where the addresses before and behind a boundary say the same."""
    found: list[CodeLine] = []
    for line in lines:
        if found and found[-1].end == line.rva and found[-1][2:] == line[2:]:
            found[-1] = found[-1]._replace(end=line.end)
        else:
            found.append(line)
    return found


def _main(driver: str) -> int:
    library = _library()
    library.SymSetOptions(_OPTIONS)
    folder = str(Path(driver).parent)
    if not library.SymInitializeW(_PROCESS, folder, 0):
        return 1
    if not library.SymLoadModuleExW(_PROCESS, None, driver, None, _BASE, 0, None, 0):
        return 1
    rows, looked = list[CodeLine](), 0
    for start, size in _functions(library):
        looked += size
        if looked > MAX_CODE:
            break
        rows += _joined(_lines_of(library, start, size))
    json.dump(rows, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
