"""Why an order was not found, in words: the scenario line, the trace around it, the nearest miss."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from harness.events import Event, kind_of
from harness.order.lifecycle import Violation
from harness.order.patterns import Bindings, CompiledPattern, Mismatch, show
from harness.order.search import Block, Match, Search, Standing
from harness.order.terms import heads
from harness.scenario.model import Expectation, Scenario
from harness.scenario.rules import RULES

__all__ = ["explain_order", "explain_violation"]

_AROUND = 4
"""Events shown before and after a place."""
_WIDTH = 150
"""Characters of a line shown."""


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
    scenario: Scenario, expectation: Expectation, block: Block, search: Search, events: Iterable[Event]
) -> tuple[str, str]:
    """One line with the place in the scenario, and the explanation."""
    crossed = search.forbidden
    done = search.finished
    if crossed is None and done is not None:
        crossed = search.crossed(done.bindings)
    if crossed is not None:
        return _forbidden(scenario, crossed, events)
    standing = search.standing
    waiting = list(dict.fromkeys(heads(standing.term)))
    if not waiting:
        reason = f"{scenario.path}:{expectation.line}: the order was found, but what must not follow it did"
        return reason, "\n".join(_window(events, _marks(standing)))
    lines = sorted({pattern.source.line for pattern in waiting})
    reason = f"{scenario.path}:{lines[0]}: not found: {_describe(waiting[0])}"
    last = standing.matches[-1].index if standing.matches else -1
    text = [f"{scenario.path}:{p.source.line}: or: {_describe(p)}" for p in waiting[1:4]]
    text.append(
        f"  {len(standing.matches)} of the order's events were found before it{_bound(standing.bindings)}"
    )
    miss = _nearest(waiting, standing, events)
    marks = _marks(standing)
    if miss is not None:
        event, pattern, wrong = miss
        what = ", ".join(f"{m.field} is {m.found}, expected {m.expected}" for m in wrong)
        text.append(f"  nearest miss for line {pattern.source.line}: event {event.index}: {what}")
        marks[event.index] = "?"
    else:
        text.append("  no event of that kind came at all")
    stood = miss[0].index if miss is not None else last
    text += _window(events, marks, around={max(stood, 0), max(last, 0)})
    return reason, "\n".join(text)


def _forbidden(scenario: Scenario, crossed: Match, events: Iterable[Event]) -> tuple[str, str]:
    line = crossed.pattern.source.line
    what = _describe(crossed.pattern)
    reason = f"{scenario.path}:{line}: forbidden, but it came (event {crossed.index}): {what}"
    return reason, "\n".join(_window(events, {crossed.index: "!"}))


def _describe(pattern: CompiledPattern) -> str:
    fields = [f"{field}: {expected}" for field, _, expected in pattern.tests]
    fields += [f"{field}: ${name}" for field, name in pattern.variables]
    fields += [f"{field}: not ${name}" for field, name in pattern.differs]
    return f"{pattern.source.kind or 'any event'} {{{', '.join(fields)}}}"


def _bound(bindings: Bindings) -> str:
    if not bindings:
        return ""
    return ", with " + ", ".join(f"${name} = {value}" for name, value in sorted(bindings.items()))


def _marks(standing: Standing) -> dict[int, str]:
    return {match.index: "=" for match in standing.matches}


def _nearest(
    waiting: list[CompiledPattern], standing: Standing, events: Iterable[Event]
) -> tuple[Event, CompiledPattern, list[Mismatch]] | None:
    """The event that fits a pattern in all but the fewest fields; after the last match where there is one."""
    last = standing.matches[-1].index if standing.matches else -1
    best: tuple[tuple[bool, int], Event, CompiledPattern, list[Mismatch]] | None = None
    claimed = {match.index for match in standing.matches}
    for event in events:
        for pattern in waiting:
            if type(event) not in pattern.types or event.index in claimed:
                continue
            wrong = list(pattern.mismatches(event, standing.bindings))
            early = event.index <= last
            if not wrong:
                wrong = [
                    Mismatch(
                        "its place",
                        "after the events found so far" if early else "allowed here",
                        "before them" if early else "behind an event that is forbidden in between",
                    )
                ]
            rank = (early, len(wrong))
            if best is None or rank < best[0]:
                best = (rank, event, pattern, wrong)
    return None if best is None else best[1:]


def _window(events: Iterable[Event], marks: dict[int, str], around: set[int] | None = None) -> list[str]:
    """The trace around some places: ``=`` stood for a pattern, ``?`` nearly did, ``!`` is the culprit."""
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
        lines.append(f"  {marks.get(event.index, ' ')} {event.index:>6}  {text[:_WIDTH]}")
    return lines


def _fields(event: Event) -> str:
    own = [name for name in event.__struct_fields__ if name not in ("index", "line")]
    values = [(name, getattr(event, name)) for name in own]
    return f"{kind_of(event)} " + " ".join(f"{n}={show(n, v)}" for n, v in values if v is not None)
