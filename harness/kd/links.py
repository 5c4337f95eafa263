"""The three links a session can run over: KDNET as host, KDNET as target, KDCOM.

A link turns received bytes into frames and packets into bytes. It knows keys, sequence numbers and the
handshake; it knows nothing of packet ids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from harness.kd.errors import ProtocolError
from harness.kd.frames import BadPacket, BreakIn, Frame, Hello, SessionUp
from harness.kd.handshake import Endpoint, Poke, Response, decode_control, next_nonce
from harness.kd.kdcom import Reader, frame_packet
from harness.kd.kdnet import (
    PROTOCOL_VERSION,
    Channel,
    Datagram,
    Direction,
    Drop,
    DroppedDatagram,
    Key,
    Sealer,
    data_key,
    peek,
)
from harness.kd.packets import BREAK_IN, Packet, decode_packet, encode_packet, hello_body
from harness.kd.session_events import Address, Dropped, PokeAnswered

__all__ = ["MIN_VERSION", "POKE_PERIOD", "KdcomLink", "KdnetHostLink", "KdnetTargetLink", "Link"]

MIN_VERSION: Final = 2
"""Windows 8.1; nothing is known of versions 0 and 1, and Microsoft's host refuses them."""
POKE_PERIOD: Final = 3.0
"""Seconds between two pokes of a Windows target."""
MAX_OFFERS: Final = 4
"""How many answered pokes a host remembers; the target uses the response to its latest one."""


class Outgoing(NamedTuple):
    """Bytes to send, and where to; None where the link has only one peer or the peer is configured."""

    data: bytes
    address: Address | None


class Link(Protocol):
    """What a session needs of a link."""

    outgoing: list[Outgoing]
    """What is to be sent; the session's user drains it."""

    def receive(self, data: bytes, address: Address | None) -> list[Frame]:
        """Bytes from the wire (KDNET: one datagram) → what is in them."""

    def send_packet(self, packet: Packet) -> None:
        """Queue a packet; silently nothing where no session exists."""

    def prepare(self, packet: Packet) -> None:
        """Make the bytes of what will probably be the next packet now."""

    def send_break_in(self) -> None:
        """Queue a break-in."""

    def expect_reboot(self) -> None:
        """The target will come again: answer each of its pokes."""

    def call_target(self, address: Address) -> None:
        """KDNET host: ask the target at ``address`` to dial."""

    def deadline(self) -> float | None:
        """When :meth:`handle_timer` is due."""

    def handle_timer(self, now: float) -> None:
        """Do what is due."""


class _DataChannel:
    """Keys and sequence numbers of one KDNET session."""

    def __init__(self, sealer: Sealer, version: int, direction: Direction) -> None:
        self._sealer = sealer
        self.version = version
        self._direction = direction
        self._sent = 0
        self._mark = 0
        self._ready: tuple[Packet, bytes] | None = None

    def open(self, data: bytes) -> bytes:
        """The body; raises :class:`DroppedDatagram`."""
        _, _, direction, sequence, body = self._sealer.open(data)
        if direction == self._direction:
            raise DroppedDatagram(Drop.WRONG_DIRECTION)
        if sequence <= self._mark:
            raise DroppedDatagram(Drop.STALE_SEQUENCE, f"{sequence} after {self._mark}")
        self._mark = sequence
        return body

    def seal(self, body: bytes) -> bytes:
        """The next datagram."""
        self._ready = None
        self._sent += 1
        return self._sealer.seal(self.version, self._direction, self._sent, body)

    def seal_packet(self, packet: Packet) -> bytes:
        """The next datagram, taken from :meth:`prepare` when it foretold this packet."""
        if self._ready is not None and self._ready[0] == packet:
            _, data = self._ready
            self._ready = None
            self._sent += 1
            return data
        return self.seal(encode_packet(packet))

    def prepare(self, packet: Packet) -> None:
        if self._ready is None or self._ready[0] != packet:
            body = encode_packet(packet)
            sealed = self._sealer.seal(self.version, self._direction, self._sent + 1, body)
            self._ready = (packet, sealed)


def _frame(body: bytes, *, from_target: bool) -> Frame:
    """What the body of a data datagram is."""
    if not from_target and body == BREAK_IN:
        return BreakIn()
    if from_target and 8 <= len(body) <= 12 and body[:4] == bytes(4):
        return Hello()
    try:
        return decode_packet(body)
    except ProtocolError as error:
        return BadPacket(error.message)


def _control(sealer: Sealer, data: bytes, direction: Direction) -> Datagram:
    datagram = sealer.open(data)
    if datagram.direction is not direction:
        raise DroppedDatagram(Drop.WRONG_DIRECTION)
    if datagram.version < MIN_VERSION:
        raise DroppedDatagram(Drop.BAD_VERSION, f"{datagram.version}, at least {MIN_VERSION} is due")
    return datagram


class _Offer(NamedTuple):
    """A poke that was answered."""

    sealer: Sealer
    version: int
    address: Address | None
    client_key: bytes


class KdnetHostLink:
    """The debugger's end of KDNET: answers pokes, takes the key that the target proves to have.

    A response alone changes nothing: the session in use ends only when data arrives that authenticates
    under a newer key. So a replayed poke cannot break a session.

    :param random_bytes: source of host keys.
    """

    def __init__(self, key: Key, random_bytes: Callable[[int], bytes]) -> None:
        self.outgoing: list[Outgoing] = []
        self._key = key
        self._random_bytes = random_bytes
        self._control = Sealer(Channel.CONTROL, key.secret, key.hmac_key)
        self._offers: list[_Offer] = []
        self._channel: _DataChannel | None = None
        self._address: Address | None = None
        self._client_key = b""
        self._answer_all = True

    def receive(self, data: bytes, address: Address | None) -> list[Frame]:
        try:
            _, channel = peek(data)
        except DroppedDatagram as drop:
            return [Dropped(drop.reason, drop.message, False)]
        try:
            if channel is Channel.CONTROL:
                return self._receive_control(data, address)
            return self._receive_data(data)
        except DroppedDatagram as drop:
            return [Dropped(drop.reason, drop.message, channel is Channel.CONTROL)]

    def _receive_control(self, data: bytes, address: Address | None) -> list[Frame]:
        datagram = _control(self._control, data, Direction.TO_HOST)
        try:
            poke = decode_control(datagram.body)
        except ProtocolError as error:
            return [Dropped(Drop.BAD_BODY, error.message, True)]
        if not isinstance(poke, Poke):
            return [Dropped(Drop.NOT_EXPECTED, "a response from the target", True)]
        if not self._is_wanted(poke):
            return []
        response = Response(client_key=poke.client_key, host_key=self._random_bytes(32)).encode()
        sealed = self._control.seal(datagram.version, Direction.TO_TARGET, datagram.sequence, response)
        self.outgoing.append(Outgoing(sealed, address))
        sealer = Sealer(Channel.DATA, data_key(self._key, response), self._key.hmac_key)
        self._offers.append(_Offer(sealer, datagram.version, address, poke.client_key))
        del self._offers[:-MAX_OFFERS]
        return [PokeAnswered(address, datagram.version)]

    def _is_wanted(self, poke: Poke) -> bool:
        """A poke that only keeps the session alive is not to be answered: that would rotate the key."""
        if self._answer_all or not poke.in_session:
            return True
        return poke.client_key[8:] != self._client_key[8:]

    def _receive_data(self, data: bytes) -> list[Frame]:
        channel = self._channel
        if channel is not None:
            try:
                return [_frame(channel.open(data), from_target=True)]
            except DroppedDatagram as drop:
                if drop.reason is not Drop.BAD_MAC or not self._offers:
                    raise
        elif not self._offers:
            raise DroppedDatagram(Drop.NO_SESSION)
        for offer in reversed(self._offers):
            newer = _DataChannel(offer.sealer, offer.version, Direction.TO_TARGET)
            try:
                body = newer.open(data)
            except DroppedDatagram as drop:
                if drop.reason is not Drop.BAD_MAC:
                    raise
                continue
            fresh = offer.client_key[8:] != self._client_key[8:]
            self._channel, self._address, self._client_key = newer, offer.address, offer.client_key
            self._offers.clear()
            self._answer_all = False
            return [
                SessionUp(offer.address, offer.version, fresh),
                _frame(body, from_target=True),
            ]
        raise DroppedDatagram(Drop.BAD_MAC)

    def send_packet(self, packet: Packet) -> None:
        if self._channel is not None:
            self.outgoing.append(Outgoing(self._channel.seal_packet(packet), self._address))

    def prepare(self, packet: Packet) -> None:
        if self._channel is not None:
            self._channel.prepare(packet)

    def send_break_in(self) -> None:
        if self._channel is not None:
            self.outgoing.append(Outgoing(self._channel.seal(BREAK_IN), self._address))

    def expect_reboot(self) -> None:
        self._answer_all = True

    def call_target(self, address: Address) -> None:
        """Ask a target that was not told where its debugger is to poke: an empty control datagram."""
        self.outgoing.append(
            Outgoing(self._control.seal(PROTOCOL_VERSION, Direction.TO_TARGET, 0, b""), address)
        )

    def deadline(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> None:
        """Nothing is ever due."""


class KdnetTargetLink:
    """The target's end of KDNET: pokes every three seconds, takes the response to its latest poke.

    :param client_key: the 32-byte nonce of the first poke.
    :param own: the target's address and port, as the poke names them.
    :param host: where the debugger is expected.
    :param start: when the first poke is due.
    """

    def __init__(
        self,
        key: Key,
        *,
        client_key: bytes,
        own: Endpoint,
        host: Endpoint,
        start: float,
        version: int = PROTOCOL_VERSION,
    ) -> None:
        self.outgoing: list[Outgoing] = []
        self._key = key
        self._control = Sealer(Channel.CONTROL, key.secret, key.hmac_key)
        self._client_key = client_key
        self._answered = False
        self._own = own
        self._host = host
        self._version = version
        self._uptime = 0
        self._next_poke = start
        self._channel: _DataChannel | None = None

    def receive(self, data: bytes, address: Address | None) -> list[Frame]:
        try:
            _, channel = peek(data)
        except DroppedDatagram as drop:
            return [Dropped(drop.reason, drop.message, False)]
        try:
            if channel is Channel.CONTROL:
                return self._receive_control(data, address)
            if self._channel is None:
                raise DroppedDatagram(Drop.NO_SESSION)
            return [_frame(self._channel.open(data), from_target=False)]
        except DroppedDatagram as drop:
            return [Dropped(drop.reason, drop.message, channel is Channel.CONTROL)]

    def _receive_control(self, data: bytes, address: Address | None) -> list[Frame]:
        datagram = _control(self._control, data, Direction.TO_TARGET)
        if not datagram.body:
            self._poke()
            return []
        try:
            response = decode_control(datagram.body)
        except ProtocolError as error:
            return [Dropped(Drop.BAD_BODY, error.message, True)]
        if not isinstance(response, Response):
            return [Dropped(Drop.NOT_EXPECTED, "a poke from the host", True)]
        if response.client_key != self._client_key or self._answered:
            return [Dropped(Drop.STALE_SEQUENCE, "response to another poke than the last", True)]
        fresh = self._channel is None
        self._answered = True
        sealer = Sealer(Channel.DATA, data_key(self._key, datagram.body), self._key.hmac_key)
        self._channel = _DataChannel(sealer, self._version, Direction.TO_HOST)
        ipv4 = int(self._host.address) & 0xFFFFFFFF
        self.outgoing.append(Outgoing(self._channel.seal(hello_body(ipv4)), None))
        return [SessionUp(address, datagram.version, fresh)]

    def _poke(self) -> None:
        if self._uptime:
            self._client_key = next_nonce(self._client_key)
        self._answered = False
        self._uptime += round(POKE_PERIOD)
        session = self._host if self._channel is not None else None
        poke = Poke.of(client_key=self._client_key, target=self._own, host=self._host, session=session)
        sealed = self._control.seal(self._version, Direction.TO_HOST, self._uptime, poke.encode())
        self.outgoing.append(Outgoing(sealed, None))

    def send_packet(self, packet: Packet) -> None:
        if self._channel is not None:
            self.outgoing.append(Outgoing(self._channel.seal_packet(packet), None))

    def prepare(self, packet: Packet) -> None:
        if self._channel is not None:
            self._channel.prepare(packet)

    def send_break_in(self) -> None:
        raise ProtocolError("only a host breaks in")

    def expect_reboot(self) -> None:
        raise ProtocolError("only a host expects a reboot")

    def call_target(self, address: Address) -> None:
        raise ProtocolError("only a host calls a target")

    def deadline(self) -> float | None:
        return self._next_poke

    def handle_timer(self, now: float) -> None:
        if now >= self._next_poke:
            self._poke()
            self._next_poke = max(self._next_poke + POKE_PERIOD, now)


class KdcomLink:
    """Either end of KDCOM."""

    def __init__(self, *, host: bool) -> None:
        self.outgoing: list[Outgoing] = []
        self._reader = Reader(break_ins=not host)

    def receive(self, data: bytes, address: Address | None) -> list[Frame]:
        return self._reader.feed(data)

    def send_packet(self, packet: Packet) -> None:
        self.outgoing.append(Outgoing(frame_packet(packet), None))

    def prepare(self, packet: Packet) -> None:
        """Nothing here takes time."""

    def send_break_in(self) -> None:
        self.outgoing.append(Outgoing(BREAK_IN, None))

    def expect_reboot(self) -> None:
        """A serial line has no handshake."""

    def call_target(self, address: Address) -> None:
        """A serial line has only one other end."""

    def deadline(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> None:
        """Nothing is ever due."""
