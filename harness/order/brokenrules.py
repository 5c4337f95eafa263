"""Why a lifecycle rule was broken, as values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.events import Event
from harness.order.callbackname import callback_of
from harness.order.contradiction import rule_sentence
from harness.order.lanes import Lanes, lanes_of
from harness.order.lifecycle import Violation
from harness.order.refutation import RuleBreach
from harness.order.result import Explanation, Failure, Mark
from harness.order.rows import around, events_at, rows_of
from harness.order.rulebreach import subject_of

__all__ = ["explain_violations"]


def explain_violations(violations: Sequence[Violation], events: Iterable[Event]) -> list[Failure]:
    """The failures that broken lifecycle rules are, with the events that break them.

    Goes over ``events`` twice, and once more before where numbers came twice: however many rules are broken.
    """
    same = _same_numbers([v for v in violations if v.seq is not None], events)
    marks: list[dict[int, Mark]] = []
    for violation in violations:
        before = violation.before if violation.seq is None else same.get(violation.index)
        earlier = {} if before is None else {before: Mark.EARLIER}
        marks.append({**earlier, violation.index: Mark.BREAKING})
    if not violations:
        return []
    shown = events_at(events, {place for each in marks for place in around(each)})
    laned = lanes_of([{n: (mark, None) for n, mark in each.items()} for each in marks], shown, events)
    return [
        Failure(
            f"{violation.rule}: {violation.message}",
            _explanation(violation, each, shown, lanes),
            violation=violation,
        )
        for violation, each, lanes in zip(violations, marks, laned, strict=True)
    ]


def _explanation(
    violation: Violation, marks: dict[int, Mark], shown: dict[int, Event], lanes: Lanes
) -> Explanation:
    earlier = next((index for index, mark in marks.items() if mark is Mark.EARLIER), None)
    before = None if earlier is None else shown.get(earlier)
    breaking = shown.get(violation.index)
    return Explanation(
        contradiction=rule_sentence(violation, earlier),
        callback="" if breaking is None else callback_of(breaking),
        promises=(),
        lanes=lanes.lanes,
        rows=lanes.rows,
        folded_after=lanes.folded_after,
        around=rows_of(shown, marks, marks),
        proof=RuleBreach(violation.rule, violation.index, earlier, subject_of(violation.rule, before)),
    )


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
