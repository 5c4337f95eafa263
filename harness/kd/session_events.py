"""What a session reports: one small record a happening."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from harness.kd.kdnet import Drop
from harness.kd.layout import Record
from harness.kd.packets import PacketType
from harness.kd.registry import decode_payload

__all__ = [
    "Acknowledged",
    "Address",
    "BreakInReceived",
    "Connected",
    "Dropped",
    "GaveUp",
    "JunkReceived",
    "PacketReceived",
    "PacketRepeated",
    "PeerReset",
    "PeerRestarted",
    "PokeAnswered",
    "ResendRequested",
    "SecondTarget",
    "SessionEvent",
    "TargetMoved",
]

Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""The peer's host and port (IPv6: flow and scope too), as ``recvfrom`` gives them; never interpreted here."""


class PacketReceived(NamedTuple):
    """A data packet arrived for the first time; its ACK is already among what is to be sent."""

    packet_type: PacketType
    packet_id: int
    payload: bytes

    def record(self) -> Record:
        """The typed record; raises :class:`harness.kd.errors.ProtocolError`."""
        return decode_payload(self.packet_type, self.payload)


class Acknowledged(NamedTuple):
    """A packet handed to ``send_packet`` has arrived (its ACK came, or a packet that proves it)."""

    token: int
    packet_type: PacketType


class GaveUp(NamedTuple):
    """A packet was sent ``max_tries`` times without an ACK and is forgotten."""

    token: int
    packet_type: PacketType


class PacketRepeated(NamedTuple):
    """A packet handed to ``send_packet`` was sent again, for its ACK did not come in time or RESEND did."""

    packet_type: PacketType
    tries: int
    """How often it has been sent by now."""


class Connected(NamedTuple):
    """A KDNET session is up. Host: first authenticated data. Target: a response was accepted."""

    address: Address | None
    version: int
    fresh: bool
    """The peer is not the one of an earlier session (a new nonce series), so it has a new boot behind it."""


class PokeAnswered(NamedTuple):
    """Host: a poke was answered with a new host key."""

    address: Address | None
    version: int


class TargetMoved(NamedTuple):
    """Host: the session's target now speaks from another address (DHCP, NAT), and is answered there."""

    before: Address | None
    address: Address | None


class SecondTarget(NamedTuple):
    """Host: two targets dial with one key, and both of them speak. Nothing of the other one was taken."""

    address: Address | None
    """The session's target."""
    other: Address | None


class BreakInReceived(NamedTuple):
    """Target: the host wants the target to halt."""


class PeerReset(NamedTuple):
    """The peer sent RESET."""

    packet_id: int


class PeerRestarted(NamedTuple):
    """KDCOM: the peer's packet ids begin anew with the packet whose event follows."""

    in_exception: bool
    """It stopped at an exception with that. kdcom's ids begin anew, too, for a debugger that it had given up;
    then nothing is heard of it until a break-in. Otherwise it was reset."""


class ResendRequested(NamedTuple):
    """The peer sent RESEND; an unacknowledged packet is on its way again."""


class Dropped(NamedTuple):
    """A datagram or packet was thrown away."""

    reason: Drop
    detail: str
    control: bool
    """It came on KDNET's control channel."""


class JunkReceived(NamedTuple):
    """KDCOM: bytes outside packets, for example the boot loader's text."""

    data: bytes


SessionEvent: TypeAlias = (
    PacketReceived
    | Acknowledged
    | GaveUp
    | PacketRepeated
    | Connected
    | PokeAnswered
    | TargetMoved
    | SecondTarget
    | BreakInReceived
    | PeerReset
    | PeerRestarted
    | ResendRequested
    | Dropped
    | JunkReceived
)
