"""The kernel's own small blocks: strings, objects and headers that live in the target's memory.

Apart from the pool that drivers allocate from (:mod:`harness.virtual.kernel.pool`): nothing here is a
driver's to free.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.cpu.memory import Memory, page_ceiling

__all__ = ["HEAP_BASE", "READ_AHEAD", "STALE", "KernelHeap", "encode_unicode_string", "is_stale"]

READ_AHEAD: Final = 0x80
"""Readable bytes behind each block: DbgEng pads small reads to this many."""

HEAP_BASE: Final = 0xFFFF9A80_00000000
"""Where the blocks begin."""
STALE: Final = 0xDD
"""What the bytes of a block hold that a driver was lent for a call, when that has returned. A pointer made of
them leads nowhere, so that whoever still uses the block finds that out; on Windows he finds what has come
there since."""
_STALE_POINTER: Final = int.from_bytes(bytes((STALE,)) * 6, "big")
_CHUNK: Final = 0x10000
_UNICODE_STRING: Final = struct.Struct("<HHIQ")
MAX_NAME: Final = 0xFFFC
"""Longest UNICODE_STRING in bytes, NUL apart."""


def encode_unicode_string(length: int, maximum: int, buffer: int) -> bytes:
    """UNICODE_STRING (or ANSI_STRING): length and capacity in bytes, address of the characters."""
    return _UNICODE_STRING.pack(length, maximum, 0, buffer)


def is_stale(address: int) -> bool:
    """The address was read out of what a driver was lent for a call that has returned; its low 16 bits may
    have been moved."""
    return address >> 16 == _STALE_POINTER


class KernelHeap:
    """Zeroed blocks, 16-byte aligned, reused by size once freed."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._next = self._end = HEAP_BASE
        self._sizes: dict[int, int] = {}
        self._free: dict[int, list[int]] = {}

    def allocate(self, size: int) -> int:
        """A block of ``size`` zero bytes."""
        room = (size + READ_AHEAD + 15) & ~15
        spare = self._free.get(room)
        if spare:
            address = spare.pop()
            self._memory.store(address, bytes(room))
        else:
            if self._next + room > self._end:
                grow = max(_CHUNK, page_ceiling(room))
                self._memory.map(self._end, grow)
                # A block may not lie across two regions: drop the rest of the old one.
                self._next = self._end
                self._end += grow
            address = self._next
            self._next += room
        self._sizes[address] = room
        return address

    def owns(self, address: int) -> bool:
        """A block that is in use starts there."""
        return address in self._sizes

    def free(self, address: int) -> None:
        """Give a block back; ValueError for what is not one."""
        room = self._sizes.pop(address, None)
        if room is None:
            raise ValueError(f"0x{address:x} is not a block of the kernel heap")
        self._free.setdefault(room, []).append(address)

    def take_back(self, address: int) -> None:
        """Free a block that a driver was lent for a call, and overwrite it; ValueError for what is none."""
        room = self._sizes.get(address, 0)
        self.free(address)
        self._memory.store(address, bytes((STALE,)) * room)

    def put(self, data: bytes) -> int:
        """A block that holds ``data``."""
        address = self.allocate(len(data))
        self._memory.store(address, data)
        return address

    def unicode_string(self, text: str) -> int:
        """A block with a UNICODE_STRING and, behind it, its NUL-terminated characters."""
        characters = text.encode("utf-16-le", "surrogatepass")[:MAX_NAME]
        address = self.allocate(16 + len(characters) + 2)
        self._memory.store(address, self.string_value(characters, address + 16) + characters)
        return address

    @staticmethod
    def string_value(characters: bytes, buffer: int) -> bytes:
        """The UNICODE_STRING for NUL-terminated ``characters`` that lie at ``buffer``."""
        return encode_unicode_string(len(characters), len(characters) + 2, buffer)
