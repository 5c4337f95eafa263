"""What the loader sets in an image of Microsoft's compiler: the security cookie and the guard pointers.

Source: Microsoft, PE Format, *The Load Configuration Structure (Image Only)*. Without a cookie of its own a
driver ends itself at its entry; the guard pointers of a file lead to its own routines, which check nothing:
memory integrity (HVCI) is off.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

__all__ = ["DEFAULT_COOKIE", "set_load_config"]

DEFAULT_COOKIE: Final = 0x2B99_2DDF_A232
"""What the compiler puts into ``__security_cookie``: a cookie that nobody has set."""
_COOKIE: Final = 0x58
_GUARDS: Final = ((0x70, "_guard_check_icall"), (0x78, "_guard_dispatch_icall"))
"""Offsets of GuardCFCheckFunctionPointer and GuardCFDispatchFunctionPointer, and the kernel's routines."""
_SPREAD: Final = 0x9E37_79B9_7F4A_7C15
_COOKIE_MASK: Final = (1 << 48) - 1
"""The upper 16 bits are 0, so that a string that runs over it ends before it."""


def set_load_config(mapped: bytearray, rva: int, base: int, symbol: Callable[[str], int]) -> None:
    """Set them in an image that lies at ``base``; what points out of the image is left alone.

    :param rva: of its load configuration; 0: it has none.
    """
    if not rva or rva + 4 > len(mapped):
        return
    (size,) = struct.unpack_from("<I", mapped, rva)

    def pointed_to(offset: int) -> int | None:
        if offset + 8 > size or rva + offset + 8 > len(mapped):
            return None
        (address,) = struct.unpack_from("<Q", mapped, rva + offset)
        return address - base if 0 < address - base <= len(mapped) - 8 else None

    cookie = pointed_to(_COOKIE)
    if cookie is not None and struct.unpack_from("<Q", mapped, cookie)[0] == DEFAULT_COOKIE:
        struct.pack_into("<Q", mapped, cookie, (base * _SPREAD & _COOKIE_MASK) | 1)
    for offset, routine in _GUARDS:
        slot = pointed_to(offset)
        if slot is not None and not struct.unpack_from("<Q", mapped, slot)[0]:
            struct.pack_into("<Q", mapped, slot, symbol(routine))
