"""Many runs on several processor cores: each in a process of its own, with a target of its own, without a
debugger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Final

from harness.runs.batches import Batch, BatchLost, Task, batches_of, do_batch, gather, tasks_of
from harness.runs.rig import Rig
from harness.runs.series import Series
from harness.runs.workers import Workers
from harness.scenario import Scenario

__all__ = ["run_parallel"]

BATCH: Final = 8
"""Runs that a process is given at a time: some 0.1 s of work."""


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
    tasks = tasks_of(scenarios, seed, repeat)
    with Workers(rig, scenarios, jobs=min(jobs, len(tasks))) as workers:
        return gather(rig, scenarios, tasks, _batches(workers, tasks), fail_fast=fail_fast)


def _batches(workers: Workers, tasks: Sequence[Task]) -> Iterator[Batch]:
    """What became of all tasks, in their order."""
    try:
        yield from workers.map(do_batch, batches_of(tasks, BATCH))
    except BrokenProcessPool:
        raise BatchLost(
            "a process that did this run or one of the next ended without a word; run them with --jobs 1"
        ) from None
