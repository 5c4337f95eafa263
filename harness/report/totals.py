"""Runs counted: a row a scenario, and the totals in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.outcome import Outcome, worst
from harness.runs.result import RunResult

__all__ = ["ScenarioRow", "scenario_rows", "totals_words"]


@dataclass(frozen=True)
class ScenarioRow:
    """The runs of one scenario, counted."""

    scenario: str
    outcome: Outcome
    """The one that stands for all its runs."""
    runs: int
    passed: int
    held: str
    """Promises that are proved: ``12``, or ``3-12`` where runs differ."""
    not_judged: str
    """Likewise those that could not be judged."""
    seconds: float
    """Host time of all runs together."""
    events: int
    """Of all runs together."""


def scenario_rows(results: Iterable[RunResult]) -> list[ScenarioRow]:
    """A row a scenario, in the order in which they ran first."""
    by_scenario: dict[tuple[str, str], list[RunResult]] = {}
    for result in results:
        by_scenario.setdefault((str(result.path), result.scenario), []).append(result)
    return [
        ScenarioRow(
            scenario,
            worst(run.outcome for run in runs),
            len(runs),
            sum(run.outcome is Outcome.PASSED for run in runs),
            _range(run.held for run in runs),
            _range(run.not_judged for run in runs),
            sum(run.seconds for run in runs),
            sum(run.events for run in runs),
        )
        for (_, scenario), runs in by_scenario.items()
    ]


def totals_words(results: Sequence[RunResult]) -> str:
    """``10 passed, 1 broken promise in 2.92 s``"""
    parts = []
    for kind in Outcome:
        if count := sum(result.outcome is kind for result in results):
            parts.append(f"{count} {kind.words}")
    if retried := sum(result.retries > 0 for result in results):
        parts.append(f"{retried} begun anew")
    seconds = sum(result.seconds for result in results)
    return f"{', '.join(parts) or 'nothing ran'} in {seconds:.2f} s"


def _range(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return str(found[0]) if len(found) == 1 else f"{found[0]}-{found[-1]}"
