"""A serial line that loses, changes and doubles bytes, between two sessions, in simulated time.

Everything comes from one seed. Bytes keep their order, as on a wire, and arrive in pieces of any size.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

from noise import Noise

from harness.kd.debugio import PrintString
from harness.kd.packets import PacketType
from harness.kd.session import Session
from harness.kd.session_events import Acknowledged, GaveUp, PacketReceived, SessionEvent

TRANSIT = 0.001
"""Seconds that a piece is on its way."""
PIECES = (1, 7, 16, 100, 4096)
NOTHING_MORE = 20.0
"""Simulated seconds after which whatever could still be repeated has been."""


@dataclass
class Found:
    """What came of the lines that were sent."""

    sent: list[bytes] = field(default_factory=list)
    got: list[bytes] = field(default_factory=list)
    given_up: set[int] = field(default_factory=set)
    """Lines of which the target knows that it gave them up."""
    faults: int = 0
    bytes_carried: int = 0
    simulated: float = 0.0
    seconds: float = 0.0
    events: Counter[str] = field(default_factory=Counter)

    @property
    def altered(self) -> int:
        """Payloads in their place whose bytes are others: changes that cancel out in the sum."""
        return sum(ours != theirs for ours, theirs in zip(self.sent, self.got, strict=False))

    @property
    def misplaced(self) -> list[int]:
        """Where a payload came that says something else than the one sent: one before was lost or doubled."""
        return [
            number
            for number, (sent, got) in enumerate(zip(self.sent, self.got, strict=False))
            if len(sent) != len(got) or sum(sent) != sum(got)
        ]


class NoisyLine:
    """Joins a host and a target.

    :param noise: of both directions.
    """

    def __init__(self, host: Session, target: Session, noise: Noise, seed: int) -> None:
        self.host, self.target = host, target
        self.now = 0.0
        self.found = Found()
        self.on_host: Callable[[SessionEvent], None] = lambda event: None
        self.on_target: Callable[[SessionEvent], None] = lambda event: None
        self._noise = noise
        self._random = random.Random(seed)
        self._pieces: list[tuple[float, int, Session, bytes]] = []
        self._number = 0

    @property
    def pending(self) -> bool:
        """Something is on its way, or one of the ends will do something of itself."""
        return bool(self._pieces) or self.host.deadline() is not None or self.target.deadline() is not None

    def step(self) -> None:
        """Carry what was said, then let the next thing happen."""
        self._exchange()
        times = [at for at in (self.host.deadline(), self.target.deadline()) if at is not None]
        times += [piece[0] for piece in self._pieces[:1]]
        assert times, "both ends wait for ever"
        self.now = max(self.now, min(times))
        while self._pieces and self._pieces[0][0] <= self.now:
            _, _, receiver, data = heapq.heappop(self._pieces)
            receiver.receive(data, self.now)
        for session in (self.host, self.target):
            deadline = session.deadline()
            if deadline is not None and self.now >= deadline:
                session.handle_timer(self.now)
        self._exchange()

    def _exchange(self) -> None:
        for sender, receiver in ((self.host, self.target), (self.target, self.host)):
            for data, _ in sender.datagrams_to_send():
                self._carry(self._damage(data), receiver)
        for session, told in ((self.host, self.on_host), (self.target, self.on_target)):
            while (event := session.next_event()) is not None:
                told(event)

    def _damage(self, data: bytes) -> bytes:
        self.found.bytes_carried += len(data)
        damaged, faults = self._noise.damage(data, self._random)
        self.found.faults += faults
        return damaged

    def _carry(self, data: bytes, receiver: Session) -> None:
        at = self.now + TRANSIT
        while data:
            size = self._random.choice(PIECES)
            self._number += 1
            heapq.heappush(self._pieces, (at, self._number, receiver, data[:size]))
            data = data[size:]


def print_lines(count: int, noise: Noise, seed: int, *, max_tries: int | None = None) -> Found:
    """Have a target print ``count`` numbered lines over a noisy line."""
    line = NoisyLine(Session.kdcom_host(), Session.kdcom_target(max_tries=max_tries), noise, seed)
    found, chance = line.found, random.Random(f"{seed} text")
    waiting: dict[int, int] = {}

    def on_host(event: SessionEvent) -> None:
        found.events[type(event).__name__] += 1
        if isinstance(event, PacketReceived):
            found.got.append(event.payload)

    def on_target(event: SessionEvent) -> None:
        if isinstance(event, Acknowledged):
            waiting.pop(event.token)
        elif isinstance(event, GaveUp):
            found.given_up.add(waiting.pop(event.token))

    line.on_host, line.on_target = on_host, on_target
    started = perf_counter()
    for number in range(count):
        text = b"[procnotify] line %d %s\n" % (number, b"x" * chance.choice((0, 1, 20, 60)))
        payload = PrintString.of(text).encode()
        found.sent.append(payload)
        waiting[line.target.send_packet(PacketType.DEBUG_IO, payload, line.now)] = number
        while waiting:
            line.step()
    over = line.now + NOTHING_MORE
    while line.pending and line.now < over:
        line.step()
    found.simulated, found.seconds = line.now, perf_counter() - started
    return found
