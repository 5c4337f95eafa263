"""What the load configuration of a driver asks for: the security cookie, and control-flow guard.

Without a cookie of its own a driver ends itself at its entry. The guard pointers of a driver that was linked
with /guard:cf lead to the kernel's routines, as with memory integrity (HVCI); those of another one only where
they lead nowhere. Source: Microsoft, PE Format, *The Load Configuration Structure (Image Only)*.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

__all__ = ["DEFAULT_COOKIE", "MAX_GUARDED", "guard_targets", "set_load_config"]

DEFAULT_COOKIE: Final = 0x2B99_2DDF_A232
"""What the compiler puts into ``__security_cookie``: a cookie that nobody has set."""
MAX_GUARDED: Final = 1 << 20
"""Functions in a table of the control-flow guard at most; a longer one is read so far."""
_COOKIE: Final = 0x58
_GUARDS: Final = ((0x70, "_guard_check_icall"), (0x78, "_guard_dispatch_icall"))
"""Offsets of GuardCFCheckFunctionPointer and GuardCFDispatchFunctionPointer, and the kernel's routines."""
_TABLE, _COUNT, _FLAGS = 0x80, 0x88, 0x90
"""Offsets of GuardCFFunctionTable, GuardCFFunctionCount and GuardFlags."""
_TABLE_PRESENT: Final = 0x400
"""IMAGE_GUARD_CF_FUNCTION_TABLE_PRESENT."""
_EXTRA_BYTES: Final = 28
"""Where the number of bytes behind each address of the table stands in GuardFlags."""
_SUPPRESSED: Final = 0x1
"""IMAGE_GUARD_FLAG_FID_SUPPRESSED, in the first of those bytes: no target after all."""
_SPREAD: Final = 0x9E37_79B9_7F4A_7C15
_COOKIE_MASK: Final = (1 << 48) - 1
"""The upper 16 bits are 0, so that a string that runs over it ends before it."""


class _LoadConfig:
    """The structure in an image that is mapped at ``base``."""

    def __init__(self, mapped: bytearray, rva: int, base: int) -> None:
        self._mapped = mapped
        self._rva = rva
        self._base = base
        self._size = 0
        if rva and rva + 4 <= len(mapped):
            (self._size,) = struct.unpack_from("<I", mapped, rva)

    def word(self, offset: int, form: str = "<Q") -> int | None:
        """The field there; None where the structure has none."""
        end = offset + struct.calcsize(form)
        if end > self._size or self._rva + end > len(self._mapped):
            return None
        (value,) = struct.unpack_from(form, self._mapped, self._rva + offset)
        return int(value)

    def pointed_to(self, offset: int) -> int | None:
        """RVA of the 8 bytes in the image that the field points to, if it does."""
        address = self.word(offset)
        if address is None or not 0 < address - self._base <= len(self._mapped) - 8:
            return None
        return address - self._base


def set_load_config(
    mapped: bytearray, rva: int, base: int, symbol: Callable[[str], int], *, guarded: bool
) -> None:
    """Set them in an image that lies at ``base``; what points out of the image is left alone.

    :param rva: of its load configuration; 0: it has none.
    """
    config = _LoadConfig(mapped, rva, base)
    cookie = config.pointed_to(_COOKIE)
    if cookie is not None and struct.unpack_from("<Q", mapped, cookie)[0] == DEFAULT_COOKIE:
        struct.pack_into("<Q", mapped, cookie, (base * _SPREAD & _COOKIE_MASK) | 1)
    for offset, routine in _GUARDS:
        slot = config.pointed_to(offset)
        if slot is not None and (guarded or not struct.unpack_from("<Q", mapped, slot)[0]):
            struct.pack_into("<Q", mapped, slot, symbol(routine))


def guard_targets(mapped: bytearray, rva: int, base: int) -> frozenset[int] | None:
    """Addresses of the functions that may be called indirectly; None of an image that does not say.

    :param mapped: the image as it lies at ``base``; :param rva: of its load configuration.
    """
    config = _LoadConfig(mapped, rva, base)
    flags, count = config.word(_FLAGS, "<I"), config.word(_COUNT)
    table = config.pointed_to(_TABLE)
    if flags is None or not flags & _TABLE_PRESENT or count is None or table is None:
        return None
    stride = 4 + (flags >> _EXTRA_BYTES)
    count = min(count, MAX_GUARDED, (len(mapped) - table) // stride)
    targets = set[int]()
    for at in range(table, table + count * stride, stride):
        (function,) = struct.unpack_from("<I", mapped, at)
        if stride == 4 or not mapped[at + 4] & _SUPPRESSED:
            targets.add(base + function)
    return frozenset(targets)
