"""The data packets of one end on their way: one at a time, sent again until acknowledged or given up."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from harness.kd.links import Link
from harness.kd.packet_ids import PacketIds
from harness.kd.packets import Packet, PacketType
from harness.kd.session_events import Acknowledged, GaveUp, PacketRepeated, SessionEvent

__all__ = ["Delivery"]


class _Waiting(NamedTuple):
    token: int
    packet_type: PacketType
    payload: bytes


class _InFlight(NamedTuple):
    token: int
    packet: Packet
    tries: int
    again_at: float


def _answers(packet: Packet, sent: Packet) -> bool:
    """Only who has received ``sent`` sends this. Other packets may have been on their way before: the answer
    to an earlier request says nothing of a Continue that was sent behind it."""
    if packet.packet_type is not PacketType.STATE_MANIPULATE:
        return packet.packet_type is sent.packet_type
    if sent.packet_type is PacketType.STATE_MANIPULATE:
        return packet.payload[:4] == sent.payload[:4]  # the api
    return sent.packet_type is PacketType.STATE_CHANGE64


class Delivery:
    """See the module's title. What becomes of a packet is appended to ``events``.

    :param retransmit: seconds until an unacknowledged packet is sent again.
    :param max_tries: how often a packet is sent before it is given up; None = for ever.
    """

    def __init__(
        self,
        link: Link,
        ids: PacketIds,
        events: deque[SessionEvent | Packet],
        *,
        retransmit: float,
        max_tries: int | None,
    ) -> None:
        self._link = link
        self._ids = ids
        self._events = events
        self._retransmit = retransmit
        self._max_tries = max_tries
        self._queue: deque[_Waiting] = deque()
        self._in_flight: _InFlight | None = None
        self._tokens = 0
        self._arrived = 0
        self._sends = 0

    @property
    def idle(self) -> bool:
        """Nothing is on its way."""
        return self._in_flight is None and not self._queue

    @property
    def tries(self) -> float:
        """How often a packet was sent on average until it was acknowledged; 1.0 before the first."""
        return self._sends / self._arrived if self._arrived else 1.0

    @property
    def in_flight(self) -> int | None:
        """Id of the packet that is not acknowledged yet."""
        return None if self._in_flight is None else self._in_flight.packet.packet_id

    @property
    def deadline(self) -> float | None:
        """When :meth:`handle_timer` is due."""
        return None if self._in_flight is None else self._in_flight.again_at

    def send(self, packet_type: PacketType, payload: bytes, now: float) -> int:
        """Send a packet, after those before it; the token that its events carry."""
        self._tokens += 1
        self._queue.append(_Waiting(self._tokens, packet_type, payload))
        self._send_next(now)
        return self._tokens

    def repeat(self, now: float) -> None:
        """Send what is in flight, for the first time or again."""
        flight = self._in_flight
        if flight is None:
            return
        self._link.send_packet(flight.packet)
        tries = flight.tries + 1
        self._in_flight = flight._replace(tries=tries, again_at=now + self._retransmit)
        if tries > 1:
            self._events.append(PacketRepeated(flight.packet.packet_type, tries))

    def acknowledge(self, now: float) -> None:
        """What is in flight has arrived."""
        flight = self._in_flight
        if flight is None:
            return
        self._in_flight = None
        self._arrived += 1
        self._sends += flight.tries
        self._events.append(Acknowledged(flight.token, flight.packet.packet_type))
        self._send_next(now)

    def heard(self, packet: Packet, now: float) -> None:
        """A new packet of the peer has arrived: where it answers what is in flight, that has arrived too."""
        flight = self._in_flight
        if flight is not None and _answers(packet, flight.packet):
            self.acknowledge(now)

    def handle_timer(self, now: float) -> None:
        """Send again, or give up."""
        flight = self._in_flight
        if flight is None or now < flight.again_at:
            return
        if self._max_tries is None or flight.tries < self._max_tries:
            self.repeat(now)
            return
        self._in_flight = None
        self._ids.give_up()
        self._events.append(GaveUp(flight.token, flight.packet.packet_type))
        self._send_next(now)

    def renumber(self) -> None:
        """The ids began again: what is in flight takes the first."""
        if self._in_flight is not None:
            packet = self._in_flight.packet._replace(packet_id=self._ids.take())
            self._in_flight = self._in_flight._replace(packet=packet)

    def postpone(self, now: float) -> None:
        """Give the peer time before what is in flight is sent again."""
        if self._in_flight is not None:
            self._in_flight = self._in_flight._replace(again_at=now + self._retransmit)

    def forget(self) -> None:
        """Give everything up: it was for a peer that is gone."""
        if self._in_flight is not None:
            self._events.append(GaveUp(self._in_flight.token, self._in_flight.packet.packet_type))
            self._in_flight = None
        self._events += [GaveUp(waiting.token, waiting.packet_type) for waiting in self._queue]
        self._queue.clear()

    def _send_next(self, now: float) -> None:
        if self._in_flight is None and self._queue:
            token, packet_type, payload = self._queue.popleft()
            packet = Packet(packet_type, self._ids.take(), payload)
            self._in_flight = _InFlight(token, packet, 0, now)
            self.repeat(now)
