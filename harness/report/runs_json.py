"""The results of runs as values that JSON has; ``docs/json.md`` has the shape."""

from __future__ import annotations

from harness.debuggers.base import Release
from harness.report.agreement import agreement_as_json
from harness.report.explanation import explanation_text
from harness.report.verdict import broken_rules_as_json, promises_as_json
from harness.runs.result import RunResult

__all__ = ["release_as_json", "result_as_json"]


def result_as_json(result: RunResult) -> dict[str, object]:
    """One run."""
    return {
        "scenario": result.scenario,
        "file": result.path,
        "seed": result.seed,
        "outcome": result.outcome.words,
        "exit_code": int(result.outcome),
        "reason": result.reason,
        "explanation": "" if result.check is None else explanation_text(result.check, result.reason),
        "retries": result.retries,
        "notes": list(result.notes),
        "promises": promises_as_json(result.held, result.not_judged, result.not_judged_lines),
        "witness": result.witness,
        "observed": result.observed or None,
        "broken_rules": broken_rules_as_json(result.broken_rules),
        "agreement": agreement_as_json(result.agreement),
        "events": result.events,
        "seconds": round(result.seconds, 3),
        "trace": result.trace,
        "release": None if result.release is None else release_as_json(result.release),
    }


def release_as_json(release: Release) -> dict[str, object]:
    """How a target was left."""
    return {"running": release.running, "crashed": release.crashed, "proof": release.proof}
