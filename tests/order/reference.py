"""A reference of the whole order language: it tries every reading of a short trace, and knows no search.

A *reading* of an item says which events it claims, what that asks of the variables, and between which events
what must not come. A list's readings are those of its items, one after the other, with the gaps held to; what
concerns variables is decided when their values are known: a round's own at the end of the round, all others
at the end.

Where something was not observed: a field that is *lacking* is no reason for an event not to fit where it must
come, and reason enough where it must not; a limit beside an event without a time is kept; a variable that has
no value is no reason to forbid anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.callbacks import CALLBACK_KINDS
from harness.events import KINDS, Event, kind_of
from harness.scenario import model
from harness.scenario.model import Expectation, Item, Pattern, Variable


@dataclass(frozen=True)
class Reading:
    claims: frozenset[int] = frozenset()
    equal: frozenset[tuple[str, object]] = frozenset()
    unequal: frozenset[tuple[str, object]] = frozenset()
    barred: frozenset[tuple[int, int, Pattern]] = frozenset()
    """Strictly between the two places no event fits the pattern."""

    @property
    def first(self) -> int:
        return min(self.claims)

    @property
    def last(self) -> int:
        return max(self.claims)

    def joined(self, other: Reading) -> Reading:
        return Reading(
            self.claims | other.claims,
            self.equal | other.equal,
            self.unequal | other.unequal,
            self.barred | other.barred,
        )


@dataclass(frozen=True)
class Gap:
    never: tuple[Pattern, ...] = ()
    within: tuple[int, ...] = ()


def holds(
    expectation: Expectation, trace: Sequence[Event], lacking: frozenset[tuple[str, str]] = frozenset()
) -> bool:
    """Is there an assignment of distinct events to patterns as the documentation of orders asks for it?

    :param lacking: kinds and fields that no event carries.
    """
    return _Reference(expectation, trace, lacking).holds()


class _Reference:
    def __init__(
        self, expectation: Expectation, trace: Sequence[Event], lacking: frozenset[tuple[str, str]]
    ) -> None:
        self.expectation = expectation
        self.lacking = lacking
        named = {p.kind for p in _patterns(expectation.order)} | {p.kind for p in expectation.never}
        kinds = tuple(KINDS[kind] for kind in {*CALLBACK_KINDS, *named} - {None})
        scope = expectation.scope
        self.events = [
            event
            for event in trace
            if isinstance(event, kinds) and (not scope or any(self.fits(p, event, {}) for p in scope))
        ]
        self.uses = Counter(_variables(expectation.order))
        for pattern in expectation.never:
            self.uses.update(_variables(pattern))

    def holds(self) -> bool:
        assert self.expectation.order is not None
        for reading in self.in_order(self.expectation.order.items, outermost=True):
            if self.expectation.only and len(reading.claims) < len(self.events):
                continue
            everywhere = ((-1, len(self.events), pattern) for pattern in self.expectation.never)
            whole = replace(reading, barred=reading.barred | frozenset(everywhere))
            if reading.claims and self.closed(whole, None) is not None:
                return True
        return False

    def closed(self, reading: Reading, names: frozenset[str] | None) -> Reading | None:
        """The reading without what concerns the variables in ``names`` (all), if that can be kept."""
        values: dict[str, object] = {}
        for name, value in reading.equal:
            if (names is None or name in names) and values.setdefault(name, value) != value:
                return None
        if any(values.get(name, _NOTHING) == value for name, value in reading.unequal):
            return None
        left = set()
        for low, high, pattern in reading.barred:
            if names is not None and not set(_variables(pattern)) <= names:
                left.add((low, high, pattern))
            elif any(self.fits(pattern, event, values) for event in self.events[low + 1 : high]):
                return None
        if names is None:
            return reading
        return Reading(
            reading.claims,
            frozenset(item for item in reading.equal if item[0] not in names),
            frozenset(item for item in reading.unequal if item[0] not in names),
            frozenset(left),
        )

    def fits(self, pattern: Pattern, event: Event, values: dict[str, object] | None) -> bool:
        """Does the event fit? Variables are compared with ``values``; None: they are left aside, and it must
        come."""
        if pattern.kind is not None and not isinstance(event, KINDS[pattern.kind]):
            return False
        for field, wanted in pattern.fields:
            found = getattr(event, field, None)
            negated = isinstance(wanted, model.Not)
            of = wanted.of if isinstance(wanted, model.Not) else wanted
            if (kind_of(event), field) in self.lacking and not self.asks_for_none(wanted):
                if values is None:
                    continue
                return False
            if values is None and negated and found is None:
                return False
            if self.lacking and values is not None and isinstance(of, Variable) and of.name not in values:
                return False
            if isinstance(of, Variable):
                if values is None:
                    if not negated and found is None:
                        return False
                    continue
                equal = values.get(of.name, _NOTHING) == found
            elif isinstance(of, model.AnyValue):
                equal = True
            else:
                equal = found in of.values if isinstance(of, model.OneOfValues) else found == of
            if equal is negated:
                return False
        return True

    @staticmethod
    def asks_for_none(wanted: model.Constraint) -> bool:
        listed = wanted.values if isinstance(wanted, model.OneOfValues) else (wanted,)
        return None in listed or isinstance(wanted, model.AnyValue)

    def readings(self, item: Item) -> Iterator[Reading]:
        match item:
            case Pattern():
                for place, event in enumerate(self.events):
                    if self.fits(item, event, None):
                        yield self.claim(item, place, event)
            case model.Sequence(items=items):
                yield from self.in_order(items)
            case model.Next(of=of):
                yield from self.readings(of)
            case model.OneOf(items=items):
                for branch in items:
                    yield from self.readings(branch)
            case model.Optional(of=of):
                yield Reading()
                yield from self.readings(of)
            case model.AnyOrder(items=items):
                together = {Reading()}
                for branch in items:
                    found = list(self.readings(branch))
                    together = {a.joined(b) for a in together for b in found if not a.claims & b.claims}
                yield from together
            case model.Repeat():
                yield from self.rounds(item)

    def claim(self, pattern: Pattern, place: int, event: Event) -> Reading:
        equal, unequal = set(), set()
        for field, wanted in pattern.fields:
            if (kind_of(event), field) in self.lacking:
                continue
            if isinstance(wanted, Variable):
                equal.add((wanted.name, getattr(event, field)))
            elif isinstance(wanted, model.Not) and isinstance(wanted.of, Variable):
                unequal.add((wanted.of.name, getattr(event, field)))
        return Reading(frozenset((place,)), frozenset(equal), frozenset(unequal))

    def rounds(self, item: model.Repeat) -> Iterator[Reading]:
        inside = Counter(_variables(item.of))
        local = frozenset(name for name, count in inside.items() if self.uses[name] == count)
        body = item.of.items if isinstance(item.of, model.Sequence) else (item.of,)
        so_far, number = {Reading()}, 0
        while so_far and (item.maximum is None or number <= item.maximum):
            if number >= item.minimum:
                yield from so_far
            longer = set()
            for before in so_far:
                after = before.last if before.claims else None
                for once in self.in_order(body, after=after):
                    closed = self.closed(once, local) if once.claims else None
                    if closed is not None:
                        longer.add(before.joined(closed))
            so_far, number = longer, number + 1

    def in_order(
        self, items: tuple[Item, ...], *, after: int | None = None, outermost: bool = False
    ) -> Iterator[Reading]:
        """Readings of a list.

        :param after: where what stands before the list ended; a gap at its beginning counts from there.
        :param outermost: a ``never`` at its ends reaches to the ends of the trace.
        """
        states = {(Reading(), after, Gap())}
        gap = Gap()
        for item in items:
            if isinstance(item, model.Never):
                gap = Gap(gap.never + item.patterns, gap.within)
                continue
            if isinstance(item, model.Within):
                gap = Gap(gap.never, (*gap.within, item.limit))
                continue
            found = list(self.readings(item))
            following = set()
            for reading, end, carried in states:
                both = Gap(carried.never + gap.never, carried.within + gap.within)
                for more in found:
                    if not more.claims:
                        following.add((reading, end, both))
                    elif end is None and not outermost:
                        following.add((reading.joined(more), more.last, Gap()))
                    else:
                        kept = self.after_gap(more, end, both, isinstance(item, model.Next))
                        if kept is not None:
                            following.add((reading.joined(kept), more.last, Gap()))
            states, gap = following, Gap()
        for reading, end, _ in states:
            low = -1 if end is None else end
            barred = frozenset((low, len(self.events), pattern) for pattern in gap.never) if outermost else ()
            yield replace(reading, barred=reading.barred.union(barred))

    def after_gap(self, reading: Reading, end: int | None, gap: Gap, adjacent: bool) -> Reading | None:
        low = -1 if end is None else end
        if reading.first <= low or (adjacent and reading.first != low + 1):
            return None
        if gap.within:
            beside = [] if end is None else [self.events[end]]
            untimed = any((kind_of(e), "time") in self.lacking for e in (*beside, self.events[reading.first]))
            since = None if end is None else self.events[end].time
            time = self.events[reading.first].time
            if untimed:
                pass
            elif since is None or time is None or time - since > min(gap.within):
                return None
        return replace(reading, barred=reading.barred | {(low, reading.first, p) for p in gap.never})


_NOTHING = object()


def _patterns(item: Item | None) -> Iterator[Pattern]:
    match item:
        case Pattern():
            yield item
        case model.Never(patterns=patterns):
            yield from patterns
        case model.Sequence(items=items) | model.AnyOrder(items=items) | model.OneOf(items=items):
            for inner in items:
                yield from _patterns(inner)
        case model.Next(of=of) | model.Optional(of=of) | model.Repeat(of=of):
            yield from _patterns(of)


def _variables(item: Item | None) -> Iterator[str]:
    for pattern in _patterns(item):
        for _, value in pattern.fields:
            of = value.of if isinstance(value, model.Not) else value
            if isinstance(of, Variable):
                yield of.name
