"""KDNET listened to from beside: both directions of a session in, what the target said out.

Nothing is sent and nothing acknowledged; a listener who has the key derives the session's key from the
handshake as its ends do. Without the handshake, data cannot be opened.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from harness.kd.errors import ProtocolError
from harness.kd.frames import Hello
from harness.kd.handshake import Poke, Response, decode_control
from harness.kd.kdnet import (
    Channel,
    Direction,
    Drop,
    DroppedDatagram,
    Key,
    Sealer,
    data_key,
    peek,
)
from harness.kd.kdnet_channel import data_frame
from harness.kd.packet_ids import KDNET_HOST_FIRST, KdnetIds
from harness.kd.packets import Packet

__all__ = ["MAX_RESPONSES", "KdnetTap", "SessionBegan"]

MAX_RESPONSES: Final = 16
"""Answers of the host whose keys are kept until one of them is used; the oldest gives way."""

_MAX_POKES: Final = 64


class SessionBegan(NamedTuple):
    """Data was heard under another handshake than before."""

    fresh: bool
    """By another series of pokes: the target began anew, or is another one."""


class _Session:
    """One handshake's key, and where its datagrams to the host are."""

    def __init__(self, sealer: Sealer, series: bytes | None) -> None:
        self.sealer = sealer
        self.series = series
        self.mark = -1


class KdnetTap:
    """Listens to one target.

    :ivar opened: datagrams that the key opened.
    :ivar dropped: why others were not.
    """

    def __init__(self, key: Key) -> None:
        self.opened = 0
        self.dropped: Counter[Drop] = Counter()
        self._key = key
        self._control = Sealer(Channel.CONTROL, key.secret, key.hmac_key)
        self._series: dict[bytes, bytes] = {}
        """The nonce of a poke → the series that it belongs to."""
        self._offers: list[_Session] = []
        self._session: _Session | None = None
        self._ids = KdnetIds(KDNET_HOST_FIRST)

    def receive(self, data: bytes) -> list[Packet | SessionBegan]:
        """What a datagram of either end tells of the target: its data packets, each once."""
        try:
            _, channel = peek(data)
            if channel is Channel.CONTROL:
                self._receive_control(data)
                return []
            return self._receive_data(data)
        except DroppedDatagram as drop:
            self.dropped[drop.reason] += 1
            return []

    def _receive_control(self, data: bytes) -> None:
        datagram = self._control.open(data)
        self.opened += 1
        if not datagram.body:
            return
        try:
            record = decode_control(datagram.body)
        except ProtocolError:
            raise DroppedDatagram(Drop.STRANGE_POKE) from None
        if isinstance(record, Poke):
            self._series[record.client_key] = record.series
            if len(self._series) > _MAX_POKES:
                del self._series[next(iter(self._series))]
        elif isinstance(record, Response):
            sealer = Sealer(Channel.DATA, data_key(self._key, datagram.body), self._key.hmac_key)
            self._offers.append(_Session(sealer, self._series.get(record.client_key)))
            del self._offers[:-MAX_RESPONSES]

    def _receive_data(self, data: bytes) -> list[Packet | SessionBegan]:
        known = [*([self._session] if self._session is not None else ()), *reversed(self._offers)]
        if not known:
            raise DroppedDatagram(Drop.NO_SESSION)
        for session in known:
            try:
                datagram = session.sealer.open(data)
            except DroppedDatagram as drop:
                if drop.reason is not Drop.BAD_MAC:
                    raise
                continue
            self.opened += 1
            if datagram.direction is not Direction.TO_HOST:
                return []
            began = self._take(session)
            if datagram.sequence <= session.mark:
                raise DroppedDatagram(Drop.STALE_SEQUENCE)
            session.mark = datagram.sequence
            return [*began, *self._packet(datagram.body)]
        raise DroppedDatagram(Drop.BAD_MAC)

    def _take(self, session: _Session) -> list[SessionBegan]:
        """The session under which the target speaks; earlier answers of the host are over."""
        last, self._session = self._session, session
        if session is last:
            return []
        del self._offers[: self._offers.index(session) + 1]
        fresh = last is None or session.series is None or session.series != last.series
        if fresh:
            self._ids.forget()
        return [SessionBegan(fresh)]

    def _packet(self, body: bytes) -> list[Packet]:
        frame = data_frame(body, from_target=True)
        if isinstance(frame, Hello):
            return []
        if not isinstance(frame, Packet):
            self.dropped[Drop.BAD_BODY] += 1
            return []
        if frame.is_control:
            return []
        if self._ids.is_repeat(frame):
            self.dropped[Drop.REPEATED] += 1
            return []
        self._ids.accept(frame)
        return [frame]
