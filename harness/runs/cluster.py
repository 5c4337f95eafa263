"""Many runs on many machines: a Dask cluster's workers do them, each with one machine at a time.

A worker says that it has a machine by the resource :data:`RESOURCE`; a batch takes one, so that no two runs
share a machine. What a worker that was lost had under way is done by another one.

Dask's wire carries pickled Python both ways: whoever reaches the scheduler can run code on all of them.
"""

from __future__ import annotations

import itertools
import logging
import pickle
import queue
import secrets
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

from harness.errors import ProcnotifyError, RigError, UsageError
from harness.machines import alone_on_machine, open_machine
from harness.runs.batches import Batch, BatchLost, Setting, Task, batches_of, do_batch, gather, tasks_of
from harness.runs.rig import Rig
from harness.runs.series import Series
from harness.scenario import Scenario
from harness.waiting import wait_in_slices

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["RESOURCE", "ClusterError", "ClusterWorkers", "cluster_workers", "run_cluster"]

RESOURCE: Final = "machine"
"""Dask's name of what a batch needs one of: ``dask worker ADDRESS --nthreads 1 --resources machine=1``."""
BATCH: Final = 32
"""Runs without a debugger that a worker is given at a time: a second of work. With a debugger it is one."""
AHEAD: Final = 3
"""Batches that are given out for each worker's machine before one has come back."""
CONNECT_SECONDS: Final = 10
"""How long the scheduler may take to answer."""
LOOK_SECONDS: Final = 5
"""After so long without news it is looked whether the cluster has a worker left."""
PATIENCE: Final = 12
"""So many such looks in a row may find none before the runs count as lost."""

_Back: TypeAlias = "queue.SimpleQueue[tuple[int, Future]]"
"""Where the numbers of the questions that were answered come, each with its answer."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


class ClusterError(RigError):
    """The cluster cannot be reached, or cannot do runs."""


class ClusterWorkers:
    """The workers of a Dask cluster, each with a rig on one machine at a time.

    What they are asked to do is a function of a module, called with a rig, the scenarios and a question;
    answers come in the order of the questions, whoever was first.
    """

    def __init__(self, client: Client, setting: Setting, machines: int) -> None:
        self._client = client
        self._window = AHEAD * machines
        self._token = secrets.token_hex(8)
        self._numbers = itertools.count()
        # A task rather than scattered data: where its holder is lost, the scheduler makes it again elsewhere.
        self._setting = client.submit(
            _unpacked, pickle.dumps(setting), version("procnotify"), key=f"setting-{self._token}"
        )

    def close(self) -> None:
        """Have the cluster forget the setting."""
        self._client.cancel([self._setting], force=True)

    def map(
        self,
        work: Callable[[Rig, Sequence[Scenario], Question], Answer],
        questions: Iterable[Question],
    ) -> Generator[Answer, None, None]:
        """The answers to all questions, in their order. Close it to take back what was not begun.

        :raises UsageError: a worker found the input wrong.
        :raises BatchLost: nobody is there who could answer, or whoever tried has ended.
        """
        waiting = iter(questions)
        back: _Back = queue.SimpleQueue()
        given: dict[int, Future] = {}
        order: deque[int] = deque()
        ready: dict[int, Answer] = {}
        try:
            while True:
                for question in itertools.islice(waiting, self._window - len(given)):
                    number = next(self._numbers)
                    order.append(number)
                    given[number] = self._give(number, work, question, back)
                if not order:
                    return
                while order[0] not in ready:
                    number, future = self._next(back)
                    del given[number]
                    ready[number] = _answer(future)
                yield ready.pop(order.popleft())
        finally:
            self._client.cancel([*given.values()], force=True)

    def _give(
        self,
        number: int,
        work: Callable[[Rig, Sequence[Scenario], Question], Answer],
        question: Question,
        back: _Back,
    ) -> Future:
        future = self._client.submit(
            _do,
            self._setting,
            work,
            question,
            key=f"runs-{self._token}-{number}",
            resources={RESOURCE: 1},
            priority=-number,
        )
        future.add_done_callback(lambda done: back.put((number, done)))
        return future

    def _next(self, back: _Back) -> tuple[int, Future]:
        """The next question that was answered.

        :raises BatchLost: nobody is there any more who could answer one.
        """
        without = 0
        came: list[tuple[int, Future]] = []
        while without < PATIENCE:
            if wait_in_slices(lambda seconds: _take(back, came, seconds), LOOK_SECONDS):
                return came[0]
            without = 0 if self._has_machines() else without + 1
        raise BatchLost(
            f"the cluster has had no worker for {PATIENCE * LOOK_SECONDS} s that could do this run"
        )

    def _has_machines(self) -> bool:
        try:
            return _machines(self._client) > 0
        except (OSError, RuntimeError) as error:
            _log.debug("the scheduler does not answer: %s", error)
            return False


def _take(back: _Back, came: list[tuple[int, Future]], timeout: float) -> bool:
    try:
        came.append(back.get(timeout=timeout))
    except queue.Empty:
        return False
    return True


def _answer(future: Future) -> Any:
    from distributed import CancelledError, KilledWorker

    try:
        answer = future.result()
    except KilledWorker as error:
        raise BatchLost(
            f"several workers ended while they did this run or one of its batch: {error}"
        ) from None
    except CancelledError:
        raise BatchLost("the scheduler has forgotten this run; was it started anew?") from None
    except ProcnotifyError as error:
        raise BatchLost(str(error)) from None
    future.release()
    if isinstance(answer, _Refused):
        raise UsageError(answer.reason)
    return answer


@contextmanager
def cluster_workers(
    address: str, rig: Rig, scenarios: Sequence[Scenario], *, machine: str, debugger: str | None
) -> Iterator[ClusterWorkers]:
    """The workers of the cluster whose scheduler is at ``address``.

    :param address: ``tcp://HOST:8786``.
    :param machine: a name, or the path of a machine file *on each worker's computer*.
    :param debugger: a name from :data:`harness.debuggers.DEBUGGERS`; None: nobody listens.
    :raises ClusterError: Dask is not installed, nobody answers there, or no worker has a machine.
    """
    with _connected(address) as client:
        machines = _machines(client)
        if not machines:
            raise ClusterError(
                f"the cluster at {address} has no worker with the resource {RESOURCE}",
                hint=f"start one: dask worker {address} --nthreads 1 --resources {RESOURCE}=1",
            )
        workers = ClusterWorkers(client, Setting.of(rig, scenarios, machine, debugger), machines)
        with closing(workers):
            yield workers


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError(
            "--cluster needs Dask, which is not installed", hint="pip install 'procnotify[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:  # a time-out is an OSError
        first = str(error).split("\n")[0]
        raise ClusterError(
            f"no Dask scheduler answers at {address}: {first or type(error).__name__}",
            hint="start one with `dask scheduler`, and give the address that it prints",
        ) from None
    with client:
        yield client


def _machines(client: Client) -> int:
    """How many machines the cluster's workers have."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return sum(int(worker["resources"].get(RESOURCE, 0)) for worker in workers)


def run_cluster(
    rig: Rig,
    scenarios: Sequence[Scenario],
    *,
    address: str,
    machine: str,
    debugger: str | None,
    seed: int | None = None,
    repeat: int = 1,
    fail_fast: bool = False,
) -> Series:
    """:func:`~harness.runs.series.run_series` on the workers of a Dask cluster, see :func:`cluster_workers`.

    Subscribers are told of each run when it has ended, and of nothing else.

    :raises ClusterError: nobody answers there, or no worker has a machine.
    """
    tasks = tasks_of(scenarios, seed, repeat)
    with (
        cluster_workers(address, rig, scenarios, machine=machine, debugger=debugger) as workers,
        TemporaryDirectory(prefix="procnotify-") as folder,
        closing(workers.map(_do_runs, batches_of(tasks, BATCH if debugger is None else 1))) as came,
    ):
        return gather(rig, scenarios, tasks, _batches(came, Path(folder)), fail_fast=fail_fast)


class _Come(NamedTuple):
    """A batch that came back, with the traces that stay, by the number of their result."""

    batch: Batch
    traces: dict[int, bytes]


def _batches(came: Iterable[_Come], folder: Path) -> Iterator[Batch]:
    """Each as it came, its traces in ``folder``."""
    try:
        for index, (batch, traces) in enumerate(came):
            results = list(batch.results)
            for number, trace in traces.items():
                path = folder / f"{index}-{number}.jsonl"
                path.write_bytes(trace)
                results[number] = replace(results[number], trace=path)
            yield Batch(results, batch.refused)
    except UsageError as error:
        yield Batch([], error)


# On the workers


class _Refused(NamedTuple):
    """Why the input is wrong; an exception of ours would not come over Dask's wire whole."""

    reason: str


def _unpacked(setting: bytes, wanted: str) -> Setting:
    found = version("procnotify")
    if found != wanted:
        raise ClusterError(
            f"a worker has procnotify {found}, this is {wanted}", hint="install the same version everywhere"
        )
    unpacked: Setting = pickle.loads(setting)
    return unpacked


def _do(
    setting: Setting, work: Callable[[Rig, Sequence[Scenario], Question], Answer], question: Question
) -> Answer | _Refused:
    """Do it on this worker's machine."""
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="procnotify-")))
        try:
            machine = open_machine(setting.machine)
            held.callback(machine.close)
            held.enter_context(alone_on_machine(setting.machine))
            return work(setting.rig(machine, folder), setting.scenarios, question)
        except UsageError as error:
            return _Refused(str(error))


def _do_runs(rig: Rig, scenarios: Sequence[Scenario], tasks: Sequence[Task]) -> _Come:
    batch = do_batch(rig, scenarios, tasks)
    refused = None if batch.refused is None else UsageError(str(batch.refused))
    traces = {
        number: result.trace.read_bytes()
        for number, result in enumerate(batch.results)
        if result.trace is not None
    }
    return _Come(Batch([replace(result, trace=None) for result in batch.results], refused), traces)
