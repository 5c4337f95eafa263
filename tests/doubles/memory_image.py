"""A target's memory as bytes at addresses, read as a debugger reads it."""

from __future__ import annotations

import struct

from harness.breakpoints.targetreader import UnreadableMemory

__all__ = ["MemoryImage"]


class MemoryImage:
    """Regions of bytes; what lies in none cannot be read."""

    def __init__(self, regions: dict[int, bytes] | None = None) -> None:
        self.regions = dict(regions or {})
        self.reads = 0

    def put(self, address: int, layout: str, *values: int | bytes) -> None:
        """Pack ``values`` there."""
        self.regions[address] = struct.pack(layout, *values)

    def put_text(self, address: int, text: str, *, pointer_size: int) -> None:
        """A UNICODE_STRING, its characters right behind it."""
        raw = text.encode("utf-16-le")
        buffer = address + 2 * pointer_size
        head = "<HHxxxxQ" if pointer_size == 8 else "<HHI"
        self.regions[address] = struct.pack(head, len(raw), len(raw) + 2, buffer) + raw + b"\0\0"

    def read(self, address: int, size: int) -> bytes:
        self.reads += 1
        for base, data in self.regions.items():
            if base <= address and address + size <= base + len(data):
                return data[address - base : address - base + size]
        raise UnreadableMemory(f"nothing lies at 0x{address:x}")
