"""Policies that sample interleavings: a uniform random walk, PCT and POS.

They decide where there is somebody else to go first; a question that nobody else is able at is no decision.

The papers speak of steps of threads that are all there. Here a thread that is let go first begins with its
next event and the one that stood aside goes on behind that, at its own time; and those before the chosen one
begin as well. So what the papers prove of an algorithm's chances is a guide here, not a promise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from harness.virtual.dispatcher.policy import Point
from harness.virtual.interfaces import ThreadContext

__all__ = [
    "PartialOrderSampling",
    "PriorityPolicy",
    "UniformWalk",
]

_Able = Callable[[], Sequence[ThreadContext]]


class UniformWalk:
    """``urw``, the uniform random walk: every thread is chosen in proportion to the events that it still has
    before it, so that with the right numbers every interleaving is as likely as another (Zhao et al.,
    "Selectively Uniform Concurrency Testing", ASPLOS 2025). A thread that has had as many as were estimated
    counts as if it had one more.

    :param rng: its own generator.
    :param events: questions that each thread asks in a run, in the order in which the threads were first
        seen; of those beyond the end one is expected.
    """

    name = "urw"
    preempts = True

    def __init__(self, rng: Random, events: Sequence[int] = ()) -> None:
        self._rng = rng
        self._events = events
        self._left: dict[int, int] = {}

    def choose(self, point: Point, able: _Able) -> int:
        """See :class:`~harness.virtual.dispatcher.policy.Policy`."""
        threads = able()
        left = self._left
        for thread in threads:
            if thread.tid not in left:
                number = len(left)
                left[thread.tid] = self._events[number] if number < len(self._events) else 1
        chosen = self._draw(threads) if len(threads) > 1 else 0
        tid = threads[chosen].tid
        left[tid] = max(left[tid] - 1, 1)
        return chosen

    def _draw(self, threads: Sequence[ThreadContext]) -> int:
        first: dict[int, int] = {}
        for index, thread in enumerate(threads):
            first.setdefault(thread.tid, index)
        weights = [self._left[tid] for tid in first]
        return self._rng.choices(list(first.values()), weights)[0]


class PriorityPolicy:
    """``pct``: every thread has a random priority and the highest goes first; at ``depth - 1`` random
    decisions the thread that runs falls below all others (Burckhardt et al., "A Randomized Scheduler with
    Probabilistic Guarantees of Finding Bugs", ASPLOS 2010).

    :param rng: its own generator.
    :param depth: ordering constraints that the bug needs, from 1.
    :param decisions: how many a run has; the changes are spread over so many.
    """

    name = "pct"
    preempts = True
    DEPTH: Final = 3
    DECISIONS: Final = 200
    """As many as a launch of notepad has, where nobody has counted."""

    def __init__(self, rng: Random, depth: int = DEPTH, decisions: int = DECISIONS) -> None:
        self._rng = rng
        count = min(depth - 1, decisions)
        changes = rng.sample(range(decisions), count)
        self._falls = {decision: -number for number, decision in enumerate(changes, start=1)}
        self._priorities: dict[int, float] = {}
        self._decision = 0

    def choose(self, point: Point, able: _Able) -> int:
        """See :class:`~harness.virtual.dispatcher.policy.Policy`."""
        threads = able()
        if len(threads) == 1:
            return 0
        priorities = self._priorities
        for thread in threads:
            if thread.tid not in priorities:
                priorities[thread.tid] = self._rng.random()
        falls_to = self._falls.get(self._decision)
        if falls_to is not None:
            priorities[threads[0].tid] = falls_to
        self._decision += 1
        return _highest(threads, priorities)


class PartialOrderSampling:
    """``pos``, partial order sampling: every event has a random priority and the highest goes first; an event
    that has happened gives new priorities to those that it races with (Yuan et al., "Partial Order Aware
    Concurrency Sampling", CAV 2018).

    An event is what a thread does from one question to the next. Which word of memory it uses is known of a
    thread that has asked; a call races with every other call.

    :param rng: its own generator.
    """

    name = "pos"
    preempts = True

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._priorities: dict[int, float] = {}
        self._uses: dict[int, tuple[int, bool]] = {}
        self._about = (0, True)

    def look(self, thread: int, word: int, write: bool, at: Callable[[], str]) -> None:
        """See :class:`~harness.virtual.dispatcher.policy.LookingPolicy`."""
        self._about = (word, write)

    def choose(self, point: Point, able: _Able) -> int:
        """See :class:`~harness.virtual.dispatcher.policy.Policy`."""
        threads = able()
        current, priorities = threads[0].tid, self._priorities
        happened = self._uses.get(current)
        if happened is not None and point is not Point.MEMORY_READ:
            word, write = happened
            for tid, (other, writes) in self._uses.items():
                if tid != current and other == word and (write or writes):
                    priorities[tid] = self._rng.random()
        if point is not Point.MEMORY_READ:
            self._uses[current] = self._about
        priorities[current] = self._rng.random()
        if len(threads) == 1:
            return 0
        for thread in threads:
            if thread.tid not in priorities:
                priorities[thread.tid] = self._rng.random()
        return _highest(threads, priorities)


def _highest(threads: Sequence[ThreadContext], priorities: dict[int, float]) -> int:
    """The index of the thread with the highest priority; of one that stands there twice the first."""
    best = 0
    for index, thread in enumerate(threads):
        if priorities[thread.tid] > priorities[threads[best].tid]:
            best = index
    return best
