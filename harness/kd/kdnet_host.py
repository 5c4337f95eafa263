"""The debugger's end of KDNET: answers pokes, takes the key that a target proves to have, knows its target.

A response alone changes nothing: the session in use ends only when data arrives that authenticates under a
newer key. So neither a forged nor a replayed datagram can break a session, nor keep a target from one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from harness.kd.errors import ProtocolError
from harness.kd.frames import Frame, SessionUp
from harness.kd.handshake import Poke, Response, decode_control
from harness.kd.kdnet import (
    DATAGRAM_SIZES,
    PROTOCOL_VERSION,
    Channel,
    Direction,
    Drop,
    DroppedDatagram,
    Key,
    Sealer,
    data_key,
    peek,
)
from harness.kd.kdnet_channel import DataChannel, data_frame, open_control
from harness.kd.links import Outgoing
from harness.kd.packets import BREAK_IN, Packet, encode_packet
from harness.kd.session_events import Address, Dropped, PokeAnswered, SecondTarget, TargetMoved

__all__ = ["MAX_OFFERS", "SILENT_AFTER", "SPEAKS_STILL_AFTER", "KdnetHostLink"]

MAX_OFFERS: Final = 64
"""Answered pokes that a host remembers until one becomes a session; the oldest is forgotten first."""
SILENT_AFTER: Final = 7.0
"""Seconds of silence after which a target counts as gone: it pokes every three, and one may be lost."""
SPEAKS_STILL_AFTER: Final = 1.0
"""A target that is heard this many seconds after another one began to speak was not merely delayed on its
way."""


class _Offer(NamedTuple):
    """A poke that was answered."""

    channel: DataChannel
    poke: Poke
    answer: bytes
    """The response as it was sent."""


class _Newcomer(NamedTuple):
    """A target that wants a session while ours may still be there."""

    address: Address | None
    since: float
    heard_at: float


class KdnetHostLink:
    """See the module's title.

    :param random_bytes: source of host keys.
    """

    def __init__(self, key: Key, random_bytes: Callable[[int], bytes]) -> None:
        self.outgoing: list[Outgoing] = []
        self._key = key
        self._random_bytes = random_bytes
        self._control = Sealer(Channel.CONTROL, key.secret, key.hmac_key)
        self._offers: dict[bytes, _Offer] = {}
        """By client key, the oldest first."""
        self._channel: DataChannel | None = None
        self._address: Address | None = None
        self._poke: Poke | None = None
        """The newest poke of the session's target."""
        self._older_poke = -1
        """Counter of a poke that came after a newer one."""
        self._heard_at = 0.0
        self._newcomer: _Newcomer | None = None
        self._answer_all = True

    def receive(self, data: bytes, now: float, address: Address | None) -> list[Frame]:
        channel = self._channel
        try:
            if channel is not None and data.startswith(channel.clear) and len(data) in DATAGRAM_SIZES:
                body = channel.open(data)
                self._heard_at = now
                if address == self._address and self._newcomer is None:
                    return [data_frame(body, from_target=True)]
                return [*self._on_heard(now, address), data_frame(body, from_target=True)]
        except DroppedDatagram as drop:
            if drop.reason is not Drop.BAD_MAC or not self._offers:
                return [Dropped(drop.reason, drop.message, False)]
        kind = Channel.DATA
        try:
            _, kind = peek(data)
            if kind is Channel.CONTROL:
                return self._receive_control(data, now, address)
            return self._receive_under_offer(data, now, address)
        except DroppedDatagram as drop:
            return [Dropped(drop.reason, drop.message, kind is Channel.CONTROL)]

    # Pokes

    def _receive_control(self, data: bytes, now: float, address: Address | None) -> list[Frame]:
        datagram = open_control(self._control, data, Direction.TO_HOST)
        version, body = datagram.version, datagram.body
        try:
            poke = decode_control(body)
        except ProtocolError as error:
            detail = f"KDNET version {version}, {len(body)} bytes, {error.message}"
            return [Dropped(Drop.STRANGE_POKE, detail, True)]
        if not isinstance(poke, Poke):
            return [Dropped(Drop.NOT_EXPECTED, "a response from the target", True)]
        frames = self._on_own_poke(poke, now, address)
        if not self._is_wanted(poke):
            return frames
        offer = self._offers.get(poke.client_key)
        if offer is None:
            offer = self._offer(poke, version, datagram.sequence)
        self.outgoing.append((offer.answer, address))
        return [*frames, PokeAnswered(address, version)]

    def _offer(self, poke: Poke, version: int, sequence: int) -> _Offer:
        response = Response(client_key=poke.client_key, host_key=self._random_bytes(32)).encode()
        answer = self._control.seal(version, Direction.TO_TARGET, sequence, response)
        sealer = Sealer(Channel.DATA, data_key(self._key, response), self._key.hmac_key)
        offer = _Offer(DataChannel(sealer, version, Direction.TO_TARGET), poke, answer)
        self._offers[poke.client_key] = offer
        if len(self._offers) > MAX_OFFERS:
            del self._offers[next(iter(self._offers))]
        return offer

    def _on_own_poke(self, poke: Poke, now: float, address: Address | None) -> list[Frame]:
        """A poke of the session's own target is a sign of life, where it is no replay."""
        last = self._poke
        if last is None or poke.series != last.series or poke.count <= last.count:
            return []
        self._poke = poke
        self._older_poke = -1
        if self._channel is None:
            return []
        self._heard_at = now
        return self._on_heard(now, address)

    def _is_wanted(self, poke: Poke) -> bool:
        """A poke that only keeps the session alive is not to be answered: that would rotate the key."""
        last = self._poke
        if self._answer_all or not poke.in_session or last is None or poke.series != last.series:
            return True
        if poke.count >= last.count:
            return False
        # Late, or replayed; or the machine was put back to a snapshot, and then its pokes go on from there.
        goes_on = poke.count == self._older_poke + 1
        self._older_poke = poke.count
        return goes_on

    # Data

    def _on_heard(self, now: float, address: Address | None) -> list[Frame]:
        """The session's target was heard: follow it, and see whether somebody else speaks beside it."""
        frames: list[Frame] = []
        if address != self._address:
            frames.append(TargetMoved(self._address, address))
            self._address = address
        other = self._newcomer
        if other is not None:
            if other.address == address or now - other.heard_at >= SILENT_AFTER:
                self._newcomer = None
            elif now - other.since >= SPEAKS_STILL_AFTER:
                self._newcomer = None
                frames.append(SecondTarget(address, other.address))
        return frames

    def _receive_under_offer(self, data: bytes, now: float, address: Address | None) -> list[Frame]:
        if self._channel is None and not self._offers:
            raise DroppedDatagram(Drop.NO_SESSION)
        for offer in reversed(self._offers.values()):
            try:
                body = offer.channel.open(data)
            except DroppedDatagram as drop:
                if drop.reason is not Drop.BAD_MAC:
                    raise
            else:
                return self._begin_session(offer, body, now, address)
        raise DroppedDatagram(Drop.BAD_MAC)

    def _begin_session(self, offer: _Offer, body: bytes, now: float, address: Address | None) -> list[Frame]:
        fresh = self._poke is None or offer.poke.series != self._poke.series
        if fresh and self._may_be_second(now, address):
            known = self._newcomer
            since = known.since if known is not None and known.address == address else now
            self._newcomer = _Newcomer(address, since, now)
            raise DroppedDatagram(Drop.SECOND_TARGET)
        self._channel, self._address, self._poke = offer.channel, address, offer.poke
        self._older_poke = -1
        self._heard_at = now
        self._newcomer = None
        self._offers.clear()
        self._answer_all = False
        return [SessionUp(address, offer.channel.version, fresh), data_frame(body, from_target=True)]

    def _may_be_second(self, now: float, address: Address | None) -> bool:
        """A new target is our own after a reboot where it has its address, has said that it reboots, or where
        our own is silent by now. Else the newcomer has to wait: it repeats what is not acknowledged."""
        return (
            self._channel is not None
            and address != self._address
            and not self._answer_all
            and now - self._heard_at < SILENT_AFTER
        )

    # What goes out

    def acknowledge(self, packet_id: int) -> None:
        if self._channel is not None:
            self.outgoing.append((self._channel.seal_ack(packet_id), self._address))

    def prepare_ack(self, packet_id: int) -> None:
        if self._channel is not None:
            self._channel.prepare_ack(packet_id)

    def send_packet(self, packet: Packet) -> None:
        if self._channel is not None:
            self.outgoing.append((self._channel.seal(encode_packet(packet)), self._address))

    def send_break_in(self) -> None:
        if self._channel is not None:
            self.outgoing.append((self._channel.seal(BREAK_IN), self._address))

    def expect_reboot(self) -> None:
        self._answer_all = True

    def call_target(self, address: Address) -> None:
        """Ask a target that was not told where its debugger is to poke: an empty control datagram."""
        self.outgoing.append((self._control.seal(PROTOCOL_VERSION, Direction.TO_TARGET, 0, b""), address))

    def deadline(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> list[Frame]:
        return []  # nothing is ever due
