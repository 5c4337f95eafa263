"""KDCOM's link, either end: frames out of the bytes of a serial line, and packets into it."""

from __future__ import annotations

from typing import Final

from harness.kd.frames import BadPacket, Frame
from harness.kd.kdcom import Reader, frame_packet
from harness.kd.kdcom_doubts import Doubts
from harness.kd.links import Outgoing
from harness.kd.packets import BREAK_IN, Packet, PacketType
from harness.kd.session_events import Address, PeerRestarted
from harness.kd.statechange import Exception64

__all__ = ["PAUSE", "KdcomLink"]

PAUSE: Final = 0.1
"""Seconds of silence in the middle of a packet after which its rest is not waited for: a packet is sent in
one go, and at 9600 baud a byte takes 1 ms. Also the time between two RESENDs while nothing good arrives: the
debris of one packet may look like several."""

_EXCEPTION: Final = Exception64.STATE.to_bytes(2, "little")


class KdcomLink:
    """Either end of KDCOM."""

    def __init__(self, *, host: bool) -> None:
        self.outgoing: list[Outgoing] = []
        self._reader = Reader(break_ins=not host)
        self._doubts = Doubts()
        self._give_up_at: float | None = None
        self._ask_again_at = 0.0

    def receive(self, data: bytes, now: float, address: Address | None) -> list[Frame]:
        frames = self._judge(self._reader.feed(data), now)
        self._give_up_at = now + PAUSE if self._reader.awaits_more else None
        return frames

    def send_packet(self, packet: Packet) -> None:
        if packet.packet_type is PacketType.RESET:
            self._doubts.reset_sent()
        self.outgoing.append((frame_packet(packet), None))

    def acknowledge(self, packet_id: int) -> None:
        self.send_packet(Packet(PacketType.ACKNOWLEDGE, packet_id))

    def prepare_ack(self, packet_id: int) -> None:
        """Nothing here takes time."""

    def send_break_in(self) -> None:
        self.outgoing.append((BREAK_IN, None))

    def expect_reboot(self) -> None:
        """A serial line has no handshake."""

    def call_target(self, address: Address) -> None:
        """A serial line has only one other end."""

    def deadline(self) -> float | None:
        return self._give_up_at

    def handle_timer(self, now: float) -> list[Frame]:
        """Give up a packet that was cut off."""
        if self._give_up_at is None or now < self._give_up_at:
            return []
        self._give_up_at = None
        return self._judge(self._reader.give_up(), now)

    def _judge(self, found: list[Frame], now: float) -> list[Frame]:
        """The frames, with doubtful packets taken out, and RESEND asked for once in a while only."""
        frames: list[Frame] = []
        for frame in found:
            match frame:
                case Packet():
                    frames += self._judge_packet(frame, now)
                case BadPacket(_, resend):
                    self._doubts.damaged = True
                    ask = resend and now >= self._ask_again_at
                    if ask:
                        self._ask_again_at = now + PAUSE
                    frames.append(frame._replace(resend=ask))
                case _:
                    frames.append(frame)
        return frames

    def _judge_packet(self, packet: Packet, now: float) -> list[Frame]:
        doubt = self._doubts.judge(packet)
        if doubt is not None:
            self._doubts.damaged = True
            return [BadPacket(doubt, resend=not packet.is_control)]
        self._ask_again_at = now
        if not self._doubts.restarted:
            return [packet]
        kind, _, payload = packet
        in_exception = kind is PacketType.STATE_CHANGE64 and payload.startswith(_EXCEPTION)
        return [PeerRestarted(in_exception), packet]
