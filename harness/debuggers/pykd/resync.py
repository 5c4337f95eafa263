"""What DbgEng lacks on a serial line to come to a target that runs: a RESET that the target hears.

DbgEng takes nothing of a target until its RESET is answered by one. It sends RESET, half a second later one
break-in, and the next RESET after four seconds in which it has received nothing (seen of 10.0.15063). A
kernel that runs looks for a break-in alone and throws away every other byte, the RESET among them. Once it
has broken in it sends its state change every few milliseconds until that is acknowledged: so DbgEng is never
without something to read, and never sends RESET again.

Source of what a running kernel does: ReactOS, drivers/base/kdcom (KdReceivePacket, KdpPollBreakIn).
"""

from __future__ import annotations

from typing import Final

from harness.kd.kdcom import Reader, frame_packet
from harness.kd.packets import BREAK_IN, Packet, PacketType

__all__ = ["BREAK_IN_AGAIN", "RESET_AGAIN", "Resynchroniser"]

BREAK_IN_AGAIN: Final = 0.485
"""Seconds between two break-ins at a target that has said nothing, as Microsoft's host over KDNET."""
RESET_AGAIN: Final = 0.5
"""Least time in seconds between two RESETs, and for DbgEng to act upon an answer, which it may miss."""
_ANSWER_SECONDS: Final = 0.1
"""For the answer to DbgEng's own; one that is heard is answered at once."""
_RESET: Final = frame_packet(Packet(PacketType.RESET, 0))


class Resynchroniser:
    """Says what a relay between DbgEng and a serial line adds to what DbgEng sends: RESET once more when a
    target that has not answered it says something, for then it listens; and until the first is answered
    break-ins, to make it say something.

    Bytes and the time (seconds of a monotonic clock) go in, bytes for the target come out.
    """

    def __init__(self) -> None:
        self._debugger = Reader(break_ins=True)
        self._target = Reader()
        self._unanswered = False
        """The debugger has sent RESET, and nothing since that shows that it got an answer."""
        self._attached = False
        """It got one once."""
        self._break_in_at: float | None = None
        self._reset_at = 0.0

    @property
    def deadline(self) -> float | None:
        """When :meth:`handle_timer` wants to be called; None = never."""
        return self._break_in_at

    def from_debugger(self, data: bytes, now: float) -> None:
        """DbgEng has sent this, and the target gets it as it is."""
        for frame in self._debugger.feed(data):
            if not isinstance(frame, Packet):
                continue
            self._unanswered = frame.packet_type is PacketType.RESET
            if not self._unanswered:
                self._attached, self._break_in_at = True, None
                continue
            self._reset_at = now + _ANSWER_SECONDS
            if not self._attached and self._break_in_at is None:
                self._break_in_at = now

    def from_target(self, data: bytes, now: float) -> bytes:
        """The target has sent this, and DbgEng gets it as it is; what the target gets for it."""
        packets = [frame for frame in self._target.feed(data) if isinstance(frame, Packet)]
        if not packets or not self._unanswered:
            return b""
        self._break_in_at = None
        if any(packet.packet_type is PacketType.RESET for packet in packets):
            self._reset_at = now + RESET_AGAIN
        if now < self._reset_at or self._debugger.held:
            return b""
        self._reset_at = now + RESET_AGAIN
        return _RESET

    def handle_timer(self, now: float) -> bytes:
        """What the target gets at ``now``."""
        if self._break_in_at is None or now < self._break_in_at or self._debugger.held:
            return b""
        self._break_in_at = now + BREAK_IN_AGAIN
        return BREAK_IN
