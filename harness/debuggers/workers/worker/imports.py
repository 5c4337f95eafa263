"""The functions that a loaded DLL imports, and how one is replaced (Microsoft, PE Format)."""

from __future__ import annotations

import ctypes
import sys
from typing import Iterator  # noqa: UP035 - collections.abc has no subscripts in 3.7

PAGE_READWRITE = 4
DIRECTORIES = ((1, 20, 0, 12, 16), (13, 32, 16, 4, 12))
"""Imports and delay-loaded imports: the directory's number, an entry's size, and where in it stand the names,
the DLL's name and the slots."""


class NotWritable(Exception):
    """A slot's page cannot be made writable."""


def imports(module: int) -> Iterator[tuple[str, int]]:
    """Every function that the module imports and the address of its slot; one without a name is called by its
    DLL and its ordinal, as in ``WS2_32#13``.

    :param module: base address.
    """

    def number(at: int, size: int = 4) -> int:
        return int.from_bytes(ctypes.string_at(module + at, size), "little")

    def text(at: int) -> str:
        return ctypes.string_at(module + at).decode("ascii", "replace")

    optional = number(0x3C) + 24
    wide = number(optional, 2) == 0x20B
    size = 8 if wide else 4
    by_ordinal = 1 << (8 * size - 1)
    directories = optional + (112 if wide else 96)
    for directory, length, names_at, dll_at, slots_at in DIRECTORIES:
        descriptor = number(directories + 8 * directory)
        while descriptor and number(descriptor + dll_at):
            dll = text(number(descriptor + dll_at)).upper().partition(".")[0]
            slot = number(descriptor + slots_at)
            names = number(descriptor + names_at) or slot
            while True:
                entry = number(names, size)
                if not entry:
                    break
                ordinal = entry & 0xFFFF
                name = f"{dll}#{ordinal}" if entry & by_ordinal else text(entry + 2)
                yield name, module + slot
                names, slot = names + size, slot + size
            descriptor += length


def read_slot(slot: int) -> int:
    """The address in it."""
    return ctypes.c_void_p.from_address(slot).value or 0


def write_slot(slot: int, value: int) -> None:
    """Have the import lead elsewhere."""
    if sys.platform != "win32":
        raise NotWritable
    protect = ctypes.windll.kernel32.VirtualProtect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32))
    old = ctypes.c_uint32()
    size = ctypes.sizeof(ctypes.c_void_p)
    if not protect(slot, size, PAGE_READWRITE, ctypes.byref(old)):
        raise NotWritable
    ctypes.c_void_p.from_address(slot).value = value
    protect(slot, size, old.value, ctypes.byref(old))
