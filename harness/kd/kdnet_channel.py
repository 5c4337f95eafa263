"""One KDNET session's data channel, and what both ends of KDNET do with a received datagram."""

from __future__ import annotations

from typing import Final

from harness.kd.errors import ProtocolError
from harness.kd.frames import BadPacket, BreakIn, Frame, Hello
from harness.kd.kdnet import (
    MAGIC,
    Channel,
    Datagram,
    Direction,
    Drop,
    DroppedDatagram,
    Sealer,
)
from harness.kd.packets import (
    BREAK_IN,
    HEADER_SIZE,
    Packet,
    PacketType,
    decode_packet,
    encode_packet,
)

__all__ = ["MIN_VERSION", "DataChannel", "data_frame", "open_control"]

MIN_VERSION: Final = 2
"""Windows 8.1; nothing is known of versions 0 and 1, and Microsoft's host refuses them."""

_DIRECTION_BIT: Final = 0x80


class DataChannel:
    """Keys and sequence numbers of one KDNET session.

    :param direction: of what this end sends.
    """

    def __init__(self, sealer: Sealer, version: int, direction: Direction) -> None:
        self._sealer = sealer
        self.version = version
        self._direction = direction
        self._received_bit = 0 if direction is Direction.TO_TARGET else _DIRECTION_BIT
        self.clear = MAGIC + bytes((version, Channel.DATA))
        """How each of its datagrams begins."""
        self._sent = 0
        self._mark = 0
        self._ready_id = -1
        self._ready = b""

    def open(self, data: bytes) -> bytes:
        """The body of a datagram with a legal size; raises :class:`DroppedDatagram`."""
        header, body = self._sealer.open_plain(data)
        if header & _DIRECTION_BIT != self._received_bit:
            raise DroppedDatagram(Drop.WRONG_DIRECTION)
        sequence = header >> 8
        if sequence <= self._mark:
            raise DroppedDatagram(Drop.STALE_SEQUENCE, f"{sequence} after {self._mark}")
        self._mark = sequence
        return body

    def seal(self, body: bytes) -> bytes:
        """The next datagram."""
        self._ready_id = -1
        self._sent += 1
        return self._sealer.seal(self.version, self._direction, self._sent, body)

    def seal_ack(self, packet_id: int) -> bytes:
        """The next datagram, an ACK: the one that was prepared, where it was for this packet."""
        if packet_id == self._ready_id:
            self._ready_id = -1
            self._sent += 1
            return self._ready
        return self.seal(_ack(packet_id))

    def prepare_ack(self, packet_id: int) -> None:
        """Make the ACK for the packet that is expected next now, so that the target need not wait for it."""
        if packet_id != self._ready_id:
            self._ready = self._sealer.seal(self.version, self._direction, self._sent + 1, _ack(packet_id))
            self._ready_id = packet_id


def _ack(packet_id: int) -> bytes:
    return encode_packet(Packet(PacketType.ACKNOWLEDGE, packet_id))


def data_frame(body: bytes, *, from_target: bool) -> Frame:
    """What the body of a data datagram is."""
    if len(body) < HEADER_SIZE:
        if not from_target and body == BREAK_IN:
            return BreakIn()
        if from_target and 8 <= len(body) <= 12 and body[:4] == bytes(4):
            return Hello()
    try:
        return decode_packet(body)
    except ProtocolError as error:
        return BadPacket(error.message)


def open_control(sealer: Sealer, data: bytes, direction: Direction) -> Datagram:
    """A control datagram in this direction; raises :class:`DroppedDatagram`."""
    datagram = sealer.open(data)
    if datagram.direction is not direction:
        raise DroppedDatagram(Drop.WRONG_DIRECTION)
    if datagram.version < MIN_VERSION:
        raise DroppedDatagram(Drop.BAD_VERSION, f"{datagram.version}, at least {MIN_VERSION} is due")
    return datagram
