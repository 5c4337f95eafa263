"""The packets of a capture file, pcap or pcapng, as a stream.

Sources: the Internet-Drafts draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. The libraries at hand are
not used: they take the lengths in a file as they are, read what such a length says into memory, know one
network interface, and end without a word where a file is cut.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from harness.trace.sources.imported import Damaged

__all__ = ["MAX_BLOCK", "MAX_INTERFACES", "CapturedFrame", "captured_frames", "claims_capture"]

MAX_BLOCK: Final = 1 << 20
"""Bytes of one block or packet; the largest datagram of IP has 64 KiB."""
MAX_INTERFACES: Final = 1024
"""Network interfaces of one section."""

_SECTION: Final = b"\x0a\x0d\x0d\x0a"
_PCAP: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 2, 3, 6
_TSRESOL, _TSOFFSET = 9, 14


class CapturedFrame(NamedTuple):
    """One packet as an interface saw it."""

    time: float | None
    """Seconds since the epoch."""
    link_type: int
    """LINKTYPE_ value of the interface."""
    data: bytes


class _Interface(NamedTuple):
    link_type: int
    unit: float
    offset: int


def claims_capture(head: bytes) -> bool:
    """Whether a file that begins so is a capture."""
    return head[:4] == _SECTION or head[:4] in _PCAP


def captured_frames(path: Path, file: BinaryIO) -> Iterator[CapturedFrame]:
    """Every packet in its order.

    :param path: for messages.
    :raises Damaged: the file is cut off, or a length in it cannot be.
    """
    return _Capture(path, file).frames()


class _Capture:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._place = 0

    def frames(self) -> Iterator[CapturedFrame]:
        magic = self._read(4)
        return self._pcap(*_PCAP[magic]) if magic in _PCAP else self._pcapng()

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise self._damaged("cut off in the middle of a packet")
        self._place += size
        return data

    def _damaged(self, what: str) -> Damaged:
        return Damaged(f"{self._path}: byte {self._place}: {what}")

    def _pcap(self, order: str, unit: float) -> Iterator[CapturedFrame]:
        major, link_type = struct.unpack(f"{order}H14xI", self._read(20))
        if major != 2:
            raise self._damaged(f"version {major} of the format, known is 2")
        while head := self._file.read(16):
            if len(head) < 16:
                raise self._damaged("cut off in the middle of a packet")
            seconds, fraction, size, _ = struct.unpack(f"{order}4I", head)
            self._place += 16
            if size > MAX_BLOCK:
                raise self._damaged(f"a packet of {size} bytes")
            yield CapturedFrame(seconds + fraction * unit, link_type & 0xFFFF, self._read(size))

    def _pcapng(self) -> Iterator[CapturedFrame]:
        """The magic of the first section has been read."""
        order = "<"
        interfaces: list[_Interface] = []
        kind = _SECTION
        while kind:
            if len(kind) < 4:
                raise self._damaged("cut off in the middle of a block")
            length = self._read(4)
            begins = kind == _SECTION
            body = b""
            if begins:
                body = self._read(4)
                order = "<" if body == b"\x4d\x3c\x2b\x1a" else ">"
                interfaces = []
            (size,) = struct.unpack(f"{order}I", length)
            if size % 4 or not 12 + len(body) <= size <= MAX_BLOCK:
                raise self._damaged(f"a block of {size} bytes")
            body += self._read(size - 12 - len(body))
            self._read(4)  # the length once more
            if not begins:
                try:
                    yield from self._block(struct.unpack(f"{order}I", kind)[0], order, body, interfaces)
                except struct.error:
                    raise self._damaged("a block that is too short for its kind") from None
            kind = self._file.read(4)
            self._place += len(kind)

    def _block(
        self, kind: int, order: str, body: bytes, interfaces: list[_Interface]
    ) -> Iterator[CapturedFrame]:
        if kind == _INTERFACE:
            if len(interfaces) >= MAX_INTERFACES:
                raise self._damaged(f"more than {MAX_INTERFACES} network interfaces")
            interfaces.append(_interface(order, body))
            return
        if kind == _ENHANCED_PACKET:
            number, high, low, size = struct.unpack_from(f"{order}4I", body)
            start = 20
        elif kind == _OLD_PACKET:
            number, high, low, size = struct.unpack_from(f"{order}H2x3I", body)
            start = 20
        elif kind == _SIMPLE_PACKET:
            number, high, low, size, start = 0, 0, 0, len(body) - 4, 4
            (whole,) = struct.unpack_from(f"{order}I", body)
            size = min(size, whole)
        else:
            return
        if number >= len(interfaces) or start + size > len(body):
            raise self._damaged("a packet of an interface that is not described, or longer than its block")
        interface = interfaces[number]
        time = (high << 32 | low) * interface.unit + interface.offset if kind != _SIMPLE_PACKET else None
        yield CapturedFrame(time, interface.link_type, body[start : start + size])


def _interface(order: str, body: bytes) -> _Interface:
    (link_type,) = struct.unpack_from(f"{order}H", body)
    unit, offset = 1e-6, 0
    place = 8
    while place + 4 <= len(body):
        code, size = struct.unpack_from(f"{order}2H", body, place)
        value = body[place + 4 : place + 4 + size]
        if code == _TSRESOL and size == 1:
            unit = (2.0 if value[0] & 0x80 else 10.0) ** -(value[0] & 0x7F)
        elif code == _TSOFFSET and size == 8:
            (offset,) = struct.unpack(f"{order}q", value)
        place += 4 + size + -size % 4
    return _Interface(link_type, unit, offset)
