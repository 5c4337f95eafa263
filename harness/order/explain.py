"""Why an order was broken, as values: the place in the scenario, the trace around it, the nearest miss."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from harness.events import Event, kind_of
from harness.order.block import Block
from harness.order.callbackname import callback_of, callback_of_kinds
from harness.order.contradiction import forbidden_sentence, not_found_sentence, unclaimed_sentence
from harness.order.lanes import lanes_of
from harness.order.patterns import Bindings, CompiledPattern, describe
from harness.order.refutation import Proof
from harness.order.result import (
    Awaited,
    Explanation,
    Failure,
    Mark,
    Place,
    Unobserved,
)
from harness.order.rows import events_at, rows_around
from harness.order.search import Search
from harness.order.standing import (
    Head,
    NearMiss,
    OpenWay,
    asked_of,
    forbidding,
    nearest,
    open_ways,
    stops_of,
)
from harness.order.statuses import statuses_of
from harness.order.succession import last_before
from harness.order.terms import Done
from harness.order.ways import Assigned, Standing
from harness.scenario.model import Expectation, Pattern, Scenario

__all__ = ["KnownBesides", "explain_order"]


@dataclass(frozen=True)
class KnownBesides:
    """What is known of a broken block besides its search."""

    unobserved: Collection[Unobserved] = ()
    """What of it was not judged."""
    proof: Proof | None = None
    unproved: str = ""
    """Why there is no proof."""
    irrelevant: Callable[[Pattern], tuple[str, ...]] = lambda pattern: ()
    """What does not matter of a pattern that was waited for in vain."""


def explain_order(
    scenario: Scenario,
    expectation: Expectation,
    block: Block,
    search: Search,
    events: Iterable[Event],
    given: Bindings,
    known: KnownBesides,
) -> Failure:
    """The failure of an expectation for which ``search`` found no witness.

    :param given: the values that the search was given beforehand.
    """
    return _Order(scenario, expectation, block, events, known).failure(search, given)


class _Order:
    """One broken block."""

    def __init__(
        self,
        scenario: Scenario,
        expectation: Expectation,
        block: Block,
        events: Iterable[Event],
        known: KnownBesides,
    ) -> None:
        self._path = scenario.path
        self._expectation = expectation
        self._block = block
        self._events = events
        self._known = known

    def failure(self, search: Search, given: Bindings) -> Failure:
        forbidden = search.forbidden
        done = search.finished
        if forbidden is None and done is not None:
            forbidden = search.forbidden_under(done.bindings)
        if forbidden is not None:
            return self._forbidden(forbidden, done or search.standing, everywhere=True)
        standing, ways = open_ways(self._block, search.standing, given, self._events)
        stops = stops_of(self._block, standing, ways, self._events)
        for way in ways:
            if isinstance(way.term, Done) and way in stops:
                # The order was found; what came afterwards broke it.
                pattern = forbidding(way.term, stops[way], way.bindings)
                if pattern is not None:
                    return self._forbidden(
                        Assigned(pattern, stops[way].index), standing, everywhere=False, event=stops[way]
                    )
                return self._unclaimed(standing, stops[way])
        asked = asked_of(ways)
        if not asked:  # more ways than are looked at: say at least how far the search came
            return self._no_way(standing)
        return self._not_found(standing, asked, stops)

    def _not_found(self, standing: Standing, asked: list[Head], stops: Mapping[OpenWay, Event]) -> Failure:
        first = min(asked, key=lambda head: (head.may_be_missing, head.pattern.source.line))
        place = Place(self._path, first.pattern.source.line)
        others = [head.pattern for head in asked if head.pattern is not first.pattern]
        marks = _marks(standing)
        around = {standing.matches[-1].index if standing.matches else 0}
        stop = stops.get(first.way)
        came = None
        if stop is not None:
            pattern = forbidding(first.way.term, stop, first.way.bindings)
            came = None if pattern is None else Assigned(pattern, stop.index)
            marks[stop.index] = Mark.BREAKING, None if pattern is None else pattern.source.line
            around.add(stop.index)
        near = nearest(self._block, standing, asked, stops, self._events)
        if near is not None:
            marks.setdefault(near.event.index, (Mark.NEAREST, near.line))
            around.add(near.event.index)
        after = last_before(self._block.order, first.pattern, standing.matches)
        kind_came = near is not None or any(type(event) in first.pattern.types for event in self._events)
        awaited = {head.pattern: not head.may_be_missing or head is first for head in asked}
        blamed = stop or (near.event if near is not None else None)
        return self._failure(
            place,
            f"{place}: not found: {describe(first.pattern)}",
            standing,
            marks,
            around,
            contradiction=not_found_sentence(first, after, stop, near, kind_came=kind_came),
            callback=self._callback(blamed, first.pattern),
            awaited=awaited,
            others=others,
            near=near,
            waited=True,
            stopped=stop is not None,
            came=came,
            irrelevant=self._known.irrelevant(first.pattern.source),
        )

    def _forbidden(
        self, forbidden: Assigned, standing: Standing, *, everywhere: bool, event: Event | None = None
    ) -> Failure:
        line = forbidden.pattern.source.line
        place = Place(self._path, line)
        what = describe(forbidden.pattern)
        marks = {**_marks(standing), forbidden.index: (Mark.BREAKING, line)}
        if event is None:
            event = next((event for event in self._events if event.index == forbidden.index), None)
        return self._failure(
            place,
            f"{place}: forbidden, but it came (event {forbidden.index}): {what}",
            standing,
            marks,
            {forbidden.index},
            contradiction=forbidden_sentence(forbidden, everywhere),
            callback=self._callback(event, forbidden.pattern),
            came=forbidden,
        )

    def _unclaimed(self, standing: Standing, event: Event) -> Failure:
        line = self._expectation.line
        place = Place(self._path, line)
        kind = kind_of(event)
        return self._failure(
            place,
            f"{place}: 'only', but event {event.index} ({kind}) stands for nothing in the order",
            standing,
            {**_marks(standing), event.index: (Mark.BREAKING, None)},
            {event.index},
            contradiction=unclaimed_sentence(line, event.index, kind),
            callback=callback_of(event),
        )

    def _no_way(self, standing: Standing) -> Failure:
        place = Place(self._path, self._expectation.line)
        marks = _marks(standing)
        what = "no way to read the trace keeps this order"
        return self._failure(place, f"{place}: {what}", standing, marks, set(marks), contradiction=what)

    def _callback(self, event: Event | None, pattern: CompiledPattern) -> str:
        """The function at fault: of the event, else of those that tell of what was waited for."""
        named = "" if event is None else callback_of(event)
        return named or callback_of_kinds(pattern.types, self._events)

    def _failure(
        self,
        place: Place,
        reason: str,
        standing: Standing,
        marks: dict[int, tuple[Mark, int | None]],
        around: set[int],
        *,
        contradiction: str,
        callback: str = "",
        awaited: Mapping[CompiledPattern, bool] | None = None,
        others: Iterable[CompiledPattern] = (),
        near: NearMiss | None = None,
        waited: bool = False,
        stopped: bool = False,
        came: Assigned | None = None,
        irrelevant: tuple[str, ...] = (),
    ) -> Failure:
        known = self._known
        no_order = isinstance(standing.term, Done) and not standing.matches
        (lanes,) = lanes_of([marks], events_at(self._events, set(marks)), self._events)
        explanation = Explanation(
            contradiction=contradiction,
            callback=callback,
            promises=statuses_of(self._block, standing, awaited or {}, near, came, known.unobserved),
            lanes=lanes.lanes,
            rows=lanes.rows,
            folded_after=lanes.folded_after,
            irrelevant=irrelevant,
            around=rows_around(self._events, {index: mark for index, (mark, _) in marks.items()}, around),
            awaited=tuple(Awaited(pattern.source.line, describe(pattern)) for pattern in others),
            bindings=dict(standing.bindings),
            proof=known.proof,
            unproved=known.unproved,
        )
        return Failure(
            reason,
            explanation,
            place=place,
            expectation=self._expectation,
            found=None if no_order else len(standing.matches),
            waited=waited,
            stopped=stopped,
        )


def _marks(standing: Standing) -> dict[int, tuple[Mark, int | None]]:
    return {match.index: (Mark.CLAIMED, match.pattern.source.line) for match in standing.matches}
