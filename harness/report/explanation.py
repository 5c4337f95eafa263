"""The text of a check's result: what broke, where, and the trace around it."""

from __future__ import annotations

from collections.abc import Iterable

from harness.events import Event, RuleBroken, kind_of
from harness.order.patterns import show
from harness.order.result import CheckResult, Failure, Mark, Row
from harness.runs.result import RunResult
from harness.scenario.rules import RULES
from harness.standingrules import STANDING_RULES

__all__ = ["account_text", "broken_rules_text", "event_words", "explanation_text", "failure_lines"]

_WIDTH = 200
"""Characters of a line shown."""
_OTHERS = 3
"""Patterns named besides the first that could have come."""
_BESIDE = frozenset({"index", "line", "witness", "call"})
"""Fields that are not shown of an event without a line."""
_SIGNS = {
    Mark.CLAIMED: ("=", "stood for a line of the scenario"),
    Mark.NEAREST: ("?", "nearest miss"),
    Mark.EARLIER: ("<", "came first"),
    Mark.BREAKING: ("!", "breaks it"),
}


def explanation_text(result: CheckResult, told: str = "") -> str:
    """Everything that did not hold or was not judged, each with its reason and at length.

    The text holds what the target printed: hand it to :func:`harness.report.text.printable` before it is
    shown.

    :param told: the line that is shown before it; a reason or a way out that stands there is not repeated.
    """
    said = [(failure.reason, _failure(failure)) for failure in result.failures]
    said += [(unjudged.reason, f"  {unjudged.hint}") for unjudged in result.unjudged]
    texts = ("\n".join(part for part in parts if part.strip() not in told) for parts in said)
    return "\n\n".join(text for text in texts if text)


def broken_rules_text(broken: Iterable[RuleBroken], told: str = "") -> str:
    """The standing rules that drivers broke, at length; a rule is explained once.

    :param told: the line that is shown before it; what stands there is not repeated.
    """
    lines: list[str] = []
    explained: set[str] = set()
    for one in broken:
        if one.message not in told:
            lines.append(f"  {one.rule}: {one.message}")
        rule = STANDING_RULES.get(one.rule)
        if rule is not None and rule.name not in explained:
            explained.add(rule.name)
            lines += [
                f"    {rule.sentence}",
                f"    source: {rule.source}",
                f"    switch it off with: rules: {{off: [{rule.name}]}}, or --without-rule {rule.name}",
            ]
    return "\n".join(lines)


def account_text(result: RunResult) -> str:
    """Everything to be said about a run that did not pass, in lines."""
    explained = "" if result.check is None else explanation_text(result.check, result.reason)
    broken = broken_rules_text(result.broken_rules, result.reason)
    lines = [result.reason, explained, broken, *result.not_judged_lines, *result.notes, result.left]
    if result.trace is not None:
        lines.append(f"trace: {result.trace}")
    return "\n".join(line for line in lines if line)


def failure_lines(failure: Failure) -> list[str]:
    """What is to be known of a broken promise besides its reason and the trace there."""
    return _rule(failure) if failure.violation is not None else _order(failure)


def _failure(failure: Failure) -> str:
    return "\n".join([*failure_lines(failure), *_trace(failure.rows)])


def _rule(failure: Failure) -> list[str]:
    assert failure.violation is not None
    rule = RULES[failure.violation.rule]
    return [
        f"  {rule.sentence}",
        f"  source: {rule.source}",
        f"  switch it off with: lifecycle: {{off: [{rule.name}]}}",
    ]


def _order(failure: Failure) -> list[str]:
    lines = [
        f"  also waited for, line {awaited.line}: {awaited.words}" for awaited in failure.awaited[:_OTHERS]
    ]
    if len(failure.awaited) > _OTHERS:
        lines.append(f"  ... and for {len(failure.awaited) - _OTHERS} more")
    lines.append(_found(failure))
    if failure.stop is not None:
        lines.append(f"  event {failure.stop.index} may not stand here: {failure.stop.why}")
    miss = failure.miss
    if miss is not None:
        what = ", ".join(f"{wrong.field} is {wrong.found}, expected {wrong.expected}" for wrong in miss.wrong)
        lines.append(f"  nearest miss for line {miss.line}: event {miss.index}: {what}")
    elif failure.waited:
        lines.append("  no event of that kind came at all")
    return lines


def _found(failure: Failure) -> str:
    """How far the search came, and what was bound there."""
    bound = ", ".join(f"${name} = {value}" for name, value in sorted(failure.bindings.items()))
    if failure.found is None:
        return f"  with {bound}" if bound else "  with nothing bound"
    return f"  events of the order found before: {failure.found}{bound and f', with {bound}'}"


def _trace(rows: tuple[Row, ...]) -> list[str]:
    """The trace around some places, and what the marks in it mean."""
    lines: list[str] = []
    previous: int | None = None
    for row in rows:
        event = row.event
        if previous is not None and event.index != previous + 1:
            lines.append("      ...")
        previous = event.index
        sign = " " if row.mark is None else _SIGNS[row.mark][0]
        text = event.line or event_words(event)
        cut = "..." if len(text) > _WIDTH else ""
        lines.append(f"  {sign} {event.index:>6}  {text[:_WIDTH]}{cut}")
    seen = {row.mark for row in rows}
    legend = ", ".join(f"{sign} {meaning}" for mark, (sign, meaning) in _SIGNS.items() if mark in seen)
    return [f"  the trace there ({legend}):", *lines] if legend else lines


def event_words(event: Event) -> str:
    """An event that has no line, as one: its kind and its fields."""
    own = [name for name in event.__struct_fields__ if name not in _BESIDE]
    values = [(name, getattr(event, name)) for name in own]
    return f"{kind_of(event)} " + " ".join(f"{n}={show(n, v)}" for n, v in values if v is not None)
