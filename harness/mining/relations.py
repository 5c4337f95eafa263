"""The order that instances have in common: what always, sometimes and never holds between their events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal, TypeAlias

from harness.errors import UsageError
from harness.mining.roles import EventName
from harness.mining.statistics import at_most

__all__ = ["ENOUGH", "MAX_EVENTS", "Miner", "Pair", "Relation", "Relations"]

MAX_EVENTS: Final = 2_000
"""Different events of all instances; memory grows with the square."""
MAX_VARIANTS: Final = 4_096
"""Different sequences that are held before they are counted pair by pair."""
ENOUGH: Final = 0.05
"""Enough was seen when one more instance shows something new with at most this chance (95 % confidence)."""

Relation: TypeAlias = Literal["always", "mixed", "never_together"]


@dataclass(frozen=True)
class Pair:
    """Two events and how often the one came before the other, of the instances that hold both."""

    a: EventName
    """The one that came first more often; of two that did equally often the first by name."""
    b: EventName
    before: int
    """In how many instances ``a`` came before ``b``."""
    after: int
    """In how many it came after it."""

    @property
    def together(self) -> int:
        """Instances that hold both."""
        return self.before + self.after

    @property
    def relation(self) -> Relation:
        """``always``: in each that holds both ``a`` came before ``b``."""
        return "never_together" if not self.together else "mixed" if self.after else "always"


class Relations:
    """What was counted over some instances."""

    def __init__(
        self,
        instances: int,
        counts: Counter[EventName],
        before: Counter[tuple[EventName, EventName]],
        actors: dict[EventName, Counter[str]],
        alone: int,
        unordered: frozenset[str] = frozenset(),
    ) -> None:
        self.instances = instances
        self.unordered = unordered
        """Kinds of events of whose order nothing is told."""
        self.counts = counts
        """Event → how many instances hold it."""
        self.actors = actors
        """Event → who did it → in how many instances."""
        self.alone = alone
        """Instances that showed what no other did: an event, or an order of two events."""
        self._before = before

    @property
    def shared(self) -> list[EventName]:
        """Events that every instance holds, by name."""
        return sorted((name for name, count in self.counts.items() if count == self.instances), key=str)

    @property
    def occasional(self) -> list[EventName]:
        """Events that some instances hold, the most frequent first."""
        some = (name for name, count in self.counts.items() if count < self.instances)
        return sorted(some, key=lambda name: (-self.counts[name], str(name)))

    def count_before(self, a: EventName, b: EventName) -> int:
        """In how many instances ``a`` came before ``b``."""
        return self._before[a, b]

    def pair(self, a: EventName, b: EventName) -> Pair:
        """Of two different events, whichever is given first."""
        before, after = self._before[a, b], self._before[b, a]
        if (-after, str(b)) < (-before, str(a)):
            return Pair(b, a, after, before)
        return Pair(a, b, before, after)

    def pairs(self) -> Iterator[Pair]:
        """Every two events of whose order something is told, but for the first and the second time of one,
        which are so by their names."""
        for a, b in combinations(sorted(self.counts, key=str), 2):
            if a.first != b.first and self.unordered.isdisjoint((a.kind, b.kind)):
                yield self.pair(a, b)

    def fails_at_most(self, pair: Pair) -> float | None:
        """Upper bound, with 95 % confidence, on how often what always held of two events may still fail:
        among instances that hold both, or of two that never came together among all. None: it is mixed."""
        if pair.relation == "mixed":
            return None
        return at_most(0, pair.together or self.instances)

    def multiplicity(self, name: EventName) -> tuple[int, int]:
        """How often the event came in an instance, at the least and at the most.

        :param name: its first.
        """
        times = [other for other in self.counts if other.first == name]
        sure = sum(self.counts[other] == self.instances for other in times)
        return sure, len(times)

    @property
    def news_at_most(self) -> float:
        """Upper bound, with 95 % confidence, on the chance that one more instance shows something new.

        An instance that alone shows something would have been new, had it come last. In which order the
        instances came does not matter, so their share estimates the chance for the last one without bias
        (leave one out; the same as Good's and Turing's estimate of what was not seen); the bound is that of
        Clopper and Pearson for it. As in Cohen and Maoz, "Have We Seen Enough Traces?" (ASE 2015), more
        instances are worth having as long as it is large.
        """
        return at_most(self.alone, self.instances)

    @property
    def instances_for_enough(self) -> int:
        """How many instances would be enough, if none of those to come showed anything new."""
        low, high = self.instances, max(self.instances, 1)
        while at_most(self.alone, high) > ENOUGH:
            low, high = high, high * 2
        while low < high:
            middle = (low + high) // 2
            if at_most(self.alone, middle) > ENOUGH:
                low = middle + 1
            else:
                high = middle
        return high

    @property
    def enough(self) -> bool:
        """Whether :attr:`news_at_most` is at most :data:`ENOUGH`."""
        return self.news_at_most <= ENOUGH


class Miner:
    """Takes instances, one after the other, and counts; memory does not grow with their number.

    Equal sequences are counted together; their pairs are counted once for all of them.
    """

    def __init__(self) -> None:
        self.instances = 0
        self._numbers: dict[EventName, int] = {}
        self._names: list[EventName] = []
        self._variants: Counter[tuple[int, ...]] = Counter()
        self._counts: Counter[int] = Counter()
        self._before: dict[tuple[int, int], int] = {}
        self._actors: dict[EventName, Counter[str]] = {}
        self._sole: dict[int | tuple[int, int], int] = {}
        """A fact that one instance alone has shown so far → which one, counted in variants."""
        self._variant = 0

    def add(self, sequence: Sequence[tuple[EventName, str | None]]) -> None:
        """One instance: its events, all different, in their order, and who did each (None: not told).

        :raises UsageError: more than :data:`MAX_EVENTS` different events.
        """
        self.instances += 1
        numbers = []
        for name, by in sequence:
            number = self._numbers.setdefault(name, len(self._names))
            if number == len(self._names):
                self._names.append(name)
                if number >= MAX_EVENTS:
                    raise UsageError(
                        f"the instances have more than {MAX_EVENTS} different events",
                        hint="select less: image= in place of tree= or scenario=",
                    )
            numbers.append(number)
            if by is not None:
                self._actors.setdefault(name, Counter())[by] += 1
        self._variants[tuple(numbers)] += 1
        if len(self._variants) >= MAX_VARIANTS:
            self._count()

    def relations(self, unordered: frozenset[str] = frozenset()) -> Relations:
        """What was counted so far.

        :param unordered: kinds of events of which it is not known which of two came first.
        """
        self._count()
        names = self._names
        without = {number for number, name in enumerate(names) if name.kind in unordered}
        return Relations(
            self.instances,
            Counter({names[number]: count for number, count in self._counts.items()}),
            Counter(
                {
                    (names[a], names[b]): count
                    for (a, b), count in self._before.items()
                    if not without or without.isdisjoint((a, b))
                }
            ),
            self._actors,
            len(
                {
                    variant
                    for fact, variant in self._sole.items()
                    if not without or isinstance(fact, int) or without.isdisjoint(fact)
                }
            ),
            unordered,
        )

    def _count(self) -> None:
        before, counts, sole = self._before, self._counts, self._sole
        for sequence, times in self._variants.items():
            self._variant += 1
            for place, a in enumerate(sequence):
                if times == 1 and not counts[a]:
                    sole[a] = self._variant
                else:
                    sole.pop(a, None)
                counts[a] += times
                for b in sequence[place + 1 :]:
                    key = (a, b)
                    known = before.get(key, 0)
                    before[key] = known + times
                    if not known and times == 1:
                        sole[key] = self._variant
                    elif known == 1:
                        sole.pop(key, None)
        self._variants.clear()
