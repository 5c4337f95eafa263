"""Why a promise was broken, as values: the place in the scenario, the trace around it, the nearest miss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from harness.events import Event, kind_of
from harness.order.block import Block
from harness.order.lifecycle import Violation
from harness.order.patterns import Bindings, describe
from harness.order.result import Awaited, Failure, Mark, Miss, Place, Row, WayEnd
from harness.order.search import Search
from harness.order.standing import OpenWay, asked_of, forbidding, nearest, open_ways, stops_of
from harness.order.terms import Done, outlook
from harness.order.ways import Assigned, Standing
from harness.scenario.model import Expectation, Scenario

__all__ = ["explain_order", "explain_violations"]

_AROUND = 4
"""Events shown before and after a place."""


def explain_violations(violations: Sequence[Violation], events: Iterable[Event]) -> list[Failure]:
    """The failures that broken lifecycle rules are, with the events that break them.

    Goes over ``events`` once, and once before where numbers came twice: however many rules are broken.
    """
    same = _same_numbers([v for v in violations if v.seq is not None], events)
    marks: list[dict[int, Mark]] = []
    for violation in violations:
        before = violation.before if violation.seq is None else same.get(violation.index)
        earlier = {} if before is None else {before: Mark.EARLIER}
        marks.append({**earlier, violation.index: Mark.BREAKING})
    shown = _events_at(events, {place for each in marks for place in _around(each)})
    return [
        Failure(f"{violation.rule}: {violation.message}", _rows_of(shown, each, each), violation=violation)
        for violation, each in zip(violations, marks, strict=True)
    ]


def _same_numbers(violations: Sequence[Violation], events: Iterable[Event]) -> dict[int, int]:
    """The event of each violation → the last one before it with the same number; a rule that remembered all
    numbers would be no fold."""
    found: dict[int, int] = {}
    if not violations:
        return found
    breaking = {violation.index for violation in violations}
    wanted = {violation.seq for violation in violations}
    latest: dict[int | None, int] = {}
    for event in events:
        if event.seq in wanted:
            if event.index in breaking and event.seq in latest:
                found[event.index] = latest[event.seq]
            latest[event.seq] = event.index
    return found


def explain_order(
    scenario: Scenario,
    expectation: Expectation,
    block: Block,
    search: Search,
    events: Iterable[Event],
    given: Bindings,
) -> Failure:
    """The failure of an expectation for which ``search`` found no witness.

    :param given: the values that the search was given beforehand.
    """
    forbidden = search.forbidden
    done = search.finished
    if forbidden is None and done is not None:
        forbidden = search.forbidden_under(done.bindings)
    if forbidden is not None:
        return _forbidden(scenario, forbidden, done or search.standing, events)
    standing, ways = open_ways(block, search.standing, given, events)
    stops = stops_of(block, standing, ways, events)
    for way in ways:
        if isinstance(way.term, Done) and way in stops:
            # The order was found; what came afterwards broke it.
            pattern = forbidding(way.term, stops[way], way.bindings)
            if pattern is not None:
                return _forbidden(scenario, Assigned(pattern, stops[way].index), standing, events)
            return _unclaimed(scenario, expectation, standing, stops[way], events)
    asked = asked_of(ways)
    if not asked:  # more ways than are looked at: say at least how far the search came
        place = Place(scenario.path, expectation.line)
        reason = f"{place}: no way to read the trace keeps this order"
        return _failure(place, reason, standing, _rows(events, _marks(standing)))
    first = min(asked, key=lambda head: (head.may_be_missing, head.pattern.source.line))
    place = Place(scenario.path, first.pattern.source.line)
    others = [head.pattern for head in asked if head.pattern is not first.pattern]
    marks = _marks(standing)
    around = {standing.matches[-1].index if standing.matches else 0}
    stop = stops.get(first.way)
    if stop is not None:
        marks[stop.index] = Mark.BREAKING
        around.add(stop.index)
    near = nearest(block, standing, asked, stops, events)
    if near is not None:
        marks.setdefault(near.event.index, Mark.NEAREST)
        around.add(near.event.index)
    return _failure(
        place,
        f"{place}: not found: {describe(first.pattern)}",
        standing,
        _rows(events, marks, around),
        awaited=tuple(Awaited(pattern.source.line, describe(pattern)) for pattern in others),
        stop=None if stop is None else WayEnd(stop.index, _why(first.way, stop)),
        miss=None if near is None else Miss(near.event.index, near.pattern.source.line, tuple(near.wrong)),
        waited=True,
    )


def _forbidden(
    scenario: Scenario, forbidden: Assigned, standing: Standing, events: Iterable[Event]
) -> Failure:
    place = Place(scenario.path, forbidden.pattern.source.line)
    what = describe(forbidden.pattern)
    marks = {**_marks(standing), forbidden.index: Mark.BREAKING}
    return _failure(
        place,
        f"{place}: forbidden, but it came (event {forbidden.index}): {what}",
        standing,
        _rows(events, marks, {forbidden.index}),
    )


def _unclaimed(
    scenario: Scenario, expectation: Expectation, standing: Standing, event: Event, events: Iterable[Event]
) -> Failure:
    place = Place(scenario.path, expectation.line)
    marks = {**_marks(standing), event.index: Mark.BREAKING}
    return _failure(
        place,
        f"{place}: 'only', but event {event.index} ({kind_of(event)}) stands for nothing in the order",
        standing,
        _rows(events, marks, {event.index}),
    )


def _failure(
    place: Place,
    reason: str,
    standing: Standing,
    rows: tuple[Row, ...],
    *,
    awaited: tuple[Awaited, ...] = (),
    stop: WayEnd | None = None,
    miss: Miss | None = None,
    waited: bool = False,
) -> Failure:
    no_order = isinstance(standing.term, Done) and not standing.matches
    return Failure(
        reason,
        rows,
        place=place,
        found=None if no_order else len(standing.matches),
        bindings=dict(standing.bindings),
        awaited=awaited,
        stop=stop,
        miss=miss,
        waited=waited,
    )


def _why(way: OpenWay, event: Event) -> str:
    pattern = forbidding(way.term, event, way.bindings)
    if pattern is not None:
        return f"line {pattern.source.line} forbids {describe(pattern)}"
    return (
        "it is not what 'next' asks for"
        if outlook(way.term).strict
        else "'only' forbids what the order does not ask for"
    )


def _marks(standing: Standing) -> dict[int, Mark]:
    return {match.index: Mark.CLAIMED for match in standing.matches}


def _rows(
    events: Iterable[Event], marks: Mapping[int, Mark], around: set[int] | None = None
) -> tuple[Row, ...]:
    """The trace around some places; around every mark where none are given."""
    places = marks if around is None else around
    return _rows_of(_events_at(events, _around(places)), marks, places)


def _rows_of(shown: Mapping[int, Event], marks: Mapping[int, Mark], places: Iterable[int]) -> tuple[Row, ...]:
    return tuple(Row(shown[n], marks.get(n)) for n in sorted(_around(places)) if n in shown)


def _events_at(events: Iterable[Event], wanted: set[int]) -> dict[int, Event]:
    end = max(wanted, default=-1) + 1
    return {event.index: event for event in islice(events, end) if event.index in wanted}


def _around(places: Iterable[int]) -> set[int]:
    return {n for place in places for n in range(place - _AROUND, place + _AROUND + 1)}
