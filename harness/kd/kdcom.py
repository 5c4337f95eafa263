"""KDCOM: KD packets on a byte stream.

A data packet is followed by 0xAA; control packets are not. Between packets the line may carry anything:
text of the boot loader, a break-in byte (0x62), the rest of a packet that was cut off. The reader looks for
a leader.
"""

from __future__ import annotations

from typing import Final

from harness.kd.errors import ProtocolError
from harness.kd.frames import BadPacket, BreakIn, Frame, Junk
from harness.kd.packets import (
    BREAK_IN,
    CONTROL_LEADER,
    CONTROL_TYPES,
    DATA_LEADER,
    HEADER_SIZE,
    MAX_KDCOM_PAYLOAD,
    TRAILER,
    Header,
    Packet,
    checksum,
    encode_packet,
)

__all__ = ["Reader", "frame_packet"]

MAX_JUNK: Final = 4096
"""Junk is handed out in pieces of at most this size, so that a noisy line cannot fill memory."""


def frame_packet(packet: Packet) -> bytes:
    """The packet's bytes on the line, trailer included."""
    return encode_packet(packet) + (b"" if packet.is_control else TRAILER)


class Reader:
    """Cuts a byte stream into frames.

    :param break_ins: report 0x62 between packets as a break-in (the target's side of the line).

    Holds at most one packet (16 + 4000 + 1 bytes) plus what the last :meth:`feed` brought.
    """

    def __init__(self, *, break_ins: bool = False) -> None:
        self._buffer = bytearray()
        self._break_ins = break_ins

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes from the line; the frames that they complete, in order."""
        self._buffer += data
        frames: list[Frame] = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        buffer = self._buffer
        start = self._find_leader()
        if start:
            size = min(start, MAX_JUNK)
            junk = bytes(buffer[:size])
            if self._break_ins and BREAK_IN in junk:
                at = junk.index(BREAK_IN)
                if at == 0:
                    del buffer[:1]
                    return BreakIn()
                size = at
            del buffer[:size]
            return Junk(junk[:size])
        if len(buffer) < HEADER_SIZE:
            return None
        try:
            header = Header.decode(bytes(buffer[:HEADER_SIZE]), max_payload=MAX_KDCOM_PAYLOAD)
        except ProtocolError as error:
            # Only the leader is thrown away: the true packet may begin inside what looked like a header.
            del buffer[:4]
            return BadPacket(error.message)
        if header.packet_type in CONTROL_TYPES:
            del buffer[:HEADER_SIZE]
            return Packet(header.packet_type, header.packet_id)
        end = HEADER_SIZE + header.byte_count
        if len(buffer) <= end:
            return None
        payload = bytes(buffer[HEADER_SIZE:end])
        if checksum(payload) != header.checksum:
            del buffer[:4]
            return BadPacket(f"checksum 0x{header.checksum:x}, the bytes add up to 0x{checksum(payload):x}")
        if buffer[end : end + 1] != TRAILER:
            del buffer[:4]
            return BadPacket(f"byte after the packet is 0x{buffer[end]:02x}, expected 0xaa")
        del buffer[: end + 1]
        return Packet(header.packet_type, header.packet_id, payload)

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
