"""What a session needs of a link. There are three: :mod:`harness.kd.kdnet_host`,
:mod:`harness.kd.kdnet_target` and :mod:`harness.kd.kdcom_link`.

A link turns received bytes into frames and packets into bytes. It knows keys, sequence numbers and the
handshake; it knows nothing of packet ids.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from harness.kd.frames import Frame
from harness.kd.packets import Packet
from harness.kd.session_events import Address

__all__ = ["Link", "Outgoing"]


Outgoing: TypeAlias = tuple[bytes, Address | None]
"""Bytes to send, and where to; None where the link has only one peer or the peer is configured."""


class Link(Protocol):
    """What a session needs of a link."""

    outgoing: list[Outgoing]
    """What is to be sent; the session's user drains it."""

    def receive(self, data: bytes, now: float, address: Address | None) -> list[Frame]:
        """Bytes from the wire (KDNET: one datagram) → what is in them."""

    def send_packet(self, packet: Packet) -> None:
        """Queue a packet; silently nothing where no session exists."""

    def acknowledge(self, packet_id: int) -> None:
        """Queue the ACK for this packet of the peer."""

    def prepare_ack(self, packet_id: int) -> None:
        """Make the bytes of the ACK that will probably be due next now."""

    def send_break_in(self) -> None:
        """Queue a break-in."""

    def expect_reboot(self) -> None:
        """The target will come again: answer each of its pokes."""

    def call_target(self, address: Address) -> None:
        """KDNET host: ask the target at ``address`` to dial."""

    def deadline(self) -> float | None:
        """When :meth:`handle_timer` is due."""

    def handle_timer(self, now: float) -> list[Frame]:
        """Do what is due; what the link found out by it."""
