"""The KD packet: 16-byte header, payload, and the two things that are no packet (hello and break-in byte).

::

    0   4  leader: "0000" for data, "iiii" for control
    4   2  packet type
    6   2  byte count of the payload
    8   4  packet id
    12  4  checksum: sum of the payload bytes modulo 2^32; 0 for control
    16  n  payload (data packets only)

All integers are little-endian. Over KDNET one datagram carries exactly one packet; over KDCOM a data packet
is followed by the byte 0xAA, which is neither counted nor summed.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple
from zlib import adler32

from harness.kd.errors import ProtocolError

__all__ = [
    "BREAK_IN",
    "CONTROL_LEADER",
    "CONTROL_TYPES",
    "DATA_LEADER",
    "HEADER_SIZE",
    "MAX_KDCOM_PAYLOAD",
    "MAX_KDNET_PAYLOAD",
    "TRAILER",
    "Packet",
    "PacketHeader",
    "PacketType",
    "checksum",
    "decode_packet",
    "encode_packet",
    "hello_body",
]

DATA_LEADER: Final = b"0000"
CONTROL_LEADER: Final = b"iiii"
HEADER_SIZE: Final = 16
TRAILER: Final = b"\xaa"
BREAK_IN: Final = b"b"
"""The whole body of a break-in datagram; on KDCOM a raw byte between packets."""
MAX_KDNET_PAYLOAD: Final = 1408
"""Largest payload that Microsoft's host accepts over KDNET."""
MAX_KDCOM_PAYLOAD: Final = 4000
"""PACKET_MAX_SIZE of windbgkd.h."""

_HEADER = struct.Struct("<4sHHII")


class PacketType(IntEnum):
    """Packet types of windbgkd.h."""

    UNUSED = 0
    STATE_CHANGE32 = 1
    STATE_MANIPULATE = 2
    DEBUG_IO = 3
    ACKNOWLEDGE = 4
    RESEND = 5
    RESET = 6
    STATE_CHANGE64 = 7
    POLL_BREAKIN = 8
    TRACE_IO = 9
    CONTROL_REQUEST = 10
    FILE_IO = 11


# A tuple, for members of an enumeration hash in Python and compare in C; the target waits meanwhile.
CONTROL_TYPES: Final = (PacketType.ACKNOWLEDGE, PacketType.RESEND, PacketType.RESET)
_KNOWN_TYPES: Final = {
    int(kind): (kind, CONTROL_LEADER if kind in CONTROL_TYPES else DATA_LEADER)
    for kind in PacketType
    if kind not in (PacketType.UNUSED, PacketType.POLL_BREAKIN)
}
"""Number → type and the leader that belongs to it."""
_DATA_TYPES: Final = {
    number: kind for number, (kind, leader) in _KNOWN_TYPES.items() if leader == DATA_LEADER
}


class PacketHeader(NamedTuple):
    """A packet's first 16 bytes, checked for leader, type and length."""

    packet_type: PacketType
    byte_count: int
    packet_id: int
    checksum: int

    @classmethod
    def decode(cls, data: bytes, *, max_payload: int) -> PacketHeader:
        """Parse the first 16 bytes of ``data``.

        Raises :class:`ProtocolError` for a short header, an unknown leader or type, a leader that does not
        belong to the type, or a byte count above ``max_payload``.
        """
        if len(data) < HEADER_SIZE:
            raise ProtocolError(f"KD packet of {len(data)} bytes, the header alone has {HEADER_SIZE}")
        leader, kind, byte_count, packet_id, total = _HEADER.unpack_from(data)
        known = _KNOWN_TYPES.get(kind)
        if known is None or leader != known[1]:
            if leader not in (DATA_LEADER, CONTROL_LEADER):
                raise ProtocolError(f"KD packet leader {leader.hex()}, expected 30303030 or 69696969")
            if known is None:
                raise ProtocolError(f"KD packet type {kind} is unknown")
            raise ProtocolError(f"KD packet type {kind} with leader {leader.hex()}")
        if byte_count > max_payload:
            raise ProtocolError(f"KD packet announces {byte_count} bytes, the limit is {max_payload}")
        return cls(known[0], byte_count, packet_id, total)


class Packet(NamedTuple):
    """One KD packet."""

    packet_type: PacketType
    packet_id: int
    payload: bytes = b""

    @property
    def is_control(self) -> bool:
        """ACKNOWLEDGE, RESEND or RESET: consumes no id and is never acknowledged."""
        return self.packet_type in CONTROL_TYPES


def checksum(payload: bytes) -> int:
    """Sum of the bytes modulo 2^32."""
    # The target waits for this, and sum() takes six times as long. The lower half of an Adler-32 is
    # 1 + the sum modulo 65521 (RFC 1950), and 256 bytes cannot add up to that.
    if len(payload) <= 256:
        return (adler32(payload) & 0xFFFF) - 1
    pieces = range(0, len(payload), 256)
    return sum((adler32(payload[at : at + 256]) & 0xFFFF) - 1 for at in pieces) & 0xFFFFFFFF


def encode_packet(packet: Packet) -> bytes:
    """Header and payload; over KDCOM a data packet still needs its :data:`TRAILER`."""
    kind, packet_id, payload = packet
    if kind in CONTROL_TYPES:
        if payload:
            raise ProtocolError(f"a {kind.name} packet carries no payload, got {len(payload)} bytes")
        return _HEADER.pack(CONTROL_LEADER, kind, 0, packet_id, 0)
    if len(payload) > 0xFFFF:
        raise ProtocolError(f"KD payload of {len(payload)} bytes does not fit a 16-bit count")
    return _HEADER.pack(DATA_LEADER, kind, len(payload), packet_id, checksum(payload)) + payload


def decode_packet(data: bytes, *, max_payload: int = MAX_KDNET_PAYLOAD + 8) -> Packet:
    """Parse exactly one packet without trailer, as a KDNET datagram carries it.

    :param max_payload: the default accepts what Microsoft's host does not drop unanswered (1416 bytes).

    Raises :class:`ProtocolError` as :meth:`PacketHeader.decode` does, and for a wrong length or checksum.
    """
    payload = data[HEADER_SIZE:]
    if HEADER_SIZE <= len(data) <= HEADER_SIZE + max_payload:
        # The target waits for this: what is a sound data packet is taken at once. What is not is named below.
        leader, number, byte_count, packet_id, total = _HEADER.unpack_from(data)
        known = _DATA_TYPES.get(number)
        if known and leader == DATA_LEADER and byte_count == len(payload) and total == checksum(payload):
            return Packet(known, packet_id, payload)
    header = PacketHeader.decode(data, max_payload=max_payload)
    if header.packet_type in CONTROL_TYPES:
        if payload or header.byte_count or header.checksum:
            raise ProtocolError(f"{header.packet_type.name} packet with a payload of {len(payload)} bytes")
        return Packet(header.packet_type, header.packet_id)
    if len(payload) != header.byte_count:
        raise ProtocolError(f"KD packet announces {header.byte_count} bytes and carries {len(payload)}")
    if checksum(payload) != header.checksum:
        raise ProtocolError(
            f"KD packet checksum 0x{header.checksum:x}, its bytes add up to 0x{checksum(payload):x}"
        )
    return Packet(header.packet_type, header.packet_id, payload)


def hello_body(host_ipv4: int) -> bytes:
    """The target's first data datagram, 12 bytes: eight zeros, then the host's IPv4 address as an integer
    (192.168.2.1 is 0xC0A80201), little-endian."""
    return bytes(8) + host_ipv4.to_bytes(4, "little")
