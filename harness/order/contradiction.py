"""The contradiction in one sentence: what must be, because of which line; but what was instead."""

from __future__ import annotations

from harness.events import Event
from harness.order.lifecycle import Violation
from harness.order.patterns import CompiledPattern, describe
from harness.order.standing import Head, NearMiss, OpenWay, forbidding
from harness.order.statuses import MISPLACED
from harness.order.terms import outlook
from harness.order.ways import Assigned
from harness.scenario.rules import RULES

__all__ = ["forbidden_sentence", "not_found_sentence", "rule_sentence", "unclaimed_sentence"]


def not_found_sentence(
    head: Head, after: Assigned | None, stop: Event | None, near: NearMiss | None, *, kind_came: bool
) -> str:
    """For an order that waits for something in vain.

    :param after: the event found last that it must come after.
    :param stop: the event that ended the way which waits for it.
    :param near: the event that comes nearest to something that was waited for.
    :param kind_came: an event of its kind is in the trace; where nothing is near it, all of them stand for
        other lines or earlier rounds.
    """
    words, line = describe(head.pattern), head.pattern.source.line
    if after is None:
        must = f"{words} must come, because line {line} asks for it"
    else:
        before = after.pattern.source.line
        follows = "follows" if line > before else "comes again after"
        must = (
            f"{words} must come after event {after.index}, because line {line} {follows} line {before}, which"
            " that event stands for"
        )
    return f"{must}; but {_instead(head, stop, near, kind_came)}"


def _instead(head: Head, stop: Event | None, near: NearMiss | None, kind_came: bool) -> str:
    """What was there in place of what was waited for."""
    misplaced = near is not None and all(wrong.field in MISPLACED for wrong in near.wrong)
    if near is not None and misplaced and near.line == head.pattern.source.line:
        wrong = near.wrong[0]
        came = f"event {near.event.index}, which fits, came {wrong.found}"
        if wrong.field == "its time":
            return f"{came}, where {wrong.expected} is allowed"
        return came if stop is None else f"{came}, and {_stopped(stop, head.way)}"
    if stop is not None:
        return _stopped(stop, head.way)
    if near is None:
        return "no further event of that kind came" if kind_came else "no event of that kind came at all"
    said = ", ".join(f"{wrong.field} {wrong.found}, not {wrong.expected}" for wrong in near.wrong)
    return f"no event fits: the nearest, event {near.event.index}, has {said}"


def _stopped(stop: Event, way: OpenWay) -> str:
    return f"event {stop.index} may not come before it: {_why(stop, way)}"


def _why(stop: Event, way: OpenWay) -> str:
    pattern = forbidding(way.term, stop, way.bindings)
    if pattern is not None:
        return f"line {pattern.source.line} forbids {describe(pattern)}"
    return (
        "it is not what 'next' asks for"
        if outlook(way.term).strict
        else "'only' forbids what the order does not ask for"
    )


def forbidden_sentence(forbidden: Assigned, everywhere: bool) -> str:
    """For an event that a ``never`` forbids.

    :param everywhere: from the first event of the trace to the last, and not at one place of an order.
    """
    pattern: CompiledPattern = forbidden.pattern
    where = "anywhere" if everywhere else "after the order"
    return (
        f"{describe(pattern)} must not come {where}, because line {pattern.source.line} forbids it; but event"
        f" {forbidden.index} is one"
    )


def unclaimed_sentence(line: int, index: int, kind: str) -> str:
    """For an event that stands for nothing in an order with ``only``."""
    return (
        f"every event in scope must stand for something in the order, because line {line} says 'only'; but"
        f" event {index} ({kind}) stands for nothing"
    )


def rule_sentence(violation: Violation, earlier: int | None) -> str:
    """For a lifecycle rule."""
    rule = RULES[violation.rule].sentence.rstrip(".")
    since = "" if earlier is None else f", against event {earlier}"
    return f"{rule}; but {violation.message} (event {violation.index}{since})"
