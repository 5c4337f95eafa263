"""Where a search stood when a trace broke it: the ways to go on, what stopped them, the nearest miss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from harness.events import Event, kind_of
from harness.order.block import Block
from harness.order.ops import ChoiceOp
from harness.order.patterns import Bindings, CompiledPattern, Mismatch
from harness.order.terms import All, Done, One, Rest, Round, Term, begin, claims, may_skip, outlook
from harness.order.ways import Assigned, Standing
from harness.scenario.model import seconds

__all__ = ["Head", "NearMiss", "OpenWay", "asked_of", "forbidding", "nearest", "open_ways", "stops_of"]

_COMPARED = 8
"""Patterns that every event is compared with for the nearest miss."""
_MOST = 256
"""Ways to go on that are looked at."""


@dataclass(frozen=True, eq=False)
class OpenWay:
    """A way to go on from where the search stood."""

    term: Term
    bindings: Bindings


@dataclass(frozen=True)
class Head:
    """A pattern that a way waits for."""

    way: OpenWay
    pattern: CompiledPattern
    may_be_missing: bool


@dataclass(frozen=True)
class NearMiss:
    """The event that fits best, and what is wrong with it."""

    event: Event
    pattern: CompiledPattern
    wrong: list[Mismatch]

    @property
    def line(self) -> int:
        """The pattern's, in the scenario file."""
        return self.pattern.source.line


def open_ways(
    block: Block, standing: Standing, given: Bindings, events: Iterable[Event]
) -> tuple[Standing, list[OpenWay]]:
    """Where the search stood, and every way to go on from there.

    The search keeps one of several ways that are alike in what is left to do, whichever claimed fewer
    events; so what ``standing`` could claim besides is claimed here.
    """
    ways = [] if block.order is None else list(islice(begin(block.order, given), _MOST))
    claimed = {match.index: match.pattern for match in standing.matches}
    last = standing.matches[-1].index if standing.matches else -1
    live = ways
    guarded, wanting = _watch(block, live)
    for event in events:
        if not guarded and (
            event.index not in claimed
            if event.index <= last
            else not any(type(event) in p.types and p.may_match(event) for p in wanting)
        ):
            continue
        if not block.has_in_scope(event, standing.bindings):
            continue
        found = [claim for term, bound in live for claim in islice(claims(term, event, bound), _MOST)]
        wanted = claimed.get(event.index) if event.index <= last else next((c[2] for c in found), None)
        if wanted is not None:
            ways = live = [(term, bound) for term, bound, pattern in found if pattern is wanted][:_MOST]
            if event.index > last and ways:
                matches = (*standing.matches, Assigned(wanted, event.index))
                standing = Standing(*ways[0], matches)
            guarded, wanting = _watch(block, live)
            continue
        live = [
            (term, bound)
            for term, bound in live
            if not block.only and (not outlook(term).guarded or may_skip(term, event, bound))
        ]
        if event.index <= last:
            ways = live
        elif not live:
            break
        guarded, wanting = _watch(block, live)
    return standing, [OpenWay(term, bound) for term, bound in ways or [(standing.term, standing.bindings)]]


def _watch(block: Block, ways: list[tuple[Term, Bindings]]) -> tuple[bool, list[CompiledPattern]]:
    """Is there an event that these ways may not skip? And the patterns that they wait for."""
    guarded = block.only or any(outlook(term).guarded for term, _ in ways)
    return guarded, list(dict.fromkeys(pattern for term, _ in ways for pattern in outlook(term).heads))


def stops_of(
    block: Block, standing: Standing, ways: list[OpenWay], events: Iterable[Event]
) -> dict[OpenWay, Event]:
    """The event that ended each way: one that it may not skip. A way without waits until the end."""
    stops: dict[OpenWay, Event] = {}
    last = standing.matches[-1].index if standing.matches else -1
    watched = [way for way in ways if block.only or outlook(way.term).guarded]
    for event in islice(events, last + 1, None):
        if len(stops) == len(watched):
            break
        if block.has_in_scope(event, standing.bindings):
            for way in watched:
                if way not in stops and (block.only or not may_skip(way.term, event, way.bindings)):
                    stops[way] = event
    return stops


def forbidding(term: Term, event: Event, bindings: Bindings) -> CompiledPattern | None:
    """The pattern of a ``never`` that keeps ``event`` from being skipped by ``term``."""
    never: tuple[CompiledPattern, ...] = ()
    inside: tuple[Term, ...] = ()
    match term:
        case Rest(inner=inner, gap=gap, begun=begun):
            never, inside = (() if begun else gap.never), (inner,)
        case All(branches=branches):
            inside = branches
        case Round(inner=inner):
            inside = (inner,)
        case Done(never=patterns):
            never = patterns
    for pattern in never:
        if pattern.match(event, bindings) is not None:
            return pattern
    found = (forbidding(part, event, bindings) for part in inside)
    return next((pattern for pattern in found if pattern is not None), None)


def asked_of(ways: list[OpenWay]) -> list[Head]:
    """What the ways wait for, each pattern once, in the order of the file."""
    asked: dict[CompiledPattern, Head] = {}
    for way in ways:
        for pattern, may_be_missing in _heads(way.term, False):
            if pattern not in asked:
                asked[pattern] = Head(way, pattern, may_be_missing)
    return sorted(asked.values(), key=lambda head: head.pattern.source.line)


def _heads(term: Term, may_be_missing: bool) -> Iterator[tuple[CompiledPattern, bool]]:
    match term:
        case One(pattern=pattern):
            yield pattern, may_be_missing
        case Rest(op=op, place=place, inner=inner, begun=begun):
            skipped = op.elements[place].op
            missing = isinstance(skipped, ChoiceOp) and skipped.optional and not begun
            yield from _heads(inner, may_be_missing or missing)
        case Round(op=op, number=number, inner=inner):
            yield from _heads(inner, may_be_missing or number > op.minimum)
        case All(branches=branches):
            for branch in branches:
                yield from _heads(branch, may_be_missing)
        case Done():
            return


def nearest(
    block: Block,
    standing: Standing,
    asked: list[Head],
    stops: Mapping[OpenWay, Event],
    events: Iterable[Event],
) -> NearMiss | None:
    """The event that fits best: one that fits but for its place, else in all but the fewest fields."""
    last = standing.matches[-1].index if standing.matches else -1
    claimed = {match.index for match in standing.matches}
    # What is needed before what may be missing: the cut spares what the explanation is about.
    compared = sorted(asked, key=lambda head: head.may_be_missing)[:_COMPARED]
    best: tuple[tuple[bool, bool, bool, int], NearMiss] | None = None
    for event in events:
        if event.index in claimed:
            continue
        early = event.index < last
        for head in compared:
            if type(event) not in head.pattern.types:
                continue
            wrong = list(head.pattern.mismatches(event, head.way.bindings))
            if best is not None and wrong and (True, head.may_be_missing, early, len(wrong)) >= best[0]:
                continue
            named = {mismatch.field for mismatch in wrong}
            outside = _out_of_scope(block, event, standing.bindings)
            wrong += [mismatch for mismatch in outside if mismatch.field not in named]
            rank = (bool(wrong), head.may_be_missing, early, len(wrong))
            if best is None or rank < best[0]:
                wrong = wrong or [_misplaced(event, head, last, stops.get(head.way))]
                best = (rank, NearMiss(event, head.pattern, wrong))
        if best is not None and best[0] == (False, False, False, 0):
            break
    return None if best is None else best[1]


def _misplaced(event: Event, head: Head, last: int, stop: Event | None) -> Mismatch:
    """What is wrong with an event that has every field right."""
    if event.index < last:
        return Mismatch("its place", "after it", f"before event {last}")
    if stop is not None and event.index > stop.index:
        return Mismatch("its place", "before it", f"after event {stop.index}")
    limit, since = _limit(head.way.term)
    if limit is not None:
        late = "not known"
        if event.time is not None and since is not None:
            late = f"{seconds(event.time - since):g} s after event {last}"
        return Mismatch("its time", f"at most {seconds(limit):g} s", late)
    return Mismatch("its place", "another", "not allowed by the rest of the order")


def _limit(term: Term) -> tuple[int | None, int | None]:
    """The ``within`` that the next event has to keep, and the time it counts from."""
    while isinstance(term, Rest | Round):
        if isinstance(term, Rest) and not term.begun and term.gap.within is not None:
            return term.gap.within, term.since
        term = term.inner
    return None, None


def _out_of_scope(block: Block, event: Event, bindings: Bindings) -> list[Mismatch]:
    """What keeps an event of a kind that the order asks for out of the scope."""
    if block.has_in_scope(event, bindings):
        return []
    near = [list(p.mismatches(event, bindings)) for p in block.scope if type(event) in p.types]
    wrong = min(near, key=len, default=[Mismatch("its kind", "one of the scope", kind_of(event))])
    return [Mismatch(m.field, f"{m.expected} by the scope", m.found) for m in wrong]
