"""Frames on a serial line, both directions; ``driver/actor/serve/frame.c`` is the other end.

A frame lies between two zero bytes, and byte stuffing keeps zeros out of it: whatever was lost or damaged,
the next zero byte is where frames begin again.

======  ==================  ==========================================================
offset  size                all numbers with their lowest byte first
======  ==================  ==========================================================
0       1                   kind, see :class:`FrameKind`
1       1                   operation
2       2                   length of the payload, up to 1024
4       4                   session
8       4                   id
12      length              payload
12 + l  4                   CRC-32 of all before it, as zlib's
======  ==================  ==========================================================

Source of the stuffing: Cheshire and Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on
Networking 7(2), 1999.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

__all__ = ["MAX_PAYLOAD", "MAX_WIRE", "Damage", "Frame", "FrameKind", "FrameReader", "encode"]

MAX_PAYLOAD: Final = 1024
"""Bytes. A frame and its repetition fit into the 4096 bytes of the usual ring buffer of a serial driver."""
_HEADER: Final = struct.Struct("<BBHII")
_CHECKSUM: Final = struct.Struct("<I")
_MAX_FRAME: Final = _HEADER.size + MAX_PAYLOAD + _CHECKSUM.size
_GROUP: Final = 254
"""The longest run of bytes without a zero that one byte of stuffing stands for."""
_MAX_STUFFED: Final = _MAX_FRAME + _MAX_FRAME // _GROUP + 1
MAX_WIRE: Final = _MAX_STUFFED + 2
"""Bytes that the longest frame has on the line."""


class FrameKind(IntEnum):
    """What a frame is."""

    REQUEST = 1
    """The host's; the others are the guest's."""
    REPLY = 2
    """With the request's session, id and operation."""
    DAMAGED = 3
    """Something arrived that is no frame. Whoever waits for a reply may ask again at once."""
    NO_SESSION = 4
    """The request is of a session that is not the guest's latest; with its session and id."""


_KINDS: Final = frozenset(int(kind) for kind in FrameKind)


@dataclass(frozen=True)
class Frame:
    """What one frame carries."""

    kind: FrameKind
    operation: int
    """0 to 255."""
    session: int
    """0 to 2**32 - 1; 0 stands for no session."""
    id: int
    """0 to 2**32 - 1, counted up by one from request to request."""
    payload: bytes = b""
    """Up to :data:`MAX_PAYLOAD` bytes."""


@dataclass(frozen=True)
class Damage:
    """What lay between two zero bytes and is no frame."""

    length: int
    """Bytes; those beyond the longest frame are not counted."""


def encode(frame: Frame) -> bytes:
    """The frame as it goes over the line; ValueError for a payload that is too long."""
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"a payload of {len(frame.payload)} bytes is longer than {MAX_PAYLOAD}")
    header = _HEADER.pack(frame.kind, frame.operation, len(frame.payload), frame.session, frame.id)
    body = header + frame.payload
    return b"\0" + _stuff(body + _CHECKSUM.pack(zlib.crc32(body))) + b"\0"


class FrameReader:
    """Bytes in, frames out. Hostile bytes cost no more memory than the longest frame."""

    def __init__(self) -> None:
        self._stuffed = bytearray()

    def feed(self, data: bytes) -> list[Frame | Damage]:
        """What was completed by ``data``, in the order of the line."""
        arrived: list[Frame | Damage] = []
        *ended, rest = data.split(b"\0")
        for piece in ended:
            self._add(piece)
            if self._stuffed:
                arrived.append(_decode(bytes(self._stuffed)) or Damage(len(self._stuffed)))
            self._stuffed.clear()
        self._add(rest)
        return arrived

    def _add(self, piece: bytes) -> None:
        # One byte more than a frame has shows that it is none.
        self._stuffed += piece[: _MAX_STUFFED + 1 - len(self._stuffed)]


def _decode(stuffed: bytes) -> Frame | None:
    body = _unstuff(stuffed) if len(stuffed) <= _MAX_STUFFED else None
    if body is None or len(body) < _HEADER.size + _CHECKSUM.size:
        return None
    body, checksum = body[: -_CHECKSUM.size], body[-_CHECKSUM.size :]
    kind, operation, length, session, number = _HEADER.unpack_from(body)
    payload = body[_HEADER.size :]
    if length != len(payload) or length > MAX_PAYLOAD or _CHECKSUM.pack(zlib.crc32(body)) != checksum:
        return None
    if kind not in _KINDS:
        return None
    return Frame(FrameKind(kind), operation, session, number, payload)


def _stuff(data: bytes) -> bytes:
    """Each group begins with the distance to its end, where a zero was; one of 254 bytes has no zero."""
    stuffed = bytearray()
    for part in data.split(b"\0"):
        for start in range(0, len(part) + 1, _GROUP):
            group = part[start : start + _GROUP]
            stuffed.append(len(group) + 1)
            stuffed += group
    return bytes(stuffed)


def _unstuff(stuffed: bytes) -> bytes | None:
    data = bytearray()
    at = 0
    while at < len(stuffed):
        distance = stuffed[at]
        if at + distance > len(stuffed):
            return None
        data += stuffed[at + 1 : at + distance]
        at += distance
        if distance <= _GROUP and at < len(stuffed):
            data.append(0)
    return bytes(data)
