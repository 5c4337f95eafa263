"""What a run showed of its interleaving: where others could have gone first, and who met whom in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from harness.virtual.dispatcher.policy import Point, Policy
from harness.virtual.dispatcher.schedule import RecordingPolicy
from harness.virtual.interfaces import ThreadContext

__all__ = [
    "MAX_DECISIONS",
    "NOTHING_SEEN",
    "Anchor",
    "AnchoredPolicy",
    "Decision",
    "Encounter",
    "Sights",
    "WatchingPolicy",
]

MAX_WORDS: Final = 100_000
"""Words of memory of which is remembered who used them last; then it begins anew."""
MAX_DECISIONS: Final = 100_000
"""Decisions that are remembered; of a run with so many it is not known whether there were more."""


class Decision(NamedTuple):
    """A question at which somebody else was able."""

    step: int
    """Which question it was, from 0."""
    others: int
    """How many could have gone first."""


class Anchor(NamedTuple):
    """A preemption by who did what, which holds in another run too, where the steps are others."""

    thread: int
    """TID of the thread that stands aside."""
    nth: int
    """At its which question, from 0."""
    first: int
    """TID of the thread that is let go first."""
    chosen: int
    """The index, where that thread is not able."""


Encounter = tuple[str, str]
"""Two places in code, ``driver.sys+0x1234``: the second used a word of memory that the first had used before
it in another thread, and one of them wrote it."""


class Sights(NamedTuple):
    """What was seen of a run."""

    decisions: tuple[Decision, ...]
    events: tuple[int, ...]
    """Questions of each thread, in the order in which the threads were first seen."""
    anchors: tuple[Anchor, ...]
    """Of its preemptions, in their order."""
    encounters: frozenset[Encounter]


NOTHING_SEEN: Final = Sights((), (), (), frozenset())
"""Of a run that never booted."""


@dataclass(slots=True)
class _Stint:
    """One thread's uses of a word until another one uses it: where it read and where it wrote at first."""

    thread: int
    read: str
    write: str


class WatchingPolicy(RecordingPolicy):
    """Answers as another policy does, keeps the schedule, and watches."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._decisions: list[Decision] = []
        self._events: dict[int, int] = {}
        self._anchors: list[Anchor] = []
        self._encounters: set[Encounter] = set()
        self._stints: dict[int, _Stint] = {}

    def look(self, thread: int, word: int, write: bool, at: Callable[[], str]) -> None:
        """See :class:`~harness.virtual.dispatcher.policy.LookingPolicy`."""
        super().look(thread, word, write, at)
        if not word:
            return
        stint = self._stints.get(word)
        if stint is None or stint.thread != thread:
            if len(self._stints) >= MAX_WORDS:
                self._stints.clear()
            here = at()
            if stint is not None:
                before = stint.write or (stint.read if write else "")
                if before:
                    self._encounters.add((before, here))
            self._stints[word] = _Stint(thread, "" if write else here, here if write else "")
        elif write and not stint.write:
            stint.write = at()

    def choose(self, point: Point, able: Callable[[], Sequence[ThreadContext]]) -> int:
        """See :class:`~harness.virtual.dispatcher.policy.Policy`."""
        threads, step = able(), self.steps
        chosen = super().choose(point, lambda: threads)
        events = self._events
        if len(threads) > 1 or threads[0].tid not in events:
            for thread in threads:
                events.setdefault(thread.tid, 0)
        current = threads[0].tid
        if chosen:
            self._anchors.append(Anchor(current, events[current], threads[chosen].tid, chosen))
        if len(threads) > 1 and len(self._decisions) < MAX_DECISIONS:
            self._decisions.append(Decision(step, len(threads) - 1))
        events[current] += 1
        return chosen

    def sights(self) -> Sights:
        """What was seen by now."""
        return Sights(
            tuple(self._decisions),
            tuple(self._events.values()),
            tuple(self._anchors),
            frozenset(self._encounters),
        )


class AnchoredPolicy:
    """Plays preemptions back by who did what; see :class:`Anchor`."""

    name = "anchored"
    preempts = True

    def __init__(self, anchors: Sequence[Anchor]) -> None:
        self._anchors: Mapping[tuple[int, int], Anchor] = {(one.thread, one.nth): one for one in anchors}
        self._asked: dict[int, int] = {}

    def choose(self, point: Point, able: Callable[[], Sequence[ThreadContext]]) -> int:
        """See :class:`~harness.virtual.dispatcher.policy.Policy`."""
        threads = able()
        current = threads[0].tid
        nth = self._asked.get(current, 0)
        self._asked[current] = nth + 1
        anchor = self._anchors.get((current, nth))
        if anchor is None:
            return 0
        others = [thread.tid for thread in threads[1:]]
        return others.index(anchor.first) + 1 if anchor.first in others else min(anchor.chosen, len(others))
