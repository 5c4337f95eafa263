"""Many runs one after the other: every scenario, as often as asked, with one seed after the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import UsageError
from harness.outcome import Outcome, worst
from harness.runs.result import RunResult
from harness.runs.rig import KeptTraces, Rig
from harness.runs.runner import RunInterrupted, run_scenario, seed_of
from harness.scenario import Scenario
from harness.trace.loss import LossReport

__all__ = ["Series", "run_series", "without_findings"]


@dataclass(frozen=True)
class Series:
    """The results of several runs."""

    results: tuple[RunResult, ...]
    """Of the runs that came to their end."""
    interrupted: RunResult | None = None
    """What there is of the run that Ctrl-C ended."""
    refused: UsageError | None = None
    """What is wrong with the input, where only a run could find it out; that run was the last."""

    @property
    def outcome(self) -> Outcome:
        """The one outcome that stands for all."""
        refused = () if self.refused is None else (Outcome.of(self.refused),)
        return worst((*(result.outcome for result in self.results), *refused))


def run_series(
    rig: Rig,
    scenarios: Sequence[Scenario],
    *,
    seed: int | None = None,
    repeat: int = 1,
    fail_fast: bool = False,
) -> Series:
    """Run everything ``repeat`` times, with seed, seed+1, ...

    Ctrl-C ends it and is in the result; so is wrong input that only a run finds out.

    :param seed: of the first repetition; None for each scenario's own.
    :param fail_fast: stop after the first run that does not pass.
    """
    results: list[RunResult] = []
    try:
        for repetition, scenario in itertools.product(range(repeat), scenarios):
            result = run_scenario(rig, scenario, seed=seed_of(scenario, seed) + repetition)
            results.append(without_findings(result) if rig.keep_traces is KeptTraces.FAILED else result)
            if fail_fast and results[-1].outcome.failed:
                break
    except RunInterrupted as error:
        return Series(tuple(results), interrupted=error.result)
    except UsageError as error:
        return Series(tuple(results), refused=error)
    return Series(tuple(results))


def without_findings(result: RunResult) -> RunResult:
    """The result; of one that passed without what was found in its trace, so that many can be held."""
    if result.outcome.failed:
        return result
    return replace(result, verdict=replace(result.verdict, check=None, counts={}, loss=LossReport()))
