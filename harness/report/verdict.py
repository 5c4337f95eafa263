"""A verdict as text, and as values that JSON has (``docs/json.md``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from harness.events import Event, RuleBroken
from harness.order import CheckResult
from harness.report.agreement import agreement_as_json
from harness.report.explanation import broken_rules_text, explanation_text
from harness.report.explanation_json import explanation_as_json
from harness.verdict.judge import Verdict

__all__ = ["broken_rules_as_json", "promises_as_json", "verdict_as_json", "verdict_text"]


def verdict_text(verdict: Verdict) -> str:
    """Why it did not pass, at length: the reason, the explanation, what is to be told besides.

    The text holds what the target printed: hand it to :func:`harness.report.text.printable` before it is
    shown.
    """
    explained = (
        "" if verdict.check is None or verdict.check.passed else explanation_text(verdict.check, verdict.line)
    )
    broken = broken_rules_text(verdict.broken_rules, verdict.line)
    lines = (verdict.line, explained, broken, *verdict.not_judged_lines, *verdict.notes)
    return "\n".join(line for line in lines if line)


def verdict_as_json(verdict: Verdict) -> dict[str, object]:
    """The verdict; what the target did and what was counted, as values."""
    return {
        "outcome": verdict.outcome.words,
        "exit_code": int(verdict.outcome),
        "reason": verdict.reason,
        "hint": verdict.hint,
        "partial": verdict.partial or None,
        "witness": verdict.witness,
        "agreement": agreement_as_json(verdict.agreement),
        "events": verdict.events,
        "counts": dict(verdict.counts),
        "loss": msgspec.to_builtins(verdict.loss),
        "boots": verdict.boots,
        "stops": verdict.stops,
        "unhandled": _event(verdict.unhandled),
        "bugcheck": _event(verdict.bugcheck),
        "observed": verdict.observed or None,
        "broken_rules": broken_rules_as_json(verdict.broken_rules),
        "notes": list(verdict.notes),
        "promises": promises_as_json(verdict.held, verdict.not_judged, verdict.not_judged_lines),
        "check": None if verdict.check is None else _check(verdict.check, verdict.line),
    }


def promises_as_json(held: int, not_judged: int, why: Sequence[str]) -> dict[str, object]:
    """How many promises held, how many could not be judged, and why."""
    return {"held": held, "not_judged": not_judged, "why": list(why)}


def broken_rules_as_json(broken: Iterable[RuleBroken]) -> list[dict[str, object]]:
    """The standing rules that drivers broke."""
    return [{"rule": one.rule, "driver": one.module, "message": one.message} for one in broken]


def _event(event: Event | None) -> object:
    return None if event is None else msgspec.to_builtins(event)


def _check(result: CheckResult, told: str) -> dict[str, object]:
    return {
        "passed": result.passed,
        "failures": [
            {
                "reason": failure.reason,
                "rule": None if failure.violation is None else failure.violation.rule,
                "file": None if failure.place is None else failure.place.path,
                "line": None if failure.place is None else failure.place.line,
                "bindings": dict(failure.explanation.bindings),
                "events": [
                    {"index": row.event.index, "mark": None if row.mark is None else row.mark.value}
                    for row in failure.explanation.around
                ],
                "why": explanation_as_json(failure.explanation),
            }
            for failure in result.failures
        ],
        "unjudged": [{"reason": said.reason, "hint": said.hint} for said in result.unjudged],
        "unobserved": [
            {"what": said.what, "why": said.why, "line": said.line, "promises": said.promises}
            for said in result.unobserved
        ],
        "witnesses": [
            {
                "line": witness.expectation.line,
                "bindings": dict(witness.bindings),
                "matches": [{"line": match.pattern.line, "event": match.index} for match in witness.matches],
            }
            for witness in result.witnesses
        ],
        "explanation": explanation_text(result, told),
    }
