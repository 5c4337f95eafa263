"""Keeps a target from reaching the host through DbgEng.

A target can make DbgEng execute a debugger command (a command-string state change). ``.secure 1`` and
``.noshell`` forbid shells, process control, dumps and UNC paths, but not everything: log files can be written
anywhere and ``.kdfiles`` can hand out any file. While the target may act, the functions by which dbgeng.dll
opens files and starts programs are therefore redirected, in its import table, to ones that refuse.

Loading an extension DLL from a local disk stays possible: a target cannot put one there.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import Any, Callable, Iterator  # noqa: UP035 - collections.abc has no subscripts in 3.7

INVALID_HANDLE = -1
ACCESS_DENIED = 5
PAGE_READWRITE = 4

NEEDED = ("CreateProcessW", "CreateFileW")
"""A DbgEng that does not import these opens files in a way that is not known here."""


class Unsealable(Exception):
    """This DbgEng's imports are not as expected."""


class Seal:
    """The redirected imports of one module.

    :param module: base address of the loaded DLL.
    :param denied: told what was refused: the function's name and the path or command line, where it has one.
    """

    def __init__(self, module: int, denied: Callable[[str, str], None]) -> None:
        self._denied = denied
        self._closed = False
        self._kept: list[Any] = []
        self.functions = [name for name, slot in _imports(module) if self._redirect(name, slot)]
        missing = [name for name in NEEDED if name not in self.functions]
        if missing:
            raise Unsealable("it does not import " + " and ".join(missing))

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """The target may act: nothing may be opened or started."""
        self._closed = True
        try:
            yield
        finally:
            self._closed = False

    def _redirect(self, name: str, slot: int) -> bool:
        entry = _REFUSALS.get(name)
        if entry is None:
            return False
        prototype, refusal, text_at = entry
        original = prototype(ctypes.c_void_p.from_address(slot).value)

        def function(*args: Any) -> Any:
            if not self._closed:
                return original(*args)
            self._denied(name, "" if text_at is None else _text(args[text_at]))
            _kernel32().SetLastError(ACCESS_DENIED)
            return refusal

        replacement = prototype(function)
        self._kept.append(replacement)
        _write_pointer(slot, ctypes.cast(replacement, ctypes.c_void_p).value or 0)
        return True


def _kernel32() -> Any:
    return ctypes.windll.kernel32 if sys.platform == "win32" else None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("mbcs", "replace") if sys.platform == "win32" else ""
    return str(value or "")


def _imports(module: int) -> Iterator[tuple[str, int]]:
    """Every function that the module imports by name, and the address of its slot (Microsoft, PE Format)."""

    def number(at: int, size: int = 4) -> int:
        return int.from_bytes(ctypes.string_at(module + at, size), "little")

    optional = number(0x3C) + 24
    wide = number(optional, 2) == 0x20B
    size = 8 if wide else 4
    by_ordinal = 1 << (8 * size - 1)
    descriptor = number(optional + (112 if wide else 96) + 8)
    while number(descriptor + 12):
        names, slot = number(descriptor) or number(descriptor + 16), number(descriptor + 16)
        while True:
            entry = number(names, size)
            if not entry:
                break
            if not entry & by_ordinal:
                yield ctypes.string_at(module + entry + 2).decode("ascii", "replace"), module + slot
            names, slot = names + size, slot + size
        descriptor += 20


def _write_pointer(slot: int, value: int) -> None:
    protect = _kernel32().VirtualProtect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32))
    old = ctypes.c_uint32()
    size = ctypes.sizeof(ctypes.c_void_p)
    if not protect(slot, size, PAGE_READWRITE, ctypes.byref(old)):
        raise Unsealable("its import table cannot be written")
    ctypes.c_void_p.from_address(slot).value = value
    protect(slot, size, old.value, ctypes.byref(old))


def _prototypes() -> dict[str, tuple[Any, Any, Any]]:
    """Imported name → its prototype, what a refusal returns, and which argument is worth telling."""
    if sys.platform != "win32":
        return {}
    stdcall, cdecl = ctypes.WINFUNCTYPE, ctypes.CFUNCTYPE
    pointer, dword, wide, narrow = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_wchar_p, ctypes.c_char_p
    number = ctypes.c_int
    handle = ctypes.c_ssize_t
    rest_of_create_file = (dword, dword, pointer, dword, dword, pointer)
    create_process = stdcall(
        *(number, wide, pointer, pointer, pointer, number, dword, pointer, pointer, pointer, pointer)
    )
    open_stream = cdecl(pointer, wide, wide)
    spawn = cdecl(handle, number, narrow, pointer, pointer, pointer, pointer)
    set_value = stdcall(number, pointer, wide, dword, dword, pointer, dword)
    return {
        "CreateFileW": (stdcall(handle, wide, *rest_of_create_file), INVALID_HANDLE, 0),
        "CreateFileA": (stdcall(handle, narrow, *rest_of_create_file), INVALID_HANDLE, 0),
        "CreateProcessW": (create_process, 0, None),
        "DeleteFileW": (stdcall(number, wide), 0, 0),
        "DeleteFileA": (stdcall(number, narrow), 0, 0),
        "RegSetValueExW": (set_value, ACCESS_DENIED, 1),
        "_o__wfopen": (open_stream, None, 0),
        "_wfopen": (open_stream, None, 0),
        "_spawnlp": (spawn, -1, 1),
    }


_REFUSALS = _prototypes()
