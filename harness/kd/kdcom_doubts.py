"""What of a KDCOM packet is doubtful although its checksum is right.

The checksum covers the payload alone, and control packets have none: a bit that changes in the header makes
another packet of it. So type and id are held against the payload and against what went before. A doubtful
packet is not acknowledged but asked for again; what comes :data:`SURE` times the very same way was sent that
way, because noise does not repeat itself.

What no receiver can see: two changes of a payload that cancel out in the sum, and an ACK whose id became the
other one while that one was waited for.
"""

from __future__ import annotations

from typing import Final

from harness.kd.errors import ProtocolError
from harness.kd.packet_ids import KDCOM_FIRST, SYNC, is_copy, says_the_same
from harness.kd.packets import Packet, PacketType
from harness.kd.registry import decode_payload

__all__ = ["SURE", "Doubts"]

SURE: Final = 3
"""A doubtful packet that comes this often in a row is believed."""
_API_FAMILIES: Final = {
    PacketType.STATE_CHANGE32: 0x30,
    PacketType.STATE_MANIPULATE: 0x31,
    PacketType.DEBUG_IO: 0x32,
    PacketType.TRACE_IO: 0x33,
    PacketType.FILE_IO: 0x34,
    PacketType.STATE_CHANGE64: 0x30,
    PacketType.CONTROL_REQUEST: 0x43,
}
"""Packet type → bits 8 to 15 of the api number, or new state, that its payload begins with."""
_IDS: Final = (KDCOM_FIRST, KDCOM_FIRST | 1)
_FIRST_OF_STREAM: Final = KDCOM_FIRST | SYNC


class Doubts:
    """Judges the packets of one direction of a serial line, in the order in which they arrive."""

    def __init__(self) -> None:
        self.damaged = False
        """Something on this line was damaged before; set by whoever reads it."""
        self.restarted = False
        """The packet judged last begins a stream of ids anew, after one was heard."""
        self._last: Packet | None = None
        self._doubted: Packet | None = None
        self._times = 0
        """How often the doubted packet came in a row."""
        self._reset_due = False

    def reset_sent(self) -> None:
        """This end sent RESET: the peer's ids begin anew, and its own RESET is due."""
        self._reset_due = True
        self._last = None

    def judge(self, packet: Packet) -> str | None:
        """Why the packet is doubtful; None: it can be believed, and counts as received."""
        self.restarted = not packet.is_control and self._begins_anew(packet)
        doubt = self._control_doubt(packet) if packet.is_control else self._data_doubt(packet)
        if doubt is not None:
            self._times = self._times + 1 if packet == self._doubted else 1
            self._doubted = packet
            if self._times < SURE:
                return doubt
        self._doubted = None
        if not packet.is_control:
            self._last = packet
        elif packet.packet_type is PacketType.RESET:
            self._reset_due = False
            self._last = None
        return None

    def _begins_anew(self, packet: Packet) -> bool:
        last = self._last
        return packet.packet_id == _FIRST_OF_STREAM and last is not None and not is_copy(packet, last)

    def _control_doubt(self, packet: Packet) -> str | None:
        of_packet = packet.packet_id & ~SYNC in _IDS
        if packet.packet_type is PacketType.ACKNOWLEDGE and not of_packet:
            return f"ACKNOWLEDGE of packet 0x{packet.packet_id:08x}, which cannot be"
        if packet.packet_type is PacketType.RESET and of_packet and not self._reset_due:
            return f"RESET that nobody asked for, with the id 0x{packet.packet_id:08x} of an ACKNOWLEDGE"
        return None

    def _data_doubt(self, packet: Packet) -> str | None:
        name, packet_id, payload = packet.packet_type.name, packet.packet_id, packet.payload
        if packet_id not in _IDS and packet_id != _FIRST_OF_STREAM:
            return f"{name} packet with the id 0x{packet_id:08x}, which cannot be"
        if payload[1:2] != bytes([_API_FAMILIES[packet.packet_type]]):
            return f"{name} packet whose payload begins with {payload[:4].hex() or 'nothing'}"
        try:
            decode_payload(packet.packet_type, payload)
        except ProtocolError as error:
            return error.message
        last = self._last
        if last is None or is_copy(packet, last):
            return None
        if packet_id == _FIRST_OF_STREAM:
            return f"{name} packet that begins a stream of ids anew"
        if packet_id == last.packet_id & ~SYNC:
            return f"{name} packet with the id 0x{packet_id:08x} of another one just before"
        if self.damaged and says_the_same(packet, last):
            return f"{name} packet like the one before, with the other id 0x{packet_id:08x}"
        return None
