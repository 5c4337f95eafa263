"""Why an order was not found, in words: the scenario line, the trace around it, the nearest miss."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from harness.events import Event, kind_of
from harness.order.lifecycle import Violation
from harness.order.patterns import Bindings, CompiledPattern, show
from harness.order.search import Block, Match, Search, Standing
from harness.order.standing import OpenWay, asked_of, forbidding, nearest, open_ways, stops_of
from harness.order.terms import Done, is_strict
from harness.scenario.model import Expectation, Scenario
from harness.scenario.rules import RULES

__all__ = ["explain_order", "explain_violation"]

_AROUND = 4
"""Events shown before and after a place."""
_WIDTH = 200
"""Characters of a line shown."""
_MARKS = {
    "=": "stood for a line of the scenario",
    "?": "nearest miss",
    "<": "came first",
    "!": "breaks it",
}
_OTHERS = 3
"""Patterns named besides the first that could have come."""


def explain_violation(violation: Violation, events: Iterable[Event]) -> str:
    """A broken lifecycle rule, with the events that break it."""
    rule = RULES[violation.rule]
    marks = {violation.index: "!"}
    before = _twin(violation, events) if violation.rule == "seq_unique" else violation.before
    if before is not None:
        marks[before] = "<"
    return "\n".join(
        [
            f"  {rule.sentence}",
            f"  source: {rule.source}",
            f"  switch it off with: lifecycle: {{off: [{rule.name}]}}",
            *_window(events, marks),
        ]
    )


def _twin(violation: Violation, events: Iterable[Event]) -> int | None:
    """The line before that has the same number; a rule that remembered them all would be no fold."""
    numbered: dict[int | None, int] = {}
    for event in events:
        if event.index == violation.index:
            return numbered.get(event.seq)
        numbered[event.seq] = event.index
    return None


def explain_order(
    scenario: Scenario,
    expectation: Expectation,
    block: Block,
    search: Search,
    events: Iterable[Event],
    given: Bindings,
) -> tuple[str, str]:
    """One line with the place in the scenario, and the explanation.

    :param given: the values that the search was given beforehand.
    """
    crossed = search.forbidden
    done = search.finished
    if crossed is None and done is not None:
        crossed = search.crossed(done.bindings)
    if crossed is not None:
        return _forbidden(scenario, crossed, done or search.standing, events)
    standing, ways = open_ways(block, search.standing, given, events)
    stops = stops_of(block, standing, ways, events)
    for way in ways:
        if isinstance(way.term, Done) and way in stops:
            # The order was found; what came afterwards broke it.
            pattern = forbidding(way.term, stops[way], way.bindings)
            if pattern is not None:
                return _forbidden(scenario, Match(pattern, stops[way].index), standing, events)
            return _unclaimed(scenario, expectation, standing, stops[way], events)
    asked = asked_of(ways)
    if not asked:  # more ways than are looked at: say at least how far the search came
        reason = f"{scenario.path}:{expectation.line}: no way to read the trace keeps this order"
        return reason, "\n".join([_found(standing), *_window(events, _marks(standing))])
    first = min(asked, key=lambda head: (head.may_be_missing, head.pattern.source.line))
    reason = f"{scenario.path}:{first.pattern.source.line}: not found: {_describe(first.pattern)}"
    others = [head.pattern for head in asked if head.pattern is not first.pattern]
    text = [
        f"  also waited for, line {pattern.source.line}: {_describe(pattern)}" for pattern in others[:_OTHERS]
    ]
    if len(others) > _OTHERS:
        text.append(f"  ... and for {len(others) - _OTHERS} more")
    text.append(_found(standing))
    marks = _marks(standing)
    around = {standing.matches[-1].index if standing.matches else 0}
    stop = stops.get(first.way)
    if stop is not None:
        text.append(f"  event {stop.index} may not stand here: {_why(first.way, stop)}")
        marks[stop.index] = "!"
        around.add(stop.index)
    miss = nearest(block, standing, asked, stops, events)
    if miss is not None:
        what = ", ".join(f"{m.field} is {m.found}, expected {m.expected}" for m in miss.wrong)
        text.append(f"  nearest miss for line {miss.pattern.source.line}: event {miss.event.index}: {what}")
        marks.setdefault(miss.event.index, "?")
        around.add(miss.event.index)
    else:
        text.append("  no event of that kind came at all")
    return reason, "\n".join([*text, *_window(events, marks, around)])


def _forbidden(
    scenario: Scenario, crossed: Match, standing: Standing, events: Iterable[Event]
) -> tuple[str, str]:
    line = crossed.pattern.source.line
    what = _describe(crossed.pattern)
    reason = f"{scenario.path}:{line}: forbidden, but it came (event {crossed.index}): {what}"
    marks = {**_marks(standing), crossed.index: "!"}
    return reason, "\n".join([_found(standing), *_window(events, marks, {crossed.index})])


def _unclaimed(
    scenario: Scenario, expectation: Expectation, standing: Standing, event: Event, events: Iterable[Event]
) -> tuple[str, str]:
    place = f"{scenario.path}:{expectation.line}"
    reason = f"{place}: 'only', but event {event.index} ({kind_of(event)}) stands for nothing in the order"
    marks = {**_marks(standing), event.index: "!"}
    return reason, "\n".join([_found(standing), *_window(events, marks, {event.index})])


def _why(way: OpenWay, event: Event) -> str:
    pattern = forbidding(way.term, event, way.bindings)
    if pattern is not None:
        return f"line {pattern.source.line} forbids {_describe(pattern)}"
    return (
        "it is not what 'next' asks for"
        if is_strict(way.term)
        else "'only' forbids what the order does not ask for"
    )


def _describe(pattern: CompiledPattern) -> str:
    fields = [f"{field}: {expected}" for field, _, expected in pattern.tests]
    fields += [f"{field}: ${name}" for field, name in pattern.variables]
    fields += [f"{field}: not ${name}" for field, name in pattern.differs]
    kind = pattern.source.kind or "any event"
    return f"{kind} {{{', '.join(fields)}}}" if fields else f"{kind}: any"


def _found(standing: Standing) -> str:
    """How far the search came, and what was bound there."""
    bound = ", ".join(f"${name} = {value}" for name, value in sorted(standing.bindings.items()))
    if isinstance(standing.term, Done) and not standing.matches:  # there is no order
        return f"  with {bound}" if bound else "  with nothing bound"
    return f"  events of the order found before: {len(standing.matches)}{bound and f', with {bound}'}"


def _marks(standing: Standing) -> dict[int, str]:
    return {match.index: "=" for match in standing.matches}


def _window(events: Iterable[Event], marks: dict[int, str], around: set[int] | None = None) -> list[str]:
    """The trace around some places, and what the marks in it mean."""
    places = around if around is not None else set(marks)
    shown = {n for place in places for n in range(place - _AROUND, place + _AROUND + 1)}
    end = max(shown, default=-1) + 1
    lines: list[str] = []
    previous: int | None = None
    for event in islice(events, end):
        if event.index not in shown:
            continue
        if previous is not None and event.index != previous + 1:
            lines.append("      ...")
        previous = event.index
        text = event.line or _fields(event)
        cut = "..." if len(text) > _WIDTH else ""
        lines.append(f"  {marks.get(event.index, ' ')} {event.index:>6}  {text[:_WIDTH]}{cut}")
    seen = {marks[n] for n in shown if n in marks}
    legend = ", ".join(f"{mark} {meaning}" for mark, meaning in _MARKS.items() if mark in seen)
    return [f"  the trace there ({legend}):", *lines] if legend else lines


def _fields(event: Event) -> str:
    own = [name for name in event.__struct_fields__ if name not in ("index", "line")]
    values = [(name, getattr(event, name)) for name in own]
    return f"{kind_of(event)} " + " ".join(f"{n}={show(n, v)}" for n, v in values if v is not None)
