"""Many runs on several processor cores: each in a process of its own, with a target of its own, without a
debugger.

A run's seed alone decides what happens in it, so neither the number of processes nor which of them does a run
changes a result; results come in the order in which one process alone would have made them.
"""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import shutil
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing.connection import wait
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from harness.errors import UsageError
from harness.events import WitnessName
from harness.lines import Grammar
from harness.machines import open_machine
from harness.outcome import Outcome
from harness.printmasks import PrintMasks
from harness.runs.progress import RunFinished
from harness.runs.result import RunResult
from harness.runs.rig import GuestFiles, KeptTraces, Rig
from harness.runs.runner import RunInterrupted, run_scenario, seed_of
from harness.runs.series import Series, without_witnesses
from harness.runs.steps import GuestDriver
from harness.runs.trace_folder import TraceFolder
from harness.runs.watch import Watch
from harness.scenario import Scenario

__all__ = ["run_parallel"]

BATCH: Final = 8
"""Runs that a process is given at a time: some 0.1 s of work."""
AHEAD: Final = 3
"""Batches of each process that are given out before the first of them has come back."""


class _Task(NamedTuple):
    scenario: int
    seed: int


class _Batch(NamedTuple):
    """What became of some tasks: of all of them, or of those before the one that ended it."""

    results: list[RunResult]
    refused: UsageError | None = None


@dataclass(frozen=True)
class _Setting:
    """What a process needs to do a part of the runs."""

    machine: str
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
    strict: bool
    witness: WitnessName | None
    scenarios: tuple[Scenario, ...]
    folder: Path
    """For the traces, until they are taken from there."""


def run_parallel(
    rig: Rig,
    scenarios: Sequence[Scenario],
    *,
    jobs: int,
    seed: int | None = None,
    repeat: int = 1,
    fail_fast: bool = False,
) -> Series:
    """:func:`~harness.runs.series.run_series` in ``jobs`` processes.

    Subscribers are told of each run when it has ended, and of nothing else.

    :param rig: without a debugger.
    """
    tasks = [
        _Task(index, seed_of(scenario, seed) + repetition)
        for repetition, (index, scenario) in itertools.product(range(repeat), enumerate(scenarios))
    ]
    results: list[RunResult] = []
    with TemporaryDirectory(prefix="procnotify-") as folder:
        setting = _Setting(
            rig.machine.name,
            rig.driver,
            rig.other_drivers,
            rig.files,
            rig.watch,
            rig.policy,
            rig.processors,
            rig.print_masks,
            rig.lines,
            rig.keep_traces,
            rig.retries,
            rig.strict,
            rig.witness,
            tuple(scenarios),
            Path(folder),
        )
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        pool = ProcessPoolExecutor(
            min(jobs, len(tasks)), mp_context=context, initializer=_begin, initargs=(setting, stop)
        )
        try:
            for batch in _batches(pool, tasks, jobs):
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
        except BrokenProcessPool:
            reason = (
                "a process that did this run or one of the next ended without a word; run them with --jobs 1"
            )
            lost = _undone(scenarios, tasks[len(results)], reason)
            rig.traces.note(lost.outcome)
            rig.emit(RunFinished(lost))
            return Series((*results, lost))
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return Series(tuple(results))


def _batches(pool: ProcessPoolExecutor, tasks: Sequence[_Task], jobs: int) -> Iterator[_Batch]:
    """What became of all tasks, in their order."""
    waiting = iter([tasks[start : start + BATCH] for start in range(0, len(tasks), BATCH)])
    given: deque[Future[_Batch]] = deque()
    given.extend(pool.submit(_do, batch) for batch in itertools.islice(waiting, AHEAD * jobs))
    while given:
        yield given.popleft().result()
        given.extend(pool.submit(_do, batch) for batch in itertools.islice(waiting, 1))


def _undone(scenarios: Sequence[Scenario], task: _Task, reason: str) -> RunResult:
    scenario = scenarios[task.scenario]
    return RunResult(scenario.name, scenario.path, task.seed, Outcome.RIG, reason)


def _adopted(rig: Rig, result: RunResult) -> RunResult:
    """The result, its trace put where this call's traces are."""
    rig.traces.note(result.outcome)
    if result.trace is None:
        return result
    path = rig.traces.new_trace(result.path, result.seed)
    shutil.move(result.trace, path)
    return replace(result, trace=path)


# In the processes


_rig: Rig
_scenarios: tuple[Scenario, ...]


def _begin(setting: _Setting, stop: Event) -> None:
    """Set a process up."""
    global _rig, _scenarios
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and says so by ``stop``
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _scenarios = setting.scenarios
    _rig = Rig(
        machine=open_machine(setting.machine),
        open_debugger=None,
        driver=setting.driver,
        files=setting.files,
        traces=TraceFolder(
            setting.folder / str(os.getpid()), now=lambda: datetime.now(UTC), token=lambda: "000000"
        ),
        watch=setting.watch,
        other_drivers=setting.other_drivers,
        policy=setting.policy,
        processors=setting.processors,
        print_masks=setting.print_masks,
        lines=setting.lines,
        keep_traces=setting.keep_traces,
        retries=setting.retries,
        strict=setting.strict,
        witness=setting.witness,
        interrupted=stop.is_set,
    )
    gc.freeze()  # what was imported stays: it need not be looked through again and again


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(int(Outcome.RIG))


def _do(tasks: Sequence[_Task]) -> _Batch:
    results: list[RunResult] = []
    with suppress(RunInterrupted):
        for scenario, seed in tasks:
            try:
                result = run_scenario(_rig, _scenarios[scenario], seed=seed)
            except UsageError as error:
                return _Batch(results, error)
            results.append(without_witnesses(result))
    return _Batch(results)
