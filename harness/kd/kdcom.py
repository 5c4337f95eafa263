"""KDCOM: KD packets on a byte stream.

A data packet is followed by 0xAA; control packets are not. Between packets the line may carry anything:
text of the boot loader, a break-in byte (0x62), the rest of a packet that was cut off. The reader looks for
a leader.

What a damaged packet costs is decided by what of it can be believed. Its end can be where the trailer stands
or where the checksum is right: then the packet is thrown away whole. Otherwise its length may be the damage,
and the next packet may begin inside it: then only the leader is.
"""

from __future__ import annotations

from typing import Final

from harness.kd.errors import ProtocolError
from harness.kd.frames import BadPacket, BreakIn, Frame, Junk
from harness.kd.packets import (
    BREAK_IN,
    CONTROL_LEADER,
    DATA_LEADER,
    HEADER_SIZE,
    MAX_KDCOM_PAYLOAD,
    TRAILER,
    Packet,
    PacketHeader,
    checksum,
    encode_packet,
)

__all__ = ["MAX_HELD", "MAX_JUNK", "Reader", "frame_packet"]

MAX_JUNK: Final = 4096
"""Junk is handed out in pieces of at most this size, so that a noisy line cannot fill memory."""
MAX_HELD: Final = HEADER_SIZE + MAX_KDCOM_PAYLOAD
"""Bytes that a reader keeps at most between two calls: a packet of which only the trailer is missing."""
_LEADER_SIZE: Final = len(DATA_LEADER)
_MAX_CANDIDATES: Final = 8
"""Leaders that are looked at, from the end, for a packet that came twice inside an unfinished one."""


def frame_packet(packet: Packet) -> bytes:
    """The packet's bytes on the line, trailer included."""
    return encode_packet(packet) + (b"" if packet.is_control else TRAILER)


class Reader:
    """Cuts a byte stream into frames. Keeps at most :data:`MAX_HELD` bytes between two calls.

    :param break_ins: report 0x62 as a break-in (the target's side of the line) where a packet might begin:
        behind a packet, another break-in or a pause. In the middle of junk it is junk, as it is for kdcom.
    """

    def __init__(self, *, break_ins: bool = False) -> None:
        self._buffer = bytearray()
        self._break_ins = break_ins
        self._in_junk = False
        """What came last was no packet."""

    @property
    def held(self) -> int:
        """Bytes of something that has begun and is not complete."""
        return len(self._buffer)

    @property
    def awaits_more(self) -> bool:
        """A pause now would mean something: call :meth:`give_up` then."""
        return bool(self._buffer) or (self._break_ins and self._in_junk)

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes from the line; the frames that they complete, in order."""
        self._buffer += data
        frames: list[Frame] = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def give_up(self) -> list[Frame]:
        """Nothing follows: what is held will not be completed. The frames that it holds all the same."""
        frames: list[Frame] = []
        while self._buffer:
            frames.append(self._cut_off())
            frames += self.feed(b"")
        self._in_junk = False
        return frames

    def _next(self) -> Frame | None:
        buffer = self._buffer
        start = self._find_leader()
        if start:
            return self._between_packets(start)
        if len(buffer) < HEADER_SIZE:
            return None
        try:
            header = PacketHeader.decode(bytes(buffer[:HEADER_SIZE]), max_payload=MAX_KDCOM_PAYLOAD)
        except ProtocolError as error:
            return self._refuse(error.message)
        packet = Packet(header.packet_type, header.packet_id)
        if packet.is_control:
            if header.byte_count or header.checksum:
                return self._refuse(f"{packet.packet_type.name} packet announces {header.byte_count} bytes")
            return self._whole(packet, HEADER_SIZE)
        end = HEADER_SIZE + header.byte_count
        if len(buffer) <= end:
            return self._overtaken()
        payload = bytes(buffer[HEADER_SIZE:end])
        total = checksum(payload)
        trailer = bytes(buffer[end : end + 1])
        if total != header.checksum:
            reason = f"checksum 0x{header.checksum:x}, the bytes add up to 0x{total:x}"
            return self._refuse(reason, end + 1 if trailer == TRAILER else _LEADER_SIZE)
        if trailer != TRAILER:
            # It may be lost rather than damaged: this byte may belong to the next packet.
            return self._refuse(f"byte after the packet is 0x{trailer.hex()}, expected 0xaa", end)
        return self._whole(packet._replace(payload=payload), end + 1)

    def _whole(self, packet: Packet, size: int) -> Packet:
        del self._buffer[:size]
        self._in_junk = False
        return packet

    def _between_packets(self, start: int) -> Frame:
        """The junk in the first ``start`` bytes, or the break-in that they begin with."""
        buffer = self._buffer
        if self._break_ins and not self._in_junk and buffer.startswith(BREAK_IN):
            del buffer[:1]
            return BreakIn()
        return self._junk(min(start, MAX_JUNK))

    def _junk(self, size: int) -> Junk:
        junk = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._in_junk = True
        return Junk(junk)

    def _refuse(self, reason: str, size: int = _LEADER_SIZE) -> BadPacket:
        """Throw away the first ``size`` bytes of what began like a packet."""
        of_data = self._buffer.startswith(DATA_LEADER)
        del self._buffer[:size]
        self._in_junk = True
        return BadPacket(reason, of_data)

    def _cut_off(self) -> Frame:
        size = len(self._buffer)
        if size < _LEADER_SIZE:
            return self._junk(size)
        return self._refuse(f"packet cut off after {size} bytes")

    def _overtaken(self) -> Frame | None:
        """The unfinished packet given up when the same whole packet came twice inside it.

        A target whose packet was cut off repeats the next one until it is acknowledged; this way it is heard
        however quickly it does so. Once is not enough: memory that is read may hold the image of a packet.
        """
        buffer = self._buffer
        if not buffer.endswith(TRAILER):
            return None
        at = len(buffer)
        for _ in range(_MAX_CANDIDATES):
            at = buffer.rfind(DATA_LEADER, _LEADER_SIZE, at + _LEADER_SIZE - 1)
            if at < 0:
                return None
            copy = bytes(buffer[at:])
            if _is_whole(copy) and (first := buffer.find(copy, _LEADER_SIZE, at)) >= 0:
                return self._refuse(f"packet overtaken after {first} bytes by another one", first)
        return None

    def _find_leader(self) -> int:
        """How many bytes of the buffer lie before a leader, or before what may become one."""
        buffer = self._buffer
        if bytes(buffer[:4]) in (DATA_LEADER, CONTROL_LEADER) and buffer[4:5] != buffer[:1]:
            return 0
        found = [at for leader in (DATA_LEADER, CONTROL_LEADER) if (at := buffer.find(leader)) >= 0]
        if found:
            at = min(found)
            # No packet type begins with the leader's own byte, so in a longer run the leader is its end.
            while buffer[at + 4 : at + 5] == buffer[at : at + 1]:
                at += 1
            return at
        for tail in (3, 2, 1):
            if len(buffer) >= tail and bytes(buffer[-tail:]) in (DATA_LEADER[:tail], CONTROL_LEADER[:tail]):
                return len(buffer) - tail
        return len(buffer)


def _is_whole(data: bytes) -> bool:
    """Exactly one data packet, its trailer included, with the right checksum."""
    count = len(data) - HEADER_SIZE - len(TRAILER)
    if count < 0 or int.from_bytes(data[6:8], "little") != count:
        return False
    return int.from_bytes(data[12:16], "little") == checksum(data[HEADER_SIZE:-1])
