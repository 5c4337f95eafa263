"""One KDNET session's data channel, and what both ends of KDNET do with a received datagram."""

from __future__ import annotations

from typing import Final

from harness.kd.errors import ProtocolError
from harness.kd.frames import BadPacket, BreakIn, Frame, Hello
from harness.kd.kdnet import Datagram, Direction, Drop, DroppedDatagram, Sealer
from harness.kd.packets import BREAK_IN, Packet, decode_packet, encode_packet

__all__ = ["MIN_VERSION", "DataChannel", "data_frame", "open_control"]

MIN_VERSION: Final = 2
"""Windows 8.1; nothing is known of versions 0 and 1, and Microsoft's host refuses them."""


class DataChannel:
    """Keys and sequence numbers of one KDNET session."""

    def __init__(self, sealer: Sealer, version: int, direction: Direction) -> None:
        self._sealer = sealer
        self.version = version
        self._direction = direction
        self._sent = 0
        self._mark = 0
        self._ready: tuple[Packet, bytes] | None = None

    def open(self, data: bytes) -> bytes:
        """The body; raises :class:`DroppedDatagram`."""
        _, _, direction, sequence, body = self._sealer.open(data)
        if direction == self._direction:
            raise DroppedDatagram(Drop.WRONG_DIRECTION)
        if sequence <= self._mark:
            raise DroppedDatagram(Drop.STALE_SEQUENCE, f"{sequence} after {self._mark}")
        self._mark = sequence
        return body

    def seal(self, body: bytes) -> bytes:
        """The next datagram."""
        self._ready = None
        self._sent += 1
        return self._sealer.seal(self.version, self._direction, self._sent, body)

    def seal_packet(self, packet: Packet) -> bytes:
        """The next datagram, taken from :meth:`prepare` when it foretold this packet."""
        if self._ready is not None and self._ready[0] == packet:
            _, data = self._ready
            self._ready = None
            self._sent += 1
            return data
        return self.seal(encode_packet(packet))

    def prepare(self, packet: Packet) -> None:
        if self._ready is None or self._ready[0] != packet:
            body = encode_packet(packet)
            sealed = self._sealer.seal(self.version, self._direction, self._sent + 1, body)
            self._ready = (packet, sealed)


def data_frame(body: bytes, *, from_target: bool) -> Frame:
    """What the body of a data datagram is."""
    if not from_target and body == BREAK_IN:
        return BreakIn()
    if from_target and 8 <= len(body) <= 12 and body[:4] == bytes(4):
        return Hello()
    try:
        return decode_packet(body)
    except ProtocolError as error:
        return BadPacket(error.message)


def open_control(sealer: Sealer, data: bytes, direction: Direction) -> Datagram:
    datagram = sealer.open(data)
    if datagram.direction is not direction:
        raise DroppedDatagram(Drop.WRONG_DIRECTION)
    if datagram.version < MIN_VERSION:
        raise DroppedDatagram(Drop.BAD_VERSION, f"{datagram.version}, at least {MIN_VERSION} is due")
    return datagram
