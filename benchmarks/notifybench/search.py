"""How many schedules a policy needs until a bug shows, and how many a mended twin survives."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final, NamedTuple

from benchmarks.notifybench.bugs import BUGS, said
from benchmarks.notifybench.drivers import HERE
from harness.errors import RigError
from harness.outcome import Outcome
from harness.runs.opening import NO_DEBUGGER, open_rig
from harness.runs.result import RunResult
from harness.runs.rig import KeptTraces, Rig
from harness.runs.runner import run_scenario
from harness.scenario import Scenario, load

__all__ = ["Cell", "Found", "Survived", "find", "in_processes", "survive"]

FIRST_SEED: Final = 1


class Cell(NamedTuple):
    """One driver under one policy."""

    bug: str
    policy: str
    driver: Path
    schedules: int
    """To try at most."""
    seconds: float
    """To go on for at most; whatever runs then comes to its end."""


class Found(NamedTuple):
    """What came of looking for a bug."""

    cell: Cell
    seed: int | None
    """Of the schedule in which it showed; None: in none."""
    schedules: int
    seconds: float
    other: str = ""
    """What else was wrong with the driver, which ended the search."""


class Survived(NamedTuple):
    """What came of a mended twin."""

    cell: Cell
    schedules: int
    """That passed."""
    seconds: float
    alarm: str = ""
    """What was said in the one behind those; empty: nothing was."""
    seed: int | None = None
    """Of that one."""


def find(cell: Cell) -> Found:
    """Run one seed after the other until the bug shows."""
    bug, begun = BUGS[cell.bug], perf_counter()
    with _rig(cell) as (rig, scenario):
        for number in range(cell.schedules):
            result = _run(rig, scenario, number)
            seconds = perf_counter() - begun
            if bug.shows_in(result):
                return Found(cell, result.seed, number + 1, seconds)
            if result.outcome.failed:
                return Found(cell, None, number + 1, seconds, f"seed {result.seed}: {said(result)}")
            if seconds >= cell.seconds:
                return Found(cell, None, number + 1, seconds)
    return Found(cell, None, cell.schedules, perf_counter() - begun)


def survive(cell: Cell) -> Survived:
    """Run one seed after the other until something is said of the driver."""
    begun = perf_counter()
    with _rig(cell) as (rig, scenario):
        for number in range(cell.schedules):
            result = _run(rig, scenario, number)
            seconds = perf_counter() - begun
            if result.outcome.failed:
                return Survived(cell, number, seconds, said(result), result.seed)
            if seconds >= cell.seconds:
                return Survived(cell, number + 1, seconds)
    return Survived(cell, cell.schedules, perf_counter() - begun)


def _run(rig: Rig, scenario: Scenario, number: int) -> RunResult:
    result = run_scenario(rig, scenario, seed=FIRST_SEED + number)
    if result.outcome is Outcome.RIG:
        raise RigError(result.reason)
    return result


def in_processes(
    work: Callable[[Cell], Found | Survived], cells: Sequence[Cell], jobs: int
) -> Iterator[Found | Survived]:
    """Do each cell in one of ``jobs`` processes; what came of each, as it comes."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(cells)), mp_context=context, initializer=_leave_ctrl_c)
    try:
        for future in as_completed([pool.submit(work, cell) for cell in cells]):
            yield future.result()
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_ctrl_c() -> None:
    """It is for the process that gave out the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _rig(cell: Cell) -> Iterator[tuple[Rig, Scenario]]:
    scenario = load(HERE / cell.bug / "scenario.yaml")
    with (
        TemporaryDirectory(prefix="procnotify-") as folder,
        open_rig(
            machine="virtual",
            debugger=NO_DEBUGGER,
            driver=cell.driver,
            trace_folder=Path(folder),
            keep_traces=KeptTraces.FAILED,
        ) as rig,
    ):
        yield replace(rig, policy=cell.policy), scenario
