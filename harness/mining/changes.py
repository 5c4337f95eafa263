"""What differs between two sets of instances, as far as their number proves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias

from harness.mining.relations import Relations
from harness.mining.roles import EventName
from harness.mining.statistics import Table, significant

__all__ = ["Change", "Changes", "Kind", "find_changes"]

Kind: TypeAlias = Literal[
    "new", "gone", "more_often", "less_often", "flipped", "became_mixed", "became_fixed", "shifted"
]
"""Of events: ``new`` in no instance of the first set, ``gone`` in none of the second, ``more_often``,
``less_often``. Of orders: ``flipped`` always one way and always the other, ``became_mixed`` always one way
before, ``became_fixed`` always one way now, ``shifted`` mixed in both."""


@dataclass(frozen=True)
class Change:
    """One event that comes more or less often, or one order of two events that does."""

    kind: Kind
    a: EventName
    b: EventName | None
    """None: the event ``a``; else the order of ``a`` before ``b``."""
    table: Table
    """Of an event: how many instances hold it, and do not; of an order: in how many of those that hold both
    ``a`` comes before ``b``, and after it."""
    p: float
    """Of Fisher's exact test, before correction."""
    needed: float
    """At which p it is significant after correction; 0 where it is not."""


@dataclass(frozen=True)
class Changes:
    """All of two sets."""

    first: int
    """Instances of the first set."""
    second: int
    level: float
    """Chance that anything is in :attr:`found` where nothing differs."""
    found: tuple[Change, ...]
    """Those that are significant: events first, then orders."""
    unproved: tuple[Change, ...]
    """Those that hold without exception in each set, and of which there are too few instances to prove it."""
    compared: int
    """Events and orders that were compared."""

    @property
    def able(self) -> bool:
        """Whether so few instances could show any difference at all."""
        return Table(self.first, 0, 0, self.second).p <= self.level

    @property
    def orders(self) -> list[Change]:
        """The differences of order."""
        return [each for each in self.found if each.b is not None]

    @property
    def events(self) -> list[Change]:
        """The differences of what comes at all."""
        return [each for each in self.found if each.b is None]


def find_changes(first: Relations, second: Relations, level: float) -> Changes:
    """Compare two sets of instances.

    :param level: the chance to be wrong anywhere, for all comparisons together, more than 0 and less than 1.
    """
    compared = list(_compared(first, second))
    tables = [table for _, _, table in compared]
    needed = significant(tables, level)
    found: list[Change] = []
    unproved: list[Change] = []
    for place, (a, b, table) in enumerate(compared):
        kind = _kind(table, event=b is None)
        if place in needed:
            found.append(Change(kind, a, b, table, table.p, needed[place]))
        elif kind in ("new", "gone", "flipped") and 0 in (table.first, table.first_not):
            other = table.second_not if table.first else table.second
            if other == table.second + table.second_not and other:
                unproved.append(Change(kind, a, b, table, table.p, 0.0))
    return Changes(first.instances, second.instances, level, tuple(found), tuple(unproved), len(compared))


def _compared(first: Relations, second: Relations) -> Iterator[tuple[EventName, EventName | None, Table]]:
    names = sorted({*first.counts, *second.counts}, key=str)
    for name in names:
        one, other = first.counts[name], second.counts[name]
        yield name, None, Table(one, first.instances - one, other, second.instances - other)
    for a, b in combinations(names, 2):
        if a.first == b.first:
            continue
        pair = first.pair(a, b)
        if not pair.together:
            continue
        before, after = second.count_before(pair.a, pair.b), second.count_before(pair.b, pair.a)
        if before + after:
            yield pair.a, pair.b, Table(pair.before, pair.after, before, after)


def _kind(table: Table, *, event: bool) -> Kind:
    if event:
        if not table.first:
            return "new"
        if not table.second:
            return "gone"
        share = table.first / (table.first + table.first_not)
        return "more_often" if table.second / (table.second + table.second_not) > share else "less_often"
    was, now = not table.first_not or not table.first, not table.second_not or not table.second
    if was and now:
        return "flipped"
    return "became_mixed" if was else "became_fixed" if now else "shifted"
