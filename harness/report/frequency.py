"""How often a cause came: in how many runs, with which seeds, and when it did not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.runs.result import RunResult
from harness.runs.trace_folder import passed_before
from harness.verdict.causes import by_cause

__all__ = ["Frequency", "causes_and_frequencies", "frequencies", "frequency_of", "frequency_words"]

_SEEDS = 8
"""Seeds named at most."""


@dataclass(frozen=True)
class Frequency:
    """In how many runs of its scenarios a cause came."""

    failed: int
    """Runs that it came in."""
    runs: int
    """Runs of the scenarios that it came in, with whatever result."""
    seeds: tuple[int, ...]
    """Of the runs that it came in, in their order, each once."""
    last_good: Path | None
    """The trace of the newest run of the first scenario, with the first seed, of an earlier call in which
    everything passed; None: the trace folder has none."""


def frequency_of(alike: Sequence[RunResult], results: Iterable[RunResult]) -> Frequency:
    """How often a cause came.

    :param alike: the runs that it came in, at least one.
    :param results: all runs of the call.
    """
    scenarios = {(result.path, result.scenario) for result in alike}
    runs = sum((result.path, result.scenario) in scenarios for result in results)
    first = alike[0]
    seeds = tuple(dict.fromkeys(result.seed for result in alike))
    good = None if first.trace is None else passed_before(first.trace, first.scenario, first.seed)
    return Frequency(len(alike), runs, seeds, good)


def frequency_words(found: Frequency) -> str:
    """In one line; empty where there was one run, and none before it to compare it with."""
    parts: list[str] = []
    if found.runs > 1:
        named = ", ".join(map(str, found.seeds[:_SEEDS]))
        more = f" and {len(found.seeds) - _SEEDS} more" if len(found.seeds) > _SEEDS else ""
        seeds = f"seed{'s' * (len(found.seeds) > 1)} {named}{more}"
        parts.append(f"how often: {found.failed} of {found.runs} runs ({seeds})")
    if found.last_good is not None:
        parts.append(f"it passed last in {found.last_good}")
    return "; ".join(parts)


def causes_and_frequencies(results: Sequence[RunResult]) -> list[tuple[list[RunResult], str]]:
    """The runs that failed, those of one cause together, and how often it came, in a line."""
    return [(alike, frequency_words(frequency_of(alike, results))) for alike in by_cause(results)]


def frequencies(results: Sequence[RunResult]) -> list[str]:
    """How often the cause of each run came; empty for those that did not fail."""
    words = {id(run): often for alike, often in causes_and_frequencies(results) for run in alike}
    return [words.get(id(result), "") for result in results]
