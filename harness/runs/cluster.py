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
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from harness.errors import ProcnotifyError, RigError, UsageError
from harness.machines import alone_on_machine, open_machine
from harness.runs.batches import Batch, BatchLost, Setting, Task, batches_of, do_batch, gather, tasks_of
from harness.runs.rig import Rig
from harness.runs.series import Series
from harness.scenario import Scenario
from harness.waiting import wait_in_slices

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["RESOURCE", "ClusterError", "run_cluster"]

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

_log = logging.getLogger(__name__)


class ClusterError(RigError):
    """The cluster cannot be reached, or cannot do runs."""


class _Come(NamedTuple):
    """A batch that came back, with the traces that stay, by the number of their result."""

    batch: Batch
    traces: dict[int, bytes]


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
    """:func:`~harness.runs.series.run_series` on the workers of a Dask cluster.

    Subscribers are told of each run when it has ended, and of nothing else.

    :param address: of the scheduler: ``tcp://HOST:8786``.
    :param machine: a name, or the path of a machine file *on each worker's computer*.
    :param debugger: a name from :data:`harness.debuggers.DEBUGGERS`; None: nobody listens.
    :raises ClusterError: nobody answers there, or no worker has a machine.
    """
    tasks = tasks_of(scenarios, seed, repeat)
    setting = Setting.of(rig, scenarios, machine, debugger)
    with _connected(address) as client, TemporaryDirectory(prefix="procnotify-") as folder:
        machines = _machines(client)
        if not machines:
            raise ClusterError(
                f"the cluster at {address} has no worker with the resource {RESOURCE}",
                hint=f"start one: dask worker {address} --nthreads 1 --resources {RESOURCE}=1",
            )
        gathering = _Gathering(client, setting, machines, Path(folder))
        with closing(gathering.batches(batches_of(tasks, BATCH if debugger is None else 1))) as batches:
            return gather(rig, scenarios, tasks, batches, fail_fast=fail_fast)


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(
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


class _Gathering:
    """Gives batches out and takes what comes back, whoever is first; hands on in the order of the tasks."""

    def __init__(self, client: Client, setting: Setting, machines: int, folder: Path) -> None:
        self._client = client
        self._window = AHEAD * machines
        self._folder = folder
        self._token = secrets.token_hex(8)
        # A task rather than scattered data: where its holder is lost, the scheduler makes it again elsewhere.
        self._setting = client.submit(
            _unpacked, pickle.dumps(setting), version("procnotify"), key=f"setting-{self._token}"
        )
        self._back: queue.SimpleQueue[tuple[int, Future]] = queue.SimpleQueue()

    def batches(self, batches: Sequence[Sequence[Task]]) -> Generator[Batch, None, None]:
        waiting = iter(enumerate(batches))
        given: dict[int, Future] = {}
        ready: dict[int, Batch] = {}
        try:
            for number in range(len(batches)):
                while number not in ready:
                    for index, tasks in itertools.islice(waiting, self._window - len(given)):
                        given[index] = self._give(index, tasks)
                    index, future = self._next()
                    del given[index]
                    ready[index] = self._result(index, future)
                yield ready.pop(number)
        finally:
            self._client.cancel([*given.values(), self._setting], force=True)

    def _give(self, index: int, tasks: Sequence[Task]) -> Future:
        future = self._client.submit(
            _do,
            self._setting,
            self._token,
            list(tasks),
            key=f"runs-{self._token}-{index}",
            resources={RESOURCE: 1},
            priority=-index,
        )
        future.add_done_callback(lambda done: self._back.put((index, done)))
        return future

    def _next(self) -> tuple[int, Future]:
        """The next batch that came back.

        :raises BatchLost: nobody is there any more who could do one.
        """
        without = 0
        came: list[tuple[int, Future]] = []
        while without < PATIENCE:
            if wait_in_slices(lambda seconds: self._take(came, seconds), LOOK_SECONDS):
                return came[0]
            without = 0 if self._has_machines() else without + 1
        raise BatchLost(
            f"the cluster has had no worker for {PATIENCE * LOOK_SECONDS} s that could do this run"
        )

    def _take(self, came: list[tuple[int, Future]], timeout: float) -> bool:
        try:
            came.append(self._back.get(timeout=timeout))
        except queue.Empty:
            return False
        return True

    def _has_machines(self) -> bool:
        try:
            return _machines(self._client) > 0
        except (OSError, RuntimeError) as error:
            _log.debug("the scheduler does not answer: %s", error)
            return False

    def _result(self, index: int, future: Future) -> Batch:
        from distributed import CancelledError, KilledWorker

        try:
            batch, traces = future.result()
        except KilledWorker as error:
            raise BatchLost(
                f"several workers ended while they did this run or one of its batch: {error}"
            ) from None
        except CancelledError:
            raise BatchLost("the scheduler has forgotten this run; was it started anew?") from None
        except ProcnotifyError as error:
            raise BatchLost(str(error)) from None
        future.release()
        results = list(batch.results)
        for number, trace in traces.items():
            path = self._folder / f"{index}-{number}.jsonl"
            path.write_bytes(trace)
            results[number] = replace(results[number], trace=path)
        return Batch(results, batch.refused)


# On the workers


def _unpacked(setting: bytes, wanted: str) -> Setting:
    found = version("procnotify")
    if found != wanted:
        raise ClusterError(
            f"a worker has procnotify {found}, this is {wanted}", hint="install the same version everywhere"
        )
    unpacked: Setting = pickle.loads(setting)
    return unpacked


def _do(setting: Setting, token: str, tasks: list[Task]) -> _Come:
    """Do them on this worker's machine."""
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="procnotify-")))
        try:
            machine = open_machine(setting.machine)
            held.callback(machine.close)
            held.enter_context(alone_on_machine(setting.machine))
        except UsageError as error:
            return _Come(Batch([], UsageError(str(error))), {})
        batch = do_batch(setting.rig(machine, folder), setting.scenarios, tasks)
        refused = None if batch.refused is None else UsageError(str(batch.refused))
        traces = {
            number: result.trace.read_bytes()
            for number, result in enumerate(batch.results)
            if result.trace is not None
        }
        results = [replace(result, trace=None) for result in batch.results]
        return _Come(Batch(results, refused), traces)
