"""Processes that do runs, each with a rig and a target of its own, without a debugger.

What a process is asked to do is a function of a module, called with the process's rig and scenarios; answers
come in the order of the questions, whichever process gave them.
"""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.connection import wait
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, TypeVar

from harness.machines import open_machine
from harness.outcome import Outcome
from harness.runs.batches import Setting
from harness.runs.rig import Rig
from harness.scenario import Scenario

__all__ = ["Workers"]

AHEAD: Final = 3
"""Questions of each process that are given out before the first of them has been answered."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Workers:
    """Processes; a context manager, after which they are gone.

    :param rig: without a debugger.
    :param jobs: how many there are.
    """

    def __init__(self, rig: Rig, scenarios: Sequence[Scenario], *, jobs: int) -> None:
        self._jobs = jobs
        self._folder = TemporaryDirectory(prefix="procnotify-")  # for traces, until they are taken from there
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._pool = ProcessPoolExecutor(
            jobs,
            mp_context=context,
            initializer=_begin,
            initargs=(
                Setting.of(rig, scenarios, rig.machine.name, None),
                Path(self._folder.name),
                self._stop,
            ),
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._folder.cleanup()

    def map(
        self,
        work: Callable[[Rig, Sequence[Scenario], Question], Answer],
        questions: Iterable[Question],
    ) -> Iterator[Answer]:
        """The answers to all questions, in their order; what a question raises is raised here.

        :raises BrokenProcessPool: a process ended without a word.
        """
        waiting = iter(questions)
        given: deque[Future[Answer]] = deque()
        given.extend(
            self._pool.submit(_do, work, one) for one in itertools.islice(waiting, AHEAD * self._jobs)
        )
        while given:
            yield given.popleft().result()
            given.extend(self._pool.submit(_do, work, one) for one in itertools.islice(waiting, 1))


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


def _do(work: Callable[[Rig, Sequence[Scenario], Question], Answer], question: Question) -> Answer:
    return work(_rig, _scenarios, question)
