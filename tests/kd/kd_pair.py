"""A host and a target session joined in memory: loss, duplication and disorder are verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

from harness.kd.debugio import PrintString
from harness.kd.handshake import Endpoint
from harness.kd.kdnet import Key
from harness.kd.manipulate import Manipulate, ReadVirtualMemory
from harness.kd.packets import PacketType
from harness.kd.session import Session
from harness.kd.session_events import Acknowledged, PacketReceived, SessionEvent

KEY = Key.parse("1.2.3.4")
HOST = Endpoint(IPv4Address("192.168.2.1"), 50000)
OWN = Endpoint(IPv4Address("192.168.2.72"), 50000)
NONCE = bytes(range(32))
PEER = ("192.0.2.1", 50000)
"""The address that either end sees the other at."""

REQUEST = Manipulate(api=ReadVirtualMemory.API).encode()
"""A request or reply, to which these tests append bare words."""

MANGLE = Callable[[list[bytes]], list[bytes]]


def random_bytes() -> Callable[[int], bytes]:
    """Deterministic host keys: 32 x 01, 32 x 02, ..."""
    counter: Iterator[int] = iter(range(1, 256))
    return lambda size: bytes([next(counter)]) * size


class Pair:
    """Two sessions and a clock."""

    def __init__(self, host: Session, target: Session) -> None:
        self.host, self.target = host, target
        self.now = 0.0
        self.host_events: list[SessionEvent] = []
        self.target_events: list[SessionEvent] = []

    @classmethod
    def kdnet(cls, *, host_key: Key = KEY, client_key: bytes = NONCE, first_id: int = 0) -> Pair:
        return cls(
            Session.kdnet_host(host_key, random_bytes()),
            make_target(client_key=client_key, first_id=first_id),
        )

    @classmethod
    def kdcom(cls) -> Pair:
        return cls(Session.kdcom_host(), Session.kdcom_target())

    def collect(self) -> None:
        for session, events in ((self.host, self.host_events), (self.target, self.target_events)):
            while (event := session.next_event()) is not None:
                events.append(event)

    def to_host(self, mangle: MANGLE = list) -> int:
        """Deliver what the target has to send; how many datagrams there were."""
        return self._deliver(self.target, self.host, mangle)

    def to_target(self, mangle: MANGLE = list) -> int:
        """Deliver what the host has to send."""
        return self._deliver(self.host, self.target, mangle)

    def _deliver(self, sender: Session, receiver: Session, mangle: MANGLE) -> int:
        sent = [data for data, _ in sender.datagrams_to_send()]
        for data in mangle(sent):
            receiver.receive(data, self.now, PEER)
            receiver.prepare()
        self.collect()
        return len(sent)

    def drop_to_host(self) -> int:
        """Lose what the target has to send."""
        return self.to_host(lambda sent: [])

    def drop_to_target(self) -> int:
        """Lose what the host has to send."""
        return self.to_target(lambda sent: [])

    def tick(self, seconds: float) -> None:
        """Let time pass, and both ends act on it."""
        self.now += seconds
        for session in (self.host, self.target):
            session.handle_timer(self.now)

    def settle(self, *, mangle: MANGLE = list, rounds: int = 20) -> None:
        """Exchange until both ends are silent."""
        for _ in range(rounds):
            if not self.to_host(mangle) + self.to_target(mangle):
                return
        raise AssertionError(f"the two ends still talk after {rounds} rounds")

    def run_until(self, done: Callable[[], bool], *, mangle: MANGLE = list, rounds: int = 400) -> None:
        """Exchange, 0.1 s a round, until ``done``."""
        for _ in range(rounds):
            self.to_host(mangle)
            self.to_target(mangle)
            if done():
                return
            self.tick(0.1)
        raise AssertionError(f"not done after {rounds} rounds")

    def connect(self) -> None:
        """Through handshake and id synchronisation, where the link has any."""
        self.tick(0.0)
        self.settle()

    def received(self) -> list[bytes]:
        """The words that reached the host."""
        return _words(self.host_events)

    def requests(self) -> list[bytes]:
        """The words that reached the target."""
        return _words(self.target_events)

    def acknowledged(self) -> list[int]:
        """Tokens the target knows to have arrived."""
        return [event.token for event in self.target_events if isinstance(event, Acknowledged)]

    def print(self, words: bytes) -> int:
        """The target sends a DEBUG_IO packet."""
        return self.target.send_packet(PacketType.DEBUG_IO, PrintString.of(words).encode(), self.now)

    def request(self, words: bytes) -> int:
        """The host sends a STATE_MANIPULATE packet."""
        return self.host.send_packet(PacketType.STATE_MANIPULATE, REQUEST + words, self.now)

    def reply(self, words: bytes) -> int:
        """The target answers with a STATE_MANIPULATE packet."""
        return self.target.send_packet(PacketType.STATE_MANIPULATE, REQUEST + words, self.now)


def _words(events: list[SessionEvent]) -> list[bytes]:
    packets = [event for event in events if isinstance(event, PacketReceived)]
    return [
        packet.payload[PrintString.SIZE :]
        if packet.packet_type is PacketType.DEBUG_IO
        else packet.payload.removeprefix(REQUEST)
        for packet in packets
    ]


def make_target(
    *,
    client_key: bytes = NONCE,
    first_id: int = 0,
    key: Key = KEY,
    now: float = 0.0,
    max_tries: int | None = None,
) -> Session:
    return Session.kdnet_target(
        key, client_key=client_key, own=OWN, host=HOST, now=now, first_id=first_id, max_tries=max_tries
    )
