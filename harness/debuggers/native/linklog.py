"""What happened on a link besides its packets: written to the log, and counted as evidence."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

from harness.errors import ConnectionFailed
from harness.kd.kdnet import Drop
from harness.kd.session import Session
from harness.kd.session_events import (
    Acknowledged,
    Address,
    Connected,
    Dropped,
    GaveUp,
    JunkReceived,
    PacketReceived,
    PacketRepeated,
    PeerReset,
    PeerRestarted,
    PokeAnswered,
    ResendRequested,
    SecondTarget,
    SessionEvent,
    TargetMoved,
)
from harness.ports.transport import MAPPED_PREFIX

__all__ = ["LinkLog", "place", "two_targets"]

_log = logging.getLogger(__name__)

_SUSPICIOUS: Final = (Drop.BAD_MAC, Drop.BAD_VERSION, Drop.STRANGE_POKE, Drop.SECOND_TARGET)
"""Dropped for something that the user can do something about."""


def place(address: Address | None) -> str:
    """An address as people write it."""
    if address is None:
        return "an unknown address"
    return f"{address[0].removeprefix(MAPPED_PREFIX)} port {address[1]}"


def two_targets(seen: SecondTarget) -> ConnectionFailed:
    """What is said of them."""
    return ConnectionFailed(
        f"two targets dial this port with one key: {place(seen.address)} and {place(seen.other)}",
        hint="a copied machine has its original's debugger settings; give each target a port of its own",
    )


class LinkLog:
    """Told every event of one session, on the link's thread; the counts may be read by others.

    :param name: of the transport.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._phase = ""
        self._drops: Counter[tuple[Drop, bool]] = Counter()
        self._details: dict[tuple[Drop, bool], str] = {}
        self.pokes_answered = 0
        self.poke_version = 0
        """KDNET version of the last poke that was answered."""

    def drops(self, reason: Drop, *, control: bool) -> int:
        """How many datagrams were dropped for this reason, on the control or on the data channel."""
        return self._drops[reason, control]

    def detail(self, reason: Drop, *, control: bool) -> str:
        """What was said of the last of them, empty where there was none."""
        return self._details.get((reason, control), "")

    def disconnected(self, reason: str) -> None:
        """The transport was closed and will be opened again."""
        what = reason.removeprefix(self._name).lstrip()
        self._write(logging.WARNING, "%s; it is tried again until it is back", what)

    def reconnected(self) -> None:
        """The transport is open again."""
        self._write(logging.WARNING, "it is back")

    def see(self, session: Session, event: SessionEvent) -> None:
        """An event of ``session``, and the phase that it is in by now."""
        match event:
            case PacketReceived() | Acknowledged():
                return
            case Dropped(reason, detail, control):
                self._see_drop(reason, detail, control)
            case PokeAnswered(address, version):
                self.pokes_answered += 1
                self.poke_version = version
                self._write(logging.DEBUG, "answered a poke of %s, version %d", place(address), version)
            case Connected(address, version, fresh):
                kind = "new" if fresh else "known"
                words = "session with the %s target at %s, version %d"
                self._write(logging.INFO, words, kind, place(address), version)
            case TargetMoved(before, address):
                self._write(
                    logging.WARNING, "the target has moved from %s to %s", place(before), place(address)
                )
            case SecondTarget(address, other):
                self._write(
                    logging.WARNING, "two targets: %s speaks while %s does", place(other), place(address)
                )
            case PeerReset(packet_id):
                self._write(logging.INFO, "the target sent RESET with packet id 0x%x", packet_id)
            case PeerRestarted(in_exception):
                why = "it had given this debugger up" if in_exception else "it was reset"
                self._write(logging.WARNING, "the target's packet ids begin anew: %s", why)
            case ResendRequested():
                self._write(logging.INFO, "the target asked for RESEND")
            case PacketRepeated(packet_type, tries):
                self._write(logging.INFO, "%s goes out for the %d. time", packet_type.name, tries)
            case GaveUp(_, packet_type):
                self._write(logging.WARNING, "%s was not acknowledged and is given up", packet_type.name)
            case JunkReceived(data):
                self._write(logging.DEBUG, "%d bytes outside packets: %r", len(data), data[:64])
            case _:
                self._write(logging.INFO, "%s", event)
        phase = session.phase.value
        if phase != self._phase:
            self._phase = phase
            self._write(logging.INFO, "the session is %s", phase)

    def _see_drop(self, reason: Drop, detail: str, control: bool) -> None:
        key = reason, control
        first = key not in self._drops
        self._drops[key] += 1
        self._details[key] = detail
        level = logging.WARNING if first and reason in _SUSPICIOUS else logging.DEBUG
        self._write(level, "dropped%s: %s", " on the control channel" if control else "", detail)

    def _write(self, level: int, message: str, *words: object) -> None:
        _log.log(level, "%s: " + message, self._name, *words)
