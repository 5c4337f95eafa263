"""Many runs on several processor cores: each in a process of its own, with a target of its own, without a
debugger."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from harness.machines import open_machine
from harness.outcome import Outcome
from harness.runs.batches import Batch, BatchLost, Setting, Task, batches_of, do_batch, gather, tasks_of
from harness.runs.rig import Rig
from harness.runs.series import Series
from harness.scenario import Scenario

__all__ = ["run_parallel"]

BATCH: Final = 8
"""Runs that a process is given at a time: some 0.1 s of work."""
AHEAD: Final = 3
"""Batches of each process that are given out before the first of them has come back."""


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
    setting = Setting.of(rig, scenarios, rig.machine.name, None)
    with TemporaryDirectory(prefix="procnotify-") as folder:
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        pool = ProcessPoolExecutor(
            min(jobs, len(tasks)),
            mp_context=context,
            initializer=_begin,
            initargs=(setting, Path(folder), stop),
        )
        try:
            return gather(rig, scenarios, tasks, _batches(pool, tasks, jobs), fail_fast=fail_fast)
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _batches(pool: ProcessPoolExecutor, tasks: Sequence[Task], jobs: int) -> Iterator[Batch]:
    """What became of all tasks, in their order."""
    waiting = iter(batches_of(tasks, BATCH))
    given: deque[Future[Batch]] = deque()
    try:
        given.extend(pool.submit(_do, batch) for batch in itertools.islice(waiting, AHEAD * jobs))
        while given:
            yield given.popleft().result()
            given.extend(pool.submit(_do, batch) for batch in itertools.islice(waiting, 1))
    except BrokenProcessPool:
        raise BatchLost(
            "a process that did this run or one of the next ended without a word; run them with --jobs 1"
        ) from None


# In the processes


_rig: Rig
_scenarios: tuple[Scenario, ...]


def _begin(setting: Setting, folder: Path, stop: Event) -> None:
    """Set a process up."""
    global _rig, _scenarios
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and says so by ``stop``
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _scenarios = setting.scenarios
    _rig = setting.rig(open_machine(setting.machine), folder / str(os.getpid()), stop.is_set)
    gc.freeze()  # what was imported stays: it need not be looked through again and again


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(int(Outcome.RIG))


def _do(tasks: Sequence[Task]) -> Batch:
    return do_batch(_rig, _scenarios, tasks)
