"""A KD session without I/O: bytes and the time in; bytes, events and a deadline out. Both roles, both links.

Three things move it: what the user calls, what arrives, and the clock::

    session = Session.kdnet_host(key, secrets.token_bytes)
    session.receive(data, now, address)        # one datagram, or any piece of a serial stream
    for data, address in session.datagrams_to_send(): ...
    while (event := session.next_event()) is not None: ...
    if now >= session.deadline(): session.handle_timer(now)

After every call drain both, in this order: a data packet is acknowledged before its event is even made.

The host
    answers pokes, answers the hello with RESEND, and acknowledges. A target that was running before this
    session has packet ids of its own: its first packet is answered with RESET, and the target announces
    where it is and repeats it.

The target
    pokes every three seconds (KDNET), says hello when a response is accepted (event :class:`Connected`), and
    sends what :meth:`Session.send_packet` is given: one packet at a time, again every ``retransmit``
    seconds under a fresh sequence number until it is acknowledged (event :class:`Acknowledged` with the
    token) or, where ``max_tries`` is given, given up (:class:`GaveUp`). Before a debugger has answered,
    packets wait; a target that prints to nobody looks at :attr:`Session.connected` first. The host's
    requests arrive as :class:`PacketReceived`, its break-in as :class:`BreakInReceived`. A host that attaches
    to a target that is *already halted* has not seen the state change: send it again as a new packet on
    :class:`Connected` or :class:`BreakInReceived`. A packet of the host that answers ours proves that it
    has arrived. RESEND and RESET are answered by repeating the unacknowledged packet.

Limits: a datagram has at most 2048 bytes, a KDNET payload 1416, a KDCOM payload 4000; a host keeps 64
answered pokes; a KDCOM reader keeps one packet. States and legal inputs: :mod:`harness.kd.transitions`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from harness.kd.delivery import Delivery
from harness.kd.frames import BadPacket, BreakIn, Frame, Hello, Junk, SessionUp
from harness.kd.handshake import Endpoint
from harness.kd.kdcom_link import KdcomLink
from harness.kd.kdnet import PROTOCOL_VERSION, Drop, Key
from harness.kd.kdnet_host import KdnetHostLink
from harness.kd.kdnet_target import KdnetTargetLink
from harness.kd.links import Link, Outgoing
from harness.kd.packet_ids import KDNET_HOST_FIRST, KdcomIds, KdnetIds, PacketIds
from harness.kd.packets import CONTROL_TYPES, Packet, PacketType
from harness.kd.session_events import (
    Address,
    BreakInReceived,
    Connected,
    Dropped,
    JunkReceived,
    PacketReceived,
    PeerReset,
    PokeAnswered,
    ResendRequested,
    SessionEvent,
)
from harness.kd.transitions import TRANSITIONS, Input, Phase, Role

__all__ = ["RETRANSMIT", "Session"]

RETRANSMIT: Final = 0.495
"""Seconds until an unacknowledged packet is sent again, as Microsoft's host does."""
_MAX_RESETS: Final = 2
"""RESETs to a target that does not answer them; after that its packets are taken as they come."""

_CONTROLS: Final = dict(zip(CONTROL_TYPES, (Input.ACK, Input.RESEND, Input.RESET), strict=True))
_CONTROL_INPUTS: Final = tuple(map(_CONTROLS.get, PacketType))  # see CONTROL_TYPES for why no dict


class Session:
    """One end of a KD connection; made by one of the four class methods."""

    def __init__(
        self,
        role: Role,
        link: Link,
        ids: PacketIds,
        phase: Phase,
        *,
        retransmit: float = RETRANSMIT,
        max_tries: int | None = None,
    ) -> None:
        self.role = role
        self._link = link
        self._ids = ids
        self._be(phase)
        self._events: deque[SessionEvent | Packet] = deque()
        self._delivery = Delivery(link, ids, self._events, retransmit=retransmit, max_tries=max_tries)
        self._resets = 0
        self._received = self._repeats = 0
        self._leaving = False
        self.knows_newcomers = phase is not Phase.SILENT
        """A peer that comes in the place of another is told apart from it: by KDNET's handshake. KDCOM has
        none."""

    @classmethod
    def kdnet_host(
        cls, key: Key, random_bytes: Callable[[int], bytes], *, retransmit: float = RETRANSMIT
    ) -> Session:
        """A debugger on a UDP port; ``random_bytes`` makes host keys."""
        link = KdnetHostLink(key, random_bytes)
        return cls(Role.HOST, link, KdnetIds(KDNET_HOST_FIRST), Phase.LISTENING, retransmit=retransmit)

    @classmethod
    def kdnet_target(
        cls,
        key: Key,
        *,
        client_key: bytes,
        own: Endpoint,
        host: Endpoint,
        now: float,
        version: int = PROTOCOL_VERSION,
        first_id: int = 0,
        retransmit: float = 0.5,
        max_tries: int | None = None,
    ) -> Session:
        """A debugged machine that dials ``host``; the first poke is due at once.

        :param client_key: 32 bytes, the nonce of the first poke; new for each boot.
        :param max_tries: how often a packet is sent before it is given up; None = for ever.
        """
        link = KdnetTargetLink(key, client_key=client_key, own=own, host=host, start=now, version=version)
        ids = KdnetIds(first_id)
        return cls(Role.TARGET, link, ids, Phase.POKING, retransmit=retransmit, max_tries=max_tries)

    @classmethod
    def kdcom_host(cls, *, retransmit: float = RETRANSMIT) -> Session:
        """A debugger on a serial line."""
        link = KdcomLink(host=True)
        return cls(Role.HOST, link, KdcomIds(sync=False), Phase.SILENT, retransmit=retransmit)

    @classmethod
    def kdcom_target(cls, *, retransmit: float = 0.5, max_tries: int | None = None) -> Session:
        """A debugged machine on a serial line."""
        link = KdcomLink(host=False)
        ids = KdcomIds(sync=True)
        return cls(Role.TARGET, link, ids, Phase.SILENT, retransmit=retransmit, max_tries=max_tries)

    # What the user calls

    @property
    def phase(self) -> Phase:
        """How far the link has come."""
        return self._phase

    @property
    def connected(self) -> bool:
        """The other end was heard, and packets flow."""
        return self._phase in (Phase.CONNECTED, Phase.RESYNCING)

    @property
    def idle(self) -> bool:
        """Every packet that was sent is acknowledged."""
        return self._delivery.idle

    @property
    def tries(self) -> float:
        """How often a data packet must be sent, on average, until its ACK is here; 1.0 on a link that loses
        nothing. What is still in flight does not count."""
        # Of the peer's packets only those are seen twice whose ACK was lost, which is half of the way.
        peers = 1 + self._repeats / self._received if self._received else 1.0
        return max(self._delivery.tries, peers * peers)

    def send_packet(self, packet_type: PacketType, payload: bytes, now: float) -> int:
        """Send a data packet, after those not yet acknowledged; the token that its events carry."""
        return self._delivery.send(packet_type, payload, now)

    def leave(self) -> None:
        """Take no further data packet: none is acknowledged, as if nobody were there any more, and the peer
        knows that it was not heard. What was sent before is still seen to, until :attr:`idle`."""
        self._leaving = True

    def break_in(self) -> None:
        """Host: ask the target to halt. Never acknowledged: repeat until a state change comes."""
        self._link.send_break_in()

    def reset(self) -> None:
        """Send RESET: the peer answers with RESET and repeats what is not acknowledged."""
        self._send_reset()

    def expect_reboot(self) -> None:
        """Host: the target announced that it reboots; answer its pokes again."""
        self._link.expect_reboot()

    def call_target(self, address: Address) -> None:
        """KDNET host: ask the target at ``address``, which does not know where its debugger is, to dial."""
        self._link.call_target(address)

    def prepare(self) -> None:
        """Make the ACK for the packet that probably comes next; call it when there is nothing else to do."""
        expected = self._ids.expected()
        if expected is not None:
            self._link.prepare_ack(expected)

    def datagrams_to_send(self) -> list[Outgoing]:
        """What is to be sent, in order; each item once."""
        link = self._link
        outgoing = link.outgoing
        link.outgoing = []
        return outgoing

    def next_event(self) -> SessionEvent | None:
        """The oldest event not yet taken."""
        if not self._events:
            return None
        event = self._events.popleft()
        if isinstance(event, Packet):  # made here, for the ACK must not wait for it
            self._received += 1
            return PacketReceived(*event)
        return event

    def deadline(self) -> float | None:
        """When :meth:`handle_timer` wants to be called; None = never."""
        again, deadline = self._delivery.deadline, self._link.deadline()
        if again is None or deadline is None:
            return again if deadline is None else deadline
        return min(again, deadline)

    def handle_timer(self, now: float) -> None:
        """Do what is due at ``now``: poke, retransmit, give up."""
        for frame in self._link.handle_timer(now):
            self._on_frame(frame, now)
        self._delivery.handle_timer(now)

    def receive(self, data: bytes, now: float, address: Address | None = None) -> None:
        """Bytes have arrived: one datagram over KDNET, any piece of the stream over KDCOM."""
        for frame in self._link.receive(data, now, address):
            if isinstance(frame, Packet):
                self._on_packet(frame, now)
            else:
                self._on_frame(frame, now)

    # What arrives

    def _enter(self, what: Input) -> bool:
        following = self._legal.get(what)
        if following is None:
            self._events.append(Dropped(Drop.NOT_EXPECTED, f"{what.value} while {self._phase.value}", False))
            return False
        if following is not self._phase:
            self._be(following)
        return True

    def _be(self, phase: Phase) -> None:
        self._phase = phase
        self._legal = TRANSITIONS[self.role][phase]
        # Where data changes nothing the table need not be asked for each packet, while the target waits.
        leads_to = {self._legal.get(Input.FIRST_DATA), self._legal.get(Input.DATA)}
        self._flows = phase is not Phase.RESYNCING and leads_to == {phase}

    def _on_packet(self, packet: Packet, now: float) -> None:
        control = _CONTROL_INPUTS[packet.packet_type]
        if control is None:
            self._on_data(packet, now)
        elif control is Input.RESET:
            self._on_reset(packet.packet_id, now)
        elif self._enter(control):
            if control is Input.ACK:
                self._on_ack(packet.packet_id, now)
            else:
                self._events.append(ResendRequested())
                self._delivery.repeat(now)

    def _on_data(self, packet: Packet, now: float) -> None:
        if self._leaving:
            return
        ids = self._ids
        if not self._flows:
            first = ids.begins_stream(packet) or self._resets >= _MAX_RESETS
            if not self._enter(Input.FIRST_DATA if first else Input.DATA):
                return
            if self._phase is Phase.RESYNCING:
                self._resets += 1
                self._send_reset()
                return
        self._link.acknowledge(ids.ack_of(packet.packet_id))
        if ids.is_repeat(packet):
            self._repeats += 1
            self._events.append(Dropped(Drop.REPEATED, f"packet id 0x{packet.packet_id:x} came again", False))
            return
        ids.accept(packet)
        self._events.append(packet)
        self._delivery.heard(packet, now)

    def _on_ack(self, packet_id: int, now: float) -> None:
        in_flight = self._delivery.in_flight
        if in_flight is not None and self._ids.ack_of(in_flight) == packet_id:
            self._delivery.acknowledge(now)

    def _on_reset(self, packet_id: int, now: float) -> None:
        if not self._enter(Input.RESET):
            return
        self._events.append(PeerReset(packet_id))
        self._resets = 0
        if self._ids.restart():
            self._delivery.renumber()
        if self.role is Role.TARGET:
            self._ids.forget()
            self._send_reset()
            self._delivery.repeat(now)

    def _on_frame(self, frame: Frame, now: float) -> None:
        match frame:
            case Packet():
                self._on_packet(frame, now)
            case BadPacket(reason, resend):
                self._events.append(Dropped(Drop.BAD_BODY, reason, False))
                if resend:
                    self._link.send_packet(Packet(PacketType.RESEND, 0))
            case Hello():
                if self._enter(Input.HELLO):
                    self._link.send_packet(Packet(PacketType.RESEND, 0))
            case SessionUp(address, version, fresh):
                self._on_session(address, version, fresh, now)
            case BreakIn():
                if self._enter(Input.BREAK_IN):
                    self._events.append(BreakInReceived())
            case Junk(data):
                self._events.append(JunkReceived(data))
            case PokeAnswered():
                if self._enter(Input.POKE):
                    self._events.append(frame)
            case _:  # what the link found out
                self._events.append(frame)

    def _on_session(self, address: Address | None, version: int, fresh: bool, now: float) -> None:
        if not self._enter(Input.SESSION if self.role is Role.HOST else Input.RESPONSE):
            return
        self._resets = 0
        if self.role is Role.TARGET:
            self._ids.forget()
            self._delivery.postpone(now)
        elif fresh:
            self._ids.forget()
            self._delivery.forget()
        self._events.append(Connected(address, version, fresh))

    def _send_reset(self) -> None:
        announced = self._ids.announce(self._delivery.in_flight)
        self._link.send_packet(Packet(PacketType.RESET, announced))
