"""Reads the structures of a halted target: pointers of its width, handles, counted strings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from harness.errors import RigError

__all__ = ["MAX_STRING", "Read", "TargetReader", "UnreadableMemory"]


class UnreadableMemory(RigError):
    """The target refused to read or write an address."""


Read: TypeAlias = Callable[[int, int], bytes]
"""Address and size → that many bytes; raises :class:`UnreadableMemory` where the target refuses."""

MAX_STRING: Final = 0x2000
"""Bytes of one UNICODE_STRING that are read; a longer path is cut."""


class TargetReader:
    """Reads through ``read``.

    :param pointer_size: bytes of a pointer: 8 on x64, 4 on x86.
    """

    def __init__(self, read: Read, pointer_size: int) -> None:
        self.read = read
        self.pointer_size = pointer_size

    def unsigned(self, address: int, size: int) -> int:
        """The little-endian number of ``size`` bytes there."""
        return int.from_bytes(self.read(address, size), "little")

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """``count`` numbers of a pointer's width, one behind the other."""
        size = self.pointer_size
        data = self.read(address, count * size)
        return tuple(int.from_bytes(data[at : at + size], "little") for at in range(0, count * size, size))

    def unicode_string(self, address: int) -> str | None:
        """The UNICODE_STRING there (Length, MaximumLength, then, aligned, Buffer); None for a null pointer.

        Half a surrogate pair becomes U+FFFD.
        """
        if not address:
            return None
        head = self.read(address, 2 * self.pointer_size)
        length = int.from_bytes(head[:2], "little")
        buffer = int.from_bytes(head[self.pointer_size :], "little")
        if not length or not buffer:
            return ""
        return self.read(buffer, min(length, MAX_STRING) & ~1).decode("utf-16-le", "replace")
