"""Runs in batches: what whoever does a part of them elsewhere needs, and what comes back.

A run's seed alone decides what happens in it, so neither where a run is done nor with which others changes a
result; results are told in the order in which one process alone would have made them.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from harness.debuggers import debugger_factory
from harness.errors import UsageError
from harness.events import WitnessName
from harness.lines import Grammar
from harness.machines import Machine
from harness.outcome import Outcome
from harness.printmasks import PrintMasks
from harness.runs.progress import RunFinished
from harness.runs.result import RunResult
from harness.runs.rig import GuestFiles, KeptTraces, Rig
from harness.runs.runner import RunInterrupted, run_scenario, seed_of
from harness.runs.series import Series, without_findings
from harness.runs.steps import GuestDriver
from harness.runs.trace_folder import TraceFolder
from harness.runs.watch import Watch
from harness.scenario import Scenario
from harness.verdict.judge import Verdict

__all__ = ["Batch", "BatchLost", "Setting", "Task", "batches_of", "do_batch", "gather", "tasks_of"]


class Task(NamedTuple):
    """One run."""

    scenario: int
    """Its number in the setting's scenarios."""
    seed: int


class Batch(NamedTuple):
    """What became of some tasks: of all of them, or of those before the one that ended it."""

    results: list[RunResult]
    refused: UsageError | None = None


class BatchLost(Exception):
    """Whoever did a batch has ended without a word; the text says what is known."""


@dataclass(frozen=True)
class Setting:
    """What somebody else needs to do a part of the runs."""

    machine: str
    """A name or a machine file, see :func:`harness.machines.open_machine`."""
    debugger: str | None
    """A name from :data:`harness.debuggers.DEBUGGERS`; None: nobody listens."""
    driver: GuestDriver
    other_drivers: tuple[GuestDriver, ...]
    files: GuestFiles
    watch: Watch
    policy: str | None
    processors: int | None
    print_masks: PrintMasks
    lines: Grammar | None
    keep_traces: KeptTraces
    retries: int
    kdfiles: bool
    strict: bool
    witness: WitnessName | None
    scenarios: tuple[Scenario, ...]

    @classmethod
    def of(cls, rig: Rig, scenarios: Sequence[Scenario], machine: str, debugger: str | None) -> Setting:
        """The setting of ``rig``, which :func:`~harness.runs.opening.open_rig` made of these names."""
        return cls(
            machine=machine,
            debugger=debugger,
            driver=rig.driver,
            other_drivers=rig.other_drivers,
            files=rig.files,
            watch=rig.watch,
            policy=rig.policy,
            processors=rig.processors,
            print_masks=rig.print_masks,
            lines=rig.lines,
            keep_traces=rig.keep_traces,
            retries=rig.retries,
            kdfiles=rig.kdfiles,
            strict=rig.strict,
            witness=rig.witness,
            scenarios=tuple(scenarios),
        )

    def rig(self, machine: Machine, folder: Path, interrupted: Callable[[], bool] = lambda: False) -> Rig:
        """The rig again, on ``machine``.

        :param folder: for the traces, until they are taken from there.
        """
        return Rig(
            machine=machine,
            open_debugger=None if self.debugger is None else debugger_factory(self.debugger),
            driver=self.driver,
            files=self.files,
            traces=TraceFolder(folder, now=lambda: datetime.now(UTC), token=lambda: "000000"),
            watch=self.watch,
            other_drivers=self.other_drivers,
            policy=self.policy,
            processors=self.processors,
            print_masks=self.print_masks,
            lines=self.lines,
            keep_traces=self.keep_traces,
            retries=self.retries,
            kdfiles=self.kdfiles,
            strict=self.strict,
            witness=self.witness,
            interrupted=interrupted,
        )


def tasks_of(scenarios: Sequence[Scenario], seed: int | None, repeat: int) -> list[Task]:
    """Every scenario ``repeat`` times, as :func:`~harness.runs.series.run_series` does them."""
    return [
        Task(index, seed_of(scenario, seed) + repetition)
        for repetition, (index, scenario) in itertools.product(range(repeat), enumerate(scenarios))
    ]


def batches_of(tasks: Sequence[Task], size: int) -> list[Sequence[Task]]:
    """The tasks in their order, ``size`` at a time."""
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def do_batch(rig: Rig, scenarios: Sequence[Scenario], tasks: Sequence[Task]) -> Batch:
    """Do them, one after the other."""
    results: list[RunResult] = []
    with suppress(RunInterrupted):
        for scenario, seed in tasks:
            try:
                result = run_scenario(rig, scenarios[scenario], seed=seed)
            except UsageError as error:
                return Batch(results, error)
            results.append(without_findings(result))
    return Batch(results)


def gather(
    rig: Rig,
    scenarios: Sequence[Scenario],
    tasks: Sequence[Task],
    batches: Iterator[Batch],
    *,
    fail_fast: bool,
) -> Series:
    """What became of all tasks.

    Subscribers are told of each run when its batch has come back, and of nothing else.

    :param batches: in the order of the tasks; may raise :class:`BatchLost`, which ends it and is in the
        result, as Ctrl-C is.
    """
    results: list[RunResult] = []
    try:
        for batch in batches:
            for result in batch.results:
                results.append(_adopted(rig, result))
                rig.emit(RunFinished(results[-1]))
                if fail_fast and result.outcome.failed:
                    return Series(tuple(results))
            if batch.refused is not None:
                rig.traces.note(Outcome.USAGE)
                return Series(tuple(results), refused=batch.refused)
    except KeyboardInterrupt:
        reason = f"interrupted after {len(results)} of {len(tasks)} runs"
        return Series(tuple(results), interrupted=_undone(scenarios, tasks[len(results)], reason))
    except BatchLost as error:
        lost = _undone(scenarios, tasks[len(results)], str(error))
        rig.traces.note(lost.outcome)
        rig.emit(RunFinished(lost))
        return Series((*results, lost))
    return Series(tuple(results))


def _undone(scenarios: Sequence[Scenario], task: Task, reason: str) -> RunResult:
    scenario = scenarios[task.scenario]
    return RunResult(scenario.name, scenario.path, task.seed, Verdict(Outcome.RIG, reason))


def _adopted(rig: Rig, result: RunResult) -> RunResult:
    """The result, its trace put where this call's traces are."""
    rig.traces.note(result.outcome)
    if result.trace is None:
        return result
    path = rig.traces.new_trace(result.path, result.seed)
    shutil.move(result.trace, path)
    return replace(result, trace=path)
