"""A KDNET host and a target in simulated time, with a network between them that loses, doubles, reorders and
damages; nothing waits, and one seed gives one course of events."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from kd_pair import HOST, KEY, OWN, PEER

from harness.kd.debugio import PrintString
from harness.kd.packets import PacketType
from harness.kd.session import Session
from harness.kd.session_events import Acknowledged, GaveUp, PacketReceived

__all__ = ["Faults", "LossyNet", "Outcome"]

_DELAY = 0.0005
_LATE = (0.002, 0.05, 0.3, 0.7, 1.5, 4.0)
"""Seconds that a datagram may be held back; the last is longer than eight resends."""


@dataclass(frozen=True)
class Faults:
    """Chance of each fault, for each datagram in either direction."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    flipped: float = 0.0

    def __str__(self) -> str:
        return f"lost {self.lost:g} doubled {self.doubled:g} late {self.late:g} flipped {self.flipped:g}"


@dataclass
class Outcome:
    """What became of the target's prints."""

    prints: int = 0
    missing: int = 0
    """Acknowledged to the target, and never reported by the host: lost in silence."""
    doubled: int = 0
    misplaced: int = 0
    altered: int = 0
    given_up: int = 0
    """The target knows: sent 20 times without an answer."""
    datagrams: int = 0
    faults: Counter[str] = field(default_factory=Counter)


class LossyNet:
    """One target that prints numbered lines as fast as they are acknowledged."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self._random = Random(seed)
        self._now = 0.0
        self._under_way: list[tuple[float, int, bool, bytes]] = []
        self._count = 0
        self._host = Session.kdnet_host(KEY, self._random.randbytes)
        self._target = Session.kdnet_target(
            KEY,
            client_key=self._random.randbytes(32),
            own=OWN,
            host=HOST,
            now=0.0,
            max_tries=20,
        )
        self._heard: list[bytes] = []
        self._settled: dict[int, bool] = {}
        self.outcome = Outcome()

    def run(self, prints: int) -> Outcome:
        """Print so many lines; what became of them."""
        texts: list[bytes] = []
        printed: set[bytes] = set()
        for number in range(prints):
            text = b"line %d %s\n" % (number, b"x" * (0, 1, 100, 400)[number % 4])
            printed.add(text)
            token = self._target.send_packet(PacketType.DEBUG_IO, PrintString.of(text).encode(), self._now)
            while token not in self._settled:
                self._step()
            if self._settled.pop(token):
                texts.append(text)
            else:
                self.outcome.given_up += 1
        while self._under_way:
            self._step()
        self._count_up(prints, printed, texts)
        return self.outcome

    def _count_up(self, prints: int, printed: set[bytes], acknowledged: list[bytes]) -> None:
        out, heard = self.outcome, Counter(self._heard)
        out.prints = prints
        out.missing = sum(1 for text in acknowledged if not heard[text])
        out.doubled = sum(times - 1 for times in heard.values() if times > 1)
        numbers = [int(text.split()[1]) for text in self._heard if text in printed]
        out.misplaced = sum(a >= b for a, b in pairwise(numbers))
        out.altered = sum(1 for text in heard if text not in printed)

    def _step(self) -> None:
        """On to the next moment at which something happens."""
        self._post(self._host, to_host=False)
        self._post(self._target, to_host=True)
        moments = [moment for session in self._both if (moment := session.deadline()) is not None]
        if self._under_way:
            moments.append(self._under_way[0][0])
        self._now = max(self._now, min(moments))
        while self._under_way and self._under_way[0][0] <= self._now:
            _, _, to_host, data = heapq.heappop(self._under_way)
            (self._host if to_host else self._target).receive(data, self._now, PEER)
        for session in self._both:
            deadline = session.deadline()
            if deadline is not None and self._now >= deadline:
                session.handle_timer(self._now)
        self._collect()

    @property
    def _both(self) -> tuple[Session, Session]:
        return self._host, self._target

    def _collect(self) -> None:
        while (event := self._host.next_event()) is not None:
            if isinstance(event, PacketReceived):
                record = event.record()
                assert isinstance(record, PrintString)
                self._heard.append(record.text)
        while (event := self._target.next_event()) is not None:
            if isinstance(event, Acknowledged | GaveUp):
                self._settled[event.token] = isinstance(event, Acknowledged)

    def _post(self, sender: Session, *, to_host: bool) -> None:
        faults, chance, counts = self._faults, self._random.random, self.outcome.faults
        for data, _ in sender.datagrams_to_send():
            self.outcome.datagrams += 1
            if chance() < faults.lost:
                counts["lost"] += 1
                continue
            copies = 1
            if chance() < faults.doubled:
                counts["doubled"] += 1
                copies = 2
            for _ in range(copies):
                self._send(data, to_host)

    def _send(self, data: bytes, to_host: bool) -> None:
        faults, random = self._faults, self._random
        delay = _DELAY
        if random.random() < faults.flipped:
            self.outcome.faults["flipped"] += 1
            damaged = bytearray(data)
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
            data = bytes(damaged)
        if random.random() < faults.late:
            self.outcome.faults["late"] += 1
            delay = random.choice(_LATE)
        self._count += 1
        heapq.heappush(self._under_way, (self._now + delay, self._count, to_host, data))
