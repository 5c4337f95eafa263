"""Packet ids: how each link numbers data packets and tells a repeated one from a new one.

KDNET counts by two (target from 0, host from 0x80000000) and keeps counting when a debugger reconnects. KDCOM
toggles bit 0 of 0x80800000; SYNC (0x800) marks the first packet of a stream and is cleared in ACKs.
"""

from __future__ import annotations

from typing import Final, Protocol

from harness.kd.packets import Packet, checksum

__all__ = [
    "KDCOM_FIRST",
    "KDNET_HOST_FIRST",
    "SYNC",
    "KdcomIds",
    "KdnetIds",
    "PacketIds",
    "is_copy",
    "says_the_same",
]

SYNC: Final = 0x800
KDCOM_FIRST: Final = 0x80800000
KDNET_HOST_FIRST: Final = 0x80000000


def says_the_same(packet: Packet, earlier: Packet) -> bool:
    """Type, length and sum agree: all that a receiver can tell where changes may cancel out in the sum."""
    return (
        packet.packet_type is earlier.packet_type
        and len(packet.payload) == len(earlier.payload)
        and checksum(packet.payload) == checksum(earlier.payload)
    )


def is_copy(packet: Packet, earlier: Packet) -> bool:
    """Over KDCOM: the same packet once more, be it that SYNC changed on the way."""
    return (packet.packet_id ^ earlier.packet_id) & ~SYNC == 0 and says_the_same(packet, earlier)


class PacketIds(Protocol):
    """One end's numbering."""

    def take(self) -> int:
        """The id of the next packet of our own."""

    def announce(self, in_flight: int | None) -> int:
        """The id that our RESET carries, when a packet with the id ``in_flight`` is not acknowledged yet."""

    def begins_stream(self, packet: Packet) -> bool:
        """The id says that this is the peer's very first packet."""

    def is_repeat(self, packet: Packet) -> bool:
        """The packet was accepted before: acknowledge it again and drop it."""

    def accept(self, packet: Packet) -> None:
        """Remember the packet as the last one received."""

    def ack_of(self, packet_id: int) -> int:
        """The id of the ACK for the packet ``packet_id``."""

    def expected(self) -> int | None:
        """The id of the peer's next packet where it can be foretold."""

    def restart(self) -> bool:
        """A RESET passed between the ends. True: our own ids begin again, so a packet in flight gets a new
        one."""

    def give_up(self) -> None:
        """A packet of our own was given up: the peer counts as gone."""

    def forget(self) -> None:
        """The peer is a new one: no packet of its has been received."""


class KdnetIds:
    """Ids over KDNET.

    :param first: our first id; a target that keeps counting over debuggers hands its next one in.
    """

    def __init__(self, first: int) -> None:
        self._next = first
        self._last: int | None = None

    def take(self) -> int:
        taken = self._next
        self._next = (taken + 2) & 0xFFFFFFFF
        return taken

    def announce(self, in_flight: int | None) -> int:
        return self._next if in_flight is None else in_flight

    def begins_stream(self, packet: Packet) -> bool:
        return packet.packet_id == 0

    def is_repeat(self, packet: Packet) -> bool:
        return packet.packet_id == self._last

    def accept(self, packet: Packet) -> None:
        self._last = packet.packet_id

    def ack_of(self, packet_id: int) -> int:
        return packet_id

    def expected(self) -> int | None:
        return None if self._last is None else (self._last + 2) & 0xFFFFFFFF

    def restart(self) -> bool:
        return False

    def give_up(self) -> None:
        """Ids are never used twice here."""

    def forget(self) -> None:
        self._last = None


class KdcomIds:
    """Ids over KDCOM.

    :param sync: mark our first packet as the beginning of a stream (a booting target does).
    """

    def __init__(self, *, sync: bool) -> None:
        self._next = KDCOM_FIRST | (SYNC if sync else 0)
        self._last: Packet | None = None

    def take(self) -> int:
        taken = self._next
        self._next = (taken & ~SYNC) ^ 1
        return taken

    def announce(self, in_flight: int | None) -> int:
        return 0

    def begins_stream(self, packet: Packet) -> bool:
        return bool(packet.packet_id & SYNC)

    def is_repeat(self, packet: Packet) -> bool:
        # A peer that gave a packet up may use its id again, and there are only two: so the bytes count too.
        return self._last is not None and is_copy(packet, self._last)

    def accept(self, packet: Packet) -> None:
        self._last = packet
        if packet.packet_id & SYNC:
            self._next = KDCOM_FIRST

    def ack_of(self, packet_id: int) -> int:
        return packet_id & ~SYNC

    def expected(self) -> int | None:
        return None

    def restart(self) -> bool:
        self._next = KDCOM_FIRST
        if self._last is not None:
            # The peer repeats, under its first id, what it has no ACK for; we may have received it.
            self._last = self._last._replace(packet_id=KDCOM_FIRST)
        return True

    def give_up(self) -> None:
        # As kdcom does (ReactOS, drivers/base/kdcom/kddll.c, KdSendPacket).
        self._next = KDCOM_FIRST | SYNC
        self._last = None

    def forget(self) -> None:
        self._last = None
