"""The debugged machine's end of KDNET."""

from __future__ import annotations

from typing import Final

from harness.kd.errors import ProtocolError
from harness.kd.frames import Frame, SessionUp
from harness.kd.handshake import Endpoint, Poke, Response, decode_control, next_nonce
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
from harness.kd.packets import Packet, encode_packet, hello_body
from harness.kd.session_events import Address, Dropped

__all__ = ["POKE_PERIOD", "KdnetTargetLink"]

POKE_PERIOD: Final = 3.0
"""Seconds between two pokes of a Windows target."""


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
        self._channel: DataChannel | None = None

    def receive(self, data: bytes, now: float, address: Address | None) -> list[Frame]:
        try:
            _, channel = peek(data)
        except DroppedDatagram as drop:
            return [Dropped(drop.reason, drop.message, False)]
        try:
            if channel is Channel.CONTROL:
                return self._receive_control(data, address)
            if self._channel is None:
                raise DroppedDatagram(Drop.NO_SESSION)
            return [data_frame(self._channel.open(data), from_target=False)]
        except DroppedDatagram as drop:
            return [Dropped(drop.reason, drop.message, channel is Channel.CONTROL)]

    def _receive_control(self, data: bytes, address: Address | None) -> list[Frame]:
        datagram = open_control(self._control, data, Direction.TO_TARGET)
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
        self._channel = DataChannel(sealer, self._version, Direction.TO_HOST)
        ipv4 = int(self._host.address) & 0xFFFFFFFF
        self.outgoing.append((self._channel.seal(hello_body(ipv4)), None))
        return [SessionUp(address, datagram.version, fresh)]

    def _poke(self) -> None:
        if self._uptime:
            self._client_key = next_nonce(self._client_key)
        self._answered = False
        self._uptime += round(POKE_PERIOD)
        session = self._host if self._channel is not None else None
        poke = Poke.of(client_key=self._client_key, target=self._own, host=self._host, session=session)
        sealed = self._control.seal(self._version, Direction.TO_HOST, self._uptime, poke.encode())
        self.outgoing.append((sealed, None))

    def send_packet(self, packet: Packet) -> None:
        if self._channel is not None:
            self.outgoing.append((self._channel.seal(encode_packet(packet)), None))

    def acknowledge(self, packet_id: int) -> None:
        if self._channel is not None:
            self.outgoing.append((self._channel.seal_ack(packet_id), None))

    def prepare_ack(self, packet_id: int) -> None:
        if self._channel is not None:
            self._channel.prepare_ack(packet_id)

    def send_break_in(self) -> None:
        raise ProtocolError("only a host breaks in")

    def expect_reboot(self) -> None:
        raise ProtocolError("only a host expects a reboot")

    def call_target(self, address: Address) -> None:
        raise ProtocolError("only a host calls a target")

    def deadline(self) -> float | None:
        return self._next_poke

    def handle_timer(self, now: float) -> list[Frame]:
        if now >= self._next_poke:
            self._poke()
            self._next_poke = max(self._next_poke + POKE_PERIOD, now)
        return []
