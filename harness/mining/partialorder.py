"""The order that all instances keep, without what follows from the rest, and as lists and sets of lists.

The transitive reduction is eight lines with sets of bits; a graph library is not worth a dependency for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from harness.mining.relations import Relations
from harness.mining.roles import EventName

__all__ = ["MAX_NESTING", "Chain", "Events", "PartialOrder", "Together"]

MAX_NESTING: Final = 12
"""Lists in sets in lists; what would be nested deeper is told as single edges."""


@dataclass(frozen=True)
class Chain:
    """One after the other."""

    parts: tuple[Events, ...]


@dataclass(frozen=True)
class Together:
    """In whatever order; the events of several chains may interleave."""

    parts: tuple[Events, ...]
    whole: bool
    """The parts say all that always holds; False: edges between them do not show in it."""


Events: TypeAlias = EventName | Chain | Together


class PartialOrder:
    """Which of the events that all instances hold always come before which.

    What always holds between events of all instances is a strict partial order: each instance is one order of
    them, and what all orders agree on is transitive.
    """

    def __init__(self, relations: Relations) -> None:
        names = relations.shared
        before = [[relations.count_before(a, b) == relations.instances for b in names] for a in names]
        early = [sum(relations.count_before(a, b) for b in names) for a in names]
        count_of = [sum(row[place] for row in before) for place in range(len(names))]
        # An event that comes before another has fewer events before it, so this order keeps all.
        places = sorted(
            range(len(names)), key=lambda place: (count_of[place], -early[place], str(names[place]))
        )
        self.events: tuple[EventName, ...] = tuple(names[place] for place in places)
        """In an order that keeps all that always holds."""
        self._after: list[int] = [
            sum(1 << rank for rank, b in enumerate(places) if before[a][b]) for a in places
        ]
        """For each event the set of those that always come after it, a bit each."""

    @cached_property
    def _reduced(self) -> list[int]:
        """For each event those after it with none between."""
        found = []
        for after in self._after:
            implied = 0
            for rank in _bits(after):
                implied |= self._after[rank]
            found.append(after & ~implied)
        return found

    @property
    def edges(self) -> Iterator[tuple[EventName, EventName]]:
        """The transitive reduction: from it all else follows."""
        for rank, after in enumerate(self._reduced):
            for other in _bits(after):
                yield self.events[rank], self.events[other]

    @property
    def layers(self) -> list[list[EventName]]:
        """The events by the longest way to them from the beginning."""
        depth = [0] * len(self.events)
        for rank, after in enumerate(self._reduced):
            for other in _bits(after):
                depth[other] = max(depth[other], depth[rank] + 1)
        found: list[list[EventName]] = [[] for _ in range(max(depth, default=-1) + 1)]
        for name, layer in zip(self.events, depth, strict=True):
            found[layer].append(name)
        return found

    @property
    def as_lists(self) -> Chain:
        """The order as lists and sets of lists, as far as it can be written so; see :attr:`beside`."""
        whole = self._parts(list(range(len(self.events))))
        return whole if isinstance(whole, Chain) else Chain((whole,) if self.events else ())

    @property
    def beside(self) -> list[list[EventName]]:
        """Chains that say, together with :attr:`as_lists`, all that always holds: they go along the edges of
        the transitive reduction that lists and sets of lists cannot show."""
        hidden = dict.fromkeys(range(len(self.events)), 0)
        for group in self._unwritten(list(range(len(self.events)))):
            inside = sum(1 << rank for rank in group)
            for rank in group:
                hidden[rank] |= self._reduced[rank] & inside
        chains = []
        for start in range(len(self.events)):
            while hidden[start]:
                chain, rank = [self.events[start]], start
                while hidden[rank]:
                    following = next(_bits(hidden[rank]))
                    hidden[rank] &= ~(1 << following)
                    chain.append(self.events[following])
                    rank = following
                chains.append(chain)
        return chains

    def _parts(self, ranks: Sequence[int], depth: int = 0) -> Events:
        if len(ranks) == 1:
            return self.events[ranks[0]]
        split, one_after_the_other = self._split(ranks, depth)
        if len(split) == 1:
            return Together(tuple(self.events[rank] for rank in ranks), whole=False)
        parts = tuple(self._parts(part, depth + 1) for part in split)
        return Chain(parts) if one_after_the_other else Together(parts, whole=True)

    def _unwritten(self, ranks: Sequence[int], depth: int = 0) -> Iterator[Sequence[int]]:
        """The groups that are neither lists nor sets of lists."""
        if len(ranks) > 1:
            split, _ = self._split(ranks, depth)
            if len(split) == 1:
                yield ranks
            else:
                for part in split:
                    yield from self._unwritten(part, depth + 1)

    def _split(self, ranks: Sequence[int], depth: int) -> tuple[list[list[int]], bool]:
        """Parts that come one after the other, else parts between which nothing always holds; one part alone:
        there are none, or they would be nested too deep."""
        series = self._series(ranks)
        if len(series) > 1 or depth >= MAX_NESTING:
            return series, True
        return self._parallel(ranks), False

    def _series(self, ranks: Sequence[int]) -> list[list[int]]:
        """Cut where all before always come before all behind; ``ranks`` ascend, which keeps the order."""
        parts: list[list[int]] = [[]]
        rest = sum(1 << rank for rank in ranks)
        common = -1
        for rank in ranks:
            parts[-1].append(rank)
            rest &= ~(1 << rank)
            common &= self._after[rank]
            if rest and common & rest == rest:
                parts.append([])
        return parts

    def _parallel(self, ranks: Sequence[int]) -> list[list[int]]:
        """Groups between which nothing always holds."""
        inside = sum(1 << rank for rank in ranks)
        near = {rank: self._after[rank] & inside for rank in ranks}
        for rank in ranks:
            for other in _bits(self._after[rank] & inside):
                near[other] |= 1 << rank
        groups: list[list[int]] = []
        left = inside
        while left:
            reached = waiting = left & -left
            while waiting:
                rank = waiting.bit_length() - 1
                waiting &= ~(1 << rank)
                waiting |= near[rank] & ~reached
                reached |= near[rank]
            groups.append(list(_bits(reached)))
            left &= ~reached
        return groups


def _bits(bits: int) -> Iterator[int]:
    """The places of the bits that are set, ascending."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
