"""Why an order was not found, in words: the scenario line, the trace around it, the nearest miss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from harness.events import Event, kind_of
from harness.order.lifecycle import Violation
from harness.order.ops import ChoiceOp
from harness.order.patterns import Bindings, CompiledPattern, Mismatch, show
from harness.order.search import Block, Match, Search, Standing
from harness.order.terms import (
    All,
    Done,
    One,
    Rest,
    Round,
    Term,
    begin,
    claims,
    heads,
    is_guarded,
    is_strict,
    passes,
)
from harness.scenario.model import Expectation, Scenario, seconds
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
_COMPARED = 8
"""Patterns that every event is compared with for the nearest miss."""
_MOST = 256
"""Ways to go on that are looked at."""


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
    standing, open_ways = _open_ways(block, search.standing, given, events)
    stops = _stops(block, standing, open_ways, events)
    for way in open_ways:
        if isinstance(way.term, Done) and way in stops:
            # The order was found; what came afterwards broke it.
            pattern = _forbidding(way.term, stops[way], way.bindings)
            if pattern is not None:
                return _forbidden(scenario, Match(pattern, stops[way].index), standing, events)
            return _unclaimed(scenario, expectation, standing, stops[way], events)
    asked = _asked(open_ways)
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
    miss = _nearest(block, standing, asked, stops, events)
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


@dataclass(frozen=True, eq=False)
class _OpenWay:
    """A way to go on from where the search stood."""

    term: Term
    bindings: Bindings


@dataclass(frozen=True)
class _Head:
    """A pattern that a way waits for."""

    way: _OpenWay
    pattern: CompiledPattern
    may_be_missing: bool


@dataclass(frozen=True)
class _Miss:
    event: Event
    pattern: CompiledPattern
    wrong: list[Mismatch]


def _open_ways(
    block: Block, standing: Standing, given: Bindings, events: Iterable[Event]
) -> tuple[Standing, list[_OpenWay]]:
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
        if not _in_scope(block, event, standing.bindings):
            continue
        found = [claim for term, bound in live for claim in islice(claims(term, event, bound), _MOST)]
        wanted = claimed.get(event.index) if event.index <= last else next((c[2] for c in found), None)
        if wanted is not None:
            ways = live = [(term, bound) for term, bound, pattern in found if pattern is wanted][:_MOST]
            if event.index > last and ways:
                matches = (*standing.matches, Match(wanted, event.index))
                standing = Standing(*ways[0], matches)
            guarded, wanting = _watch(block, live)
            continue
        live = [
            (term, bound)
            for term, bound in live
            if not block.only and (not is_guarded(term) or passes(term, event, bound))
        ]
        if event.index <= last:
            ways = live
        elif not live:
            break
        guarded, wanting = _watch(block, live)
    return standing, [_OpenWay(term, bound) for term, bound in ways or [(standing.term, standing.bindings)]]


def _watch(block: Block, ways: list[tuple[Term, Bindings]]) -> tuple[bool, list[CompiledPattern]]:
    """Is there an event that may not pass these ways by? And the patterns that they wait for."""
    guarded = block.only or any(is_guarded(term) for term, _ in ways)
    return guarded, list(dict.fromkeys(pattern for term, _ in ways for pattern in heads(term)))


def _stops(
    block: Block, standing: Standing, ways: list[_OpenWay], events: Iterable[Event]
) -> dict[_OpenWay, Event]:
    """The event that ended each way: one that may not pass it by. A way without waits until the end."""
    stops: dict[_OpenWay, Event] = {}
    last = standing.matches[-1].index if standing.matches else -1
    watched = [way for way in ways if block.only or is_guarded(way.term)]
    for event in islice(events, last + 1, None):
        if len(stops) == len(watched):
            break
        if _in_scope(block, event, standing.bindings):
            for way in watched:
                if way not in stops and (block.only or not passes(way.term, event, way.bindings)):
                    stops[way] = event
    return stops


def _why(way: _OpenWay, event: Event) -> str:
    pattern = _forbidding(way.term, event, way.bindings)
    if pattern is not None:
        return f"line {pattern.source.line} forbids {_describe(pattern)}"
    return (
        "it is not what 'next' asks for"
        if is_strict(way.term)
        else "'only' forbids what the order does not ask for"
    )


def _forbidding(term: Term, event: Event, bindings: Bindings) -> CompiledPattern | None:
    """The pattern of a ``never`` that keeps ``event`` from passing ``term`` by."""
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
    found = (_forbidding(part, event, bindings) for part in inside)
    return next((pattern for pattern in found if pattern is not None), None)


def _asked(ways: list[_OpenWay]) -> list[_Head]:
    """What the ways wait for, each pattern once, in the order of the file."""
    asked: dict[CompiledPattern, _Head] = {}
    for way in ways:
        for pattern, may_be_missing in _heads(way.term, False):
            if pattern not in asked:
                asked[pattern] = _Head(way, pattern, may_be_missing)
    return sorted(asked.values(), key=lambda head: head.pattern.source.line)


def _heads(term: Term, may_be_missing: bool) -> Iterator[tuple[CompiledPattern, bool]]:
    match term:
        case One(pattern=pattern):
            yield pattern, may_be_missing
        case Rest(op=op, place=place, inner=inner, begun=begun):
            skipped = op.elements[place].op
            missing = isinstance(skipped, ChoiceOp) and skipped.may_be_missing and not begun
            yield from _heads(inner, may_be_missing or missing)
        case Round(op=op, number=number, inner=inner):
            yield from _heads(inner, may_be_missing or number > op.minimum)
        case All(branches=branches):
            for branch in branches:
                yield from _heads(branch, may_be_missing)
        case Done():
            return


def _nearest(
    block: Block,
    standing: Standing,
    asked: list[_Head],
    stops: dict[_OpenWay, Event],
    events: Iterable[Event],
) -> _Miss | None:
    """The event that fits best: one that fits but for its place, else in all but the fewest fields."""
    last = standing.matches[-1].index if standing.matches else -1
    claimed = {match.index for match in standing.matches}
    best: tuple[tuple[bool, bool, bool, int], _Miss] | None = None
    for event in events:
        if event.index in claimed:
            continue
        early = event.index < last
        for head in asked[:_COMPARED]:
            if type(event) not in head.pattern.types:
                continue
            wrong = list(head.pattern.mismatches(event, head.way.bindings))
            if best is not None and wrong and (True, head.may_be_missing, early, len(wrong)) >= best[0]:
                continue
            wrong += _out_of_scope(block, event, standing.bindings)
            rank = (bool(wrong), head.may_be_missing, early, len(wrong))
            if best is None or rank < best[0]:
                wrong = wrong or [_misplaced(event, head, last, stops.get(head.way))]
                best = (rank, _Miss(event, head.pattern, wrong))
        if best is not None and best[0] == (False, False, False, 0):
            break
    return None if best is None else best[1]


def _misplaced(event: Event, head: _Head, last: int, stop: Event | None) -> Mismatch:
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


def _in_scope(block: Block, event: Event, bindings: Bindings) -> bool:
    if type(event) not in block.types:
        return False
    return not block.scope or any(pattern.match(event, bindings) is not None for pattern in block.scope)


def _out_of_scope(block: Block, event: Event, bindings: Bindings) -> list[Mismatch]:
    """What keeps an event of a kind that the order asks for out of the scope."""
    if _in_scope(block, event, bindings):
        return []
    near = [list(p.mismatches(event, bindings)) for p in block.scope if type(event) in p.types]
    wrong = min(near, key=len, default=[Mismatch("its kind", "one of the scope", kind_of(event))])
    return [Mismatch(m.field, f"{m.expected} by the scope", m.found) for m in wrong]


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
