"""Keeps a target from reaching the host through DbgEng.

A target can make DbgEng execute a debugger command (a command-string state change). ``.secure 1`` and
``.noshell`` forbid shells, process control, dumps and servers, but not everything: log files can be written
anywhere, ``.kdfiles`` can hand out any file, ``.load`` copies a DLL from another machine and runs it, a
symbol server may write what it likes to where the command says. So the functions by which DbgEng's DLLs
reach the host are redirected to ones that refuse (:mod:`refusals`): in their import tables, and where DbgEng
looks functions up by name, which it does when it starts. A DLL that imports a function which could reach the
host and is not known there is not used at all.

What a command may still do: read from local disks what looks like symbols, reach the symbol servers that the
user's environment or DbgEng itself names, and load an extension from the debugger's own folder. Those are
trusted: what they import is not looked at. A user's own command is held to the same.
"""

from __future__ import annotations

import ctypes
import ntpath
import os
import sys
from pathlib import Path
from typing import Any, Callable  # noqa: UP035 - collections.abc has no subscripts in 3.7

from imports import NotWritable, imports, read_slot, write_slot
from refusals import (
    FILE,
    FIND,
    LIBRARY,
    LOOK,
    REFUSALS,
    SEARCH,
    is_network,
    is_own_library,
    is_own_search,
    is_suspect,
    is_within,
)

ACCESS_DENIED = 5
GENERIC_READ = 0x80000000
OPEN_EXISTING = 3
ENGINE = "dbgeng.dll"
OTHERS = ("dbghelp.dll", "dbgmodel.dll", "symsrv.dll")
"""What DbgEng brings along to find symbols and to evaluate ``dx``; they may open local files."""
DEFAULT_SEARCH = ("srv*", "cache*", "srv*https://msdl.microsoft.com/download/symbols")
"""Where DbgEng looks for symbols when the user names no place, and what ``.symfix`` says."""
NEEDED = ("CreateProcessW", "CreateFileW", "LoadLibraryExW", "GetProcAddress")
"""A DbgEng that does not import these does it in a way that is not known here."""


class Unsealable(Exception):
    """This DbgEng's imports are not as expected."""


class Seal:
    """The redirected imports of DbgEng's DLLs, for as long as the process lives.

    :param denied: told what was refused: the function's name, the path or key, where it has one, and whether
        it was dbgeng.dll that called, which does so for a command; the others follow what symbols say.
    :param served: told which of the files that are served dbgeng.dll opens.
    """

    def __init__(self, denied: Callable[[str, str, bool], None], served: Callable[[str], None]) -> None:
        self.closed = False
        """Whether anything is refused yet: when DbgEng starts it looks functions up and sets its PATH."""
        self._denied = denied
        self._tell_served = served
        self._served: set[str] = set()
        self._kept: dict[tuple[str, int, bool], Any] = {}
        engine, path = _loaded(ENGINE)
        self._folder = ntpath.dirname(path)
        self._libraries = [self._folder, ntpath.join(os.environ.get("SYSTEMROOT", "C:\\Windows"), "system32")]
        self._known = known_searches(os.environ)
        modules = [(engine, True)]
        for name in OTHERS:
            path = ntpath.join(self._folder, name)
            if Path(path).exists():
                ctypes.CDLL(path)  # the one that is loaded is the one that DbgEng gets
                modules.append((_loaded(name)[0], False))
        slots = [(name, slot, strict) for module, strict in modules for name, slot in imports(module)]
        check(
            [name for name, _, strict in slots if strict], [name for name, _, strict in slots if not strict]
        )
        for name, slot, strict in slots:
            if name in REFUSALS:
                try:
                    write_slot(slot, self._replacement(name, read_slot(slot), strict))
                except NotWritable:
                    raise Unsealable("its import table cannot be written") from None

    def serve(self, file: str) -> None:
        """Let dbgeng.dll read that file, under exactly this full path, and the target have it."""
        self._served.add(ntpath.normcase(file))

    def _replacement(self, name: str, original: int, strict: bool) -> int:
        """The address of a function that refuses what ``original`` may not do; ``strict`` for dbgeng.dll."""
        key = (name, original, strict)
        if key not in self._kept:
            refusal = REFUSALS[name]
            call = refusal.prototype(original)

            def function(*args: Any) -> Any:
                texts = [_text(args[at]) for at in refusal.texts]
                if refusal.rule == FIND:
                    return self._found(args[1], call(*args), strict)
                if strict and refusal.rule == FILE and self._serves(texts[0], args):
                    self._tell_served(texts[0])
                    return call(*args)
                if self._may(refusal.rule, texts, args, strict):
                    return call(*args)
                self._denied(name, " ".join(texts), strict)
                if sys.platform == "win32":
                    ctypes.set_last_error(ACCESS_DENIED)
                return refusal.result

            self._kept[key] = refusal.prototype(function)
        return ctypes.cast(self._kept[key], ctypes.c_void_p).value or 0

    def _serves(self, path: str, args: tuple[Any, ...]) -> bool:
        return is_reading(args) and ntpath.normcase(path) in self._served

    def _may(self, rule: str, texts: list[str], args: tuple[Any, ...], strict: bool) -> bool:
        if not self.closed:
            return True
        if rule == LOOK or (rule == FILE and not strict):
            return not any(is_network(text) for text in texts)
        if rule == LIBRARY:
            return is_own_library(texts[0], self._libraries)
        if rule == SEARCH:
            return is_own_search(texts[0], self._known)
        return rule == FILE and is_reading(args) and is_within(texts[0], self._folder)

    def _found(self, name: int, address: int | None, strict: bool) -> int | None:
        """What GetProcAddress may say."""
        if not address or name < 0x10000:
            return address
        text = ctypes.string_at(name).decode("ascii", "replace")
        if text in REFUSALS:
            return self._replacement(text, address, strict)
        if is_suspect(text):
            if self.closed:
                self._denied("GetProcAddress", text, strict)
            return None
        return address


def is_reading(args: tuple[Any, ...]) -> bool:
    """Whether a call with these arguments opens a file that is there, to read it: CreateFile's."""
    return len(args) == 7 and args[1] == GENERIC_READ and args[4] == OPEN_EXISTING


def check(engine: list[str], others: list[str]) -> None:
    """Whether these imports, of dbgeng.dll and of the DLLs beside it, are all known; raises what is not."""
    missing = [name for name in NEEDED if name not in engine]
    if missing:
        raise Unsealable("it does not import " + " and ".join(missing))
    unknown = sorted({name for name in engine + others if is_suspect(name) and name not in REFUSALS})
    if unknown:
        raise Unsealable("it imports " + ", ".join(unknown) + ", of which no refusal is known")


def known_searches(environment: Any) -> set[str]:
    """The parts of the search paths that the user chose."""
    known = set(DEFAULT_SEARCH)
    for name, value in environment.items():
        if name.upper().startswith("_NT_"):
            known.update(part.lower() for part in value.split(";"))
    return known


def _loaded(name: str) -> tuple[int, str]:
    """Base address and path of a DLL in this process."""
    if sys.platform != "win32":
        raise SystemExit("DbgEng needs Windows, or Wine")
    kernel = ctypes.WinDLL("kernel32")
    kernel.GetModuleHandleW.restype = ctypes.c_void_p
    kernel.GetModuleFileNameW.argtypes = (ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32)
    base = int(kernel.GetModuleHandleW(name) or 0)
    path = ctypes.create_unicode_buffer(32768)
    kernel.GetModuleFileNameW(base, path, len(path))
    return base, path.value


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("mbcs", "replace") if sys.platform == "win32" else ""
    return str(value or "")
