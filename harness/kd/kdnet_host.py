"""The debugger's end of KDNET."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from harness.kd.errors import ProtocolError
from harness.kd.frames import Frame, SessionUp
from harness.kd.handshake import Poke, Response, decode_control
from harness.kd.kdnet import (
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
from harness.kd.packets import BREAK_IN, Packet
from harness.kd.session_events import Address, Dropped, PokeAnswered

__all__ = ["MAX_OFFERS", "KdnetHostLink"]

MAX_OFFERS: Final = 4
"""How many answered pokes a host remembers; the target uses the response to its latest one."""


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
        self._channel: DataChannel | None = None
        self._address: Address | None = None
        self._client_key = b""
        self._answer_all = True

    def receive(self, data: bytes, now: float, address: Address | None) -> list[Frame]:
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
        datagram = open_control(self._control, data, Direction.TO_HOST)
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
                return [data_frame(channel.open(data), from_target=True)]
            except DroppedDatagram as drop:
                if drop.reason is not Drop.BAD_MAC or not self._offers:
                    raise
        elif not self._offers:
            raise DroppedDatagram(Drop.NO_SESSION)
        for offer in reversed(self._offers):
            newer = DataChannel(offer.sealer, offer.version, Direction.TO_TARGET)
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
                data_frame(body, from_target=True),
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
