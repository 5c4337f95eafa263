"""Which runs a page shows with their timelines, which as rows alone, and in words what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from harness.verdict.causes import cause_of
from harness.verdict.judgedrun import JudgedRun

__all__ = ["MAX_EVENTS", "MAX_ROWS", "MAX_TIMELINES", "Chosen", "choose"]

MAX_TIMELINES: Final = 100
"""Runs that are shown with their timeline."""
MAX_ROWS: Final = 1_000
"""Runs that have a row."""
MAX_EVENTS: Final = 400_000
"""Events of all timelines of a page; a run of which not all have room is shown around what broke."""


@dataclass(frozen=True)
class Chosen:
    """What of many runs a page shows; runs are named by their places among all."""

    timelines: tuple[int, ...]
    """In the order in which the page has them."""
    rows: frozenset[int]
    """All that are listed."""
    left_out: tuple[str, ...]
    """What was left out, a sentence each."""


def choose(runs: Sequence[JudgedRun]) -> Chosen:
    """The first of each cause, of each scenario the first that passed, and what else failed.

    So none of them is missing where many failed for one cause. On the page what failed stands first.
    """
    causes: dict[object, int] = {}
    passing: dict[object, int] = {}
    for place, run in enumerate(runs):
        if run.outcome.failed:
            causes.setdefault(cause_of(run), place)
        else:
            passing.setdefault((str(run.path), run.scenario, run.outcome), place)
    failed = [place for place, run in enumerate(runs) if run.outcome.failed]
    ranked = list(dict.fromkeys([*causes.values(), *passing.values(), *failed]))
    timelines = sorted(ranked[:MAX_TIMELINES], key=lambda place: (not runs[place].outcome.failed, place))
    rows = frozenset(list(dict.fromkeys([*timelines, *failed, *range(len(runs))]))[:MAX_ROWS])
    return Chosen(tuple(timelines), rows, tuple(_left_out(runs, timelines, rows)))


def _left_out(runs: Sequence[JudgedRun], timelines: Sequence[int], rows: frozenset[int]) -> Iterator[str]:
    failed = sum(run.outcome.failed for run in runs)
    without = failed - sum(runs[place].outcome.failed for place in timelines)
    passing = len(runs) - failed - (len(timelines) - (failed - without))
    if without:
        yield (
            f"{without} of {failed} runs that failed have no timeline here: {MAX_TIMELINES} runs have one at"
            " most, the first of each cause before others."
        )
    if passing:
        yield f"{passing} runs that did not fail have no timeline here: the first of each scenario has one."
    if len(rows) < len(runs):
        yield f"{len(runs) - len(rows)} of {len(runs)} runs are counted in the table and not listed in it."
