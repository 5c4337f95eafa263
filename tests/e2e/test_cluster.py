"""Runs on the workers of a Dask cluster: the results of one process, in its order, whoever is lost."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from guest_servers import wait_until

from harness.exploration import running
from harness.exploration.exploring import Exploration, Explorer, Plan
from harness.exploration.running import trials_here, trials_on_cluster
from harness.outcome import Outcome
from harness.runs import cluster
from harness.runs.cluster import RESOURCE, ClusterError, run_cluster
from harness.runs.opening import open_rig
from harness.runs.progress import Progress, RunFinished
from harness.runs.result import RunResult
from harness.runs.rig import KeptTraces
from harness.runs.series import Series, run_series
from harness.scenario import load
from harness.toolchain import Arch, build_driver

pytestmark = pytest.mark.usefixtures("distributed")
ROOT = Path(__file__).resolve().parents[2]
CREATE_THREAD = ROOT / "scenarios" / "create-thread.yaml"
PATIENCE_SECONDS = 60
BATCH = 4


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "BATCH", BATCH)


class Cluster:
    """A scheduler and its workers, each a process of its own on loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._scheduler = self._started("scheduler", "--host", "127.0.0.1", "--port", "0")
        self.workers: list[subprocess.Popen[bytes]] = []
        self.address = ""
        wait_until(self._found_address, "the scheduler does not say where it listens")

    def _started(self, *words: str) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "dask",
            *words,
            "--scheduler-file",
            str(self._file),
            "--no-dashboard",
        ]
        with (self._folder / "log.txt").open("ab") as log:
            return subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)

    def _found_address(self) -> bool:
        try:
            self.address = json.loads(self._file.read_text(encoding="utf-8"))["address"]
        except (FileNotFoundError, json.JSONDecodeError):  # not there yet, or not whole
            return False
        return True

    def have(self, workers: int, resources: str = f"{RESOURCE}=1") -> None:
        """See that so many workers are there."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < workers:
            self.workers.append(
                self._started("worker", "--nthreads", "1", "--no-nanny", "--resources", resources)
            )
        with cluster._connected(self.address) as client:
            client.wait_for_workers(workers, timeout=PATIENCE_SECONDS)

    def lose_workers(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.workers.clear()

    def close(self) -> None:
        self.lose_workers()
        self._scheduler.kill()
        self._scheduler.wait()


@pytest.fixture(scope="module")
def lab(distributed: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    there = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield there
    finally:
        there.close()


@pytest.fixture(scope="module")
def broken_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("driver") / "never_prints_thread_exits.sys"
    return build_driver(ROOT / "tests" / "drivers" / "never_prints_thread_exits", Arch.X64, out).path


def told(result: RunResult) -> tuple[object, ...]:
    """What may not depend on who did the run."""
    body = None if result.trace is None else result.trace.read_bytes().splitlines()[1:-1]
    return result.scenario, result.seed, result.outcome, result.reason, result.events, body


def series_of(
    folder: Path,
    address: str | None,
    *,
    driver: Path | None = None,
    machine: str = "virtual",
    debugger: str | None = None,
    repeat: int = 1,
    fail_fast: bool = False,
    see: Callable[[RunResult], None] = lambda result: None,
) -> Series:
    def hear(progress: Progress) -> None:
        if isinstance(progress, RunFinished):
            see(progress.result)

    with open_rig(
        machine="virtual",
        debugger="none",
        driver=driver,
        trace_folder=folder,
        keep_traces=KeptTraces.FAILED,
        elsewhere=address is not None,
        subscribers=(hear,),
    ) as rig:
        scenarios = [load(CREATE_THREAD)]
        if address is None:
            return run_series(rig, scenarios, seed=5, repeat=repeat, fail_fast=fail_fast)
        return run_cluster(
            rig,
            scenarios,
            address=address,
            machine=machine,
            debugger=debugger,
            seed=5,
            repeat=repeat,
            fail_fast=fail_fast,
        )


def test_a_worker_killed_in_the_middle_loses_no_run(
    tmp_path: Path, lab: Cluster, broken_driver: Path
) -> None:
    lab.have(2)
    repeat = 4 * BATCH
    seen: list[RunResult] = []

    def kill_one(result: RunResult) -> None:
        if not seen:
            lab.workers[0].kill()
        seen.append(result)

    there = series_of(tmp_path / "there", lab.address, driver=broken_driver, repeat=repeat, see=kill_one)
    assert lab.workers[0].wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert list(there.results) == seen
    here = series_of(tmp_path / "here", None, driver=broken_driver, repeat=repeat)
    assert there.outcome is Outcome.BROKEN and len(here.results) == repeat
    assert [told(result) for result in there.results] == [told(result) for result in here.results]
    assert {result.trace.parent.parent for result in there.results if result.trace} == {tmp_path / "there"}


def explored(
    folder: Path, address: str | None, driver: Path, see: Callable[[Exploration], None] = lambda found: None
) -> Exploration:
    scenario = load(CREATE_THREAD)
    with (
        open_rig(
            machine="virtual",
            debugger="none",
            driver=driver,
            trace_folder=folder,
            keep_traces=KeptTraces.FAILED,
            elsewhere=address is not None,
        ) as rig,
        (
            trials_here(rig, scenario, cpus=1)
            if address is None
            else trials_on_cluster(rig, scenario, address=address, exploration=folder.name)
        ) as run,
    ):
        plan = Plan(range(5, 5 + 4 * BATCH), "random", shrink=False)
        return Explorer(run, plan, told=lambda found, _purpose: see(found)).explore()


def test_an_exploration_finds_there_what_it_finds_here_whoever_is_lost(
    tmp_path: Path, lab: Cluster, broken_driver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "BATCH", BATCH)
    lab.have(2)

    def kill_one(found: Exploration) -> None:
        lab.workers[0].kill()

    there = explored(tmp_path / "there", lab.address, broken_driver, kill_one)
    assert lab.workers[0].wait(PATIENCE_SECONDS) == -signal.SIGKILL
    here = explored(tmp_path / "here", None, broken_driver)
    assert here.schedules == here.failed == 4 * BATCH and here.encounters and here.complete
    assert (there.orders, there.encounters, there.outcomes) == (here.orders, here.encounters, here.outcomes)
    assert (there.schedules, there.failed, there.complete) == (here.schedules, here.failed, True)
    (cause, failure), *_ = here.failures.items()
    assert (there.failures[cause].first.schedule, there.failures[cause].count) == (
        failure.first.schedule,
        failure.count,
    )
    # Another exploration by the same processes is told of everything again.
    lab.have(1)
    assert explored(tmp_path / "again", lab.address, broken_driver).encounters == here.encounters


def test_a_run_with_a_debugger_is_done_there_too(tmp_path: Path, lab: Cluster) -> None:
    lab.have(1)
    series = series_of(tmp_path, lab.address, debugger="native")
    assert [(result.outcome, result.seed) for result in series.results] == [(Outcome.PASSED, 5)]


def test_the_first_failure_ends_it_where_that_was_asked(
    tmp_path: Path, lab: Cluster, broken_driver: Path
) -> None:
    lab.have(1)
    series = series_of(tmp_path, lab.address, driver=broken_driver, repeat=50, fail_fast=True)
    assert [result.outcome for result in series.results] == [Outcome.BROKEN]


def test_ctrl_c_takes_back_what_was_given_out(tmp_path: Path, lab: Cluster) -> None:
    lab.have(1)

    def interrupt(result: RunResult) -> None:
        raise KeyboardInterrupt

    series = series_of(tmp_path, lab.address, repeat=10 * BATCH, see=interrupt)
    assert series.interrupted is not None
    assert f"interrupted after 1 of {10 * BATCH} runs" in series.interrupted.reason
    with cluster._connected(lab.address) as client:
        tasks = client.run_on_scheduler(lambda dask_scheduler: [*dask_scheduler.tasks])
    assert not any(key.startswith("runs-") for key in tasks)


def test_a_machine_that_a_worker_does_not_have_is_the_users_mistake(tmp_path: Path, lab: Cluster) -> None:
    lab.have(1)
    series = series_of(tmp_path, lab.address, machine="nowhere.yaml")
    assert series.results == () and series.refused is not None
    assert "nowhere.yaml" in str(series.refused)


def test_a_worker_with_another_version_is_not_given_runs(
    tmp_path: Path, lab: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.have(1)
    monkeypatch.setattr(cluster, "version", lambda name: "9.9.9")
    series = series_of(tmp_path, lab.address)
    (result,) = series.results
    assert result.outcome is Outcome.RIG
    assert "this is 9.9.9; install the same version everywhere" in result.reason


def test_nobody_left_to_do_the_runs_is_said(
    tmp_path: Path, lab: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.have(1)
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(cluster, "PATIENCE", 2)

    def kill_all(result: RunResult) -> None:
        for worker in lab.workers:
            worker.kill()

    series = series_of(tmp_path, lab.address, repeat=10 * BATCH, see=kill_all)
    assert series.results[-1].outcome is Outcome.RIG
    assert "no worker" in series.results[-1].reason
    assert len(series.results) < 10 * BATCH


def test_workers_without_a_machine_are_not_enough(tmp_path: Path, lab: Cluster) -> None:
    lab.lose_workers()
    lab.have(1, "disk=1")
    with pytest.raises(ClusterError, match="has no worker with the resource machine; start one: dask worker"):
        series_of(tmp_path, lab.address)


def test_where_nobody_listens_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and it does not listen: nobody else gets the port
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"no Dask scheduler answers at {address}") as caught:
            series_of(tmp_path, address)
    assert "\n" not in str(caught.value)


def test_an_address_that_is_none_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no Dask scheduler answers at lab:what"):
        series_of(tmp_path, "lab:what")


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        ClusterError, match=r"Dask, which is not installed; pip install 'procnotify\[cluster\]'"
    ):
        series_of(tmp_path, "tcp://lab:8786")
