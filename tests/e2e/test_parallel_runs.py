"""Many runs in several processes: the results of one process, in its order; and every way to end early."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.parallel import BATCH, run_parallel
from harness.runs.progress import Progress, RunFinished
from harness.runs.result import RunResult
from harness.runs.rig import KeptTraces
from harness.runs.series import Series, run_series
from harness.scenario import Scenario, load
from harness.toolchain import Arch, build_driver

ROOT = Path(__file__).resolve().parents[2]
CREATE_THREAD = ROOT / "scenarios" / "create-thread.yaml"
LAUNCH = ROOT / "scenarios" / "short-lived-process.yaml"


@pytest.fixture(scope="module")
def broken_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("driver") / "never_prints_thread_exits.sys"
    return build_driver(ROOT / "tests" / "drivers" / "never_prints_thread_exits", Arch.X64, out).path


def told(result: RunResult) -> tuple[object, ...]:
    """What may not depend on who did the run."""
    body = None if result.trace is None else result.trace.read_bytes().splitlines()[1:-1]
    return result.scenario, result.seed, result.outcome, result.reason, result.events, body


def series_of(
    folder: Path, scenarios: list[Scenario], *, jobs: int, driver: Path | None = None, **more: object
) -> tuple[Series, list[RunResult]]:
    finished: list[RunResult] = []

    def see(progress: Progress) -> None:
        if isinstance(progress, RunFinished):
            finished.append(progress.result)

    with open_rig(
        machine="virtual",
        debugger="none",
        driver=driver,
        trace_folder=folder,
        keep_traces=KeptTraces.FAILED,
        subscribers=(see,),
    ) as rig:
        if jobs == 1:
            return run_series(rig, scenarios, **more), finished  # type: ignore[arg-type]
        return run_parallel(rig, scenarios, jobs=jobs, **more), finished  # type: ignore[arg-type]


def test_two_processes_do_what_one_does_in_its_order(tmp_path: Path, broken_driver: Path) -> None:
    scenarios = [load(CREATE_THREAD), load(LAUNCH)]
    repeat = BATCH  # two scenarios: two batches
    one, _ = series_of(tmp_path / "1", scenarios, jobs=1, driver=broken_driver, seed=5, repeat=repeat)
    two, finished = series_of(tmp_path / "2", scenarios, jobs=2, driver=broken_driver, seed=5, repeat=repeat)
    assert two.outcome is Outcome.BROKEN
    assert [told(result) for result in two.results] == [told(result) for result in one.results]
    assert list(two.results) == finished
    assert {result.trace.parent.parent for result in two.results if result.trace} == {tmp_path / "2"}


def test_what_passed_keeps_neither_trace_nor_witnesses(tmp_path: Path) -> None:
    series, _ = series_of(tmp_path, [load(CREATE_THREAD)], jobs=2, repeat=2)
    assert [(result.outcome, result.trace, result.check) for result in series.results] == [
        (Outcome.PASSED, None, None)
    ] * 2
    assert not list(tmp_path.iterdir())


def test_the_first_failure_in_order_can_be_the_last_run(tmp_path: Path, broken_driver: Path) -> None:
    scenarios = [load(CREATE_THREAD)]
    series, _ = series_of(tmp_path, scenarios, jobs=2, driver=broken_driver, repeat=40, fail_fast=True)
    assert [result.outcome for result in series.results] == [Outcome.BROKEN]


def test_input_that_a_run_finds_wrong_ends_it(tmp_path: Path) -> None:
    wrong = replace(load(CREATE_THREAD), profile="win31")
    series, _ = series_of(tmp_path, [load(CREATE_THREAD), wrong], jobs=2)
    assert [result.outcome for result in series.results] == [Outcome.PASSED]
    assert series.refused is not None and "win31" in str(series.refused)


def test_a_process_that_dies_is_told_with_the_run_that_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.runs.workers._do", _die)
    series, _ = series_of(tmp_path / "t", [load(CREATE_THREAD)], jobs=2, repeat=3)
    assert [result.outcome for result in series.results] == [Outcome.RIG]
    assert "run them with --jobs 1" in series.results[0].reason


def _die(_work: object, _question: object) -> None:
    os._exit(9)


def test_ctrl_c_ends_all_of_them_and_tells_how_far_they_came(tmp_path: Path) -> None:
    words = [str(LAUNCH), "--debugger", "none", "--seeds", "1-100000", "--jobs", "2", "--json"]
    flags = subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTS_ITSELF, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        creationflags=flags,
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert '"exit_code": 130' in out
    assert "procnotify: interrupted after " in err and " of 100000 runs; " in err
    assert "Traceback" not in err


INTERRUPTS_ITSELF = f"""
import signal, sys
import harness.runs.batches as batches
from harness.cli import main

def adopted(rig, result, *, whole=batches._adopted):
    if result.seed == {BATCH + 1}:
        signal.raise_signal(signal.SIGINT)
    return whole(rig, result)

if __name__ == "__main__":
    batches._adopted = adopted
    sys.argv[1:1] = ["run"]
    main()
"""
