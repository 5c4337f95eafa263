"""What a link finds in the bytes it receives, before packet ids are looked at."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from harness.kd.packets import Packet
from harness.kd.session_events import Address, Dropped, PeerRestarted, PokeAnswered, SecondTarget, TargetMoved

__all__ = ["BadPacket", "BreakIn", "Frame", "Hello", "Junk", "SessionUp"]


class BadPacket(NamedTuple):
    """Something that began like a packet and is none."""

    reason: str
    resend: bool = True
    """The peer is to be asked to send it again."""


class Junk(NamedTuple):
    """KDCOM: bytes outside packets."""

    data: bytes


class BreakIn(NamedTuple):
    """The host's break-in byte."""


class Hello(NamedTuple):
    """KDNET: the target's first data datagram, to be answered with RESEND."""


class SessionUp(NamedTuple):
    """KDNET: host: first data under a new key; target: a response was accepted."""

    address: Address | None
    version: int
    fresh: bool
    """The peer's nonce series is a new one."""


Frame: TypeAlias = (
    Packet
    | BadPacket
    | Junk
    | BreakIn
    | Hello
    | SessionUp
    | Dropped
    | PokeAnswered
    | TargetMoved
    | SecondTarget
    | PeerRestarted
)
