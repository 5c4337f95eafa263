"""Runs without a debugger: the same events and the same verdict as with one, one boot after the other."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from tried_policies import POLICIES_TRIED

from harness.errors import UsageError
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.rig import KeptTraces
from harness.runs.runner import run_scenario
from harness.runs.watch import Watch
from harness.scenario import load
from harness.toolchain import Arch, build_driver

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
LAUNCH = ROOT / "scenarios" / "notepad-launch.yaml"
CREATE_THREAD = ROOT / "scenarios" / "create-thread.yaml"
DRIVERS = ROOT / "tests" / "drivers"
FAULTY = (HERE / "writes_to_null", HERE / "breaks_in", *sorted({c.parent for c in DRIVERS.glob("*/*.c")}))
SEEDS = int(os.environ.get("PROCNOTIFY_RESTORED_SEEDS", "1"))


def run(
    debugger: str, folder: Path, scenario: Path, *, seed: int = 1, policy: str | None = None, **more: object
) -> RunResult:
    rig = open_rig(
        machine="virtual",
        debugger=debugger,
        driver=more.pop("driver", None),  # type: ignore[arg-type]
        trace_folder=folder / debugger,
        policy=policy,
        **more,  # type: ignore[arg-type]
    )
    with rig as opened:
        return run_scenario(opened, load(scenario), seed=seed)


def body(result: RunResult) -> list[bytes]:
    """The trace without its header and footer."""
    assert result.trace is not None
    return result.trace.read_bytes().splitlines()[1:-1]


@pytest.mark.parametrize("policy", POLICIES_TRIED)
@pytest.mark.parametrize("name", ["notepad-launch", "driver-load-unload", "wow64-process"])
def test_the_trace_is_what_a_debugger_hears(name: str, policy: str, tmp_path: Path) -> None:
    scenario = ROOT / "scenarios" / f"{name}.yaml"
    heard = run("native", tmp_path, scenario, seed=3, policy=policy)
    direct = run("none", tmp_path, scenario, seed=3, policy=policy)
    assert direct.outcome is heard.outcome is Outcome.PASSED
    assert body(direct) == body(heard)


@pytest.mark.parametrize("source", FAULTY, ids=lambda path: path.name)
def test_a_faulty_driver_has_the_same_verdict(source: Path, tmp_path: Path) -> None:
    driver = build_driver(source, Arch.X64, tmp_path / f"{source.name}.sys").path
    heard = run("native", tmp_path, LAUNCH, driver=driver)
    direct = run("none", tmp_path, LAUNCH, driver=driver)
    assert heard.outcome is not Outcome.PASSED
    assert (direct.outcome, direct.reason) == (heard.outcome, heard.reason)
    # A debugger that lets the target go from a break instruction hears what it does then.
    heard_until = direct.events if source.name == "breaks_in" else heard.events
    assert body(direct) == body(heard)[:heard_until]


def test_a_driver_that_prints_without_end_is_found_where_it_prints(tmp_path: Path) -> None:
    driver = build_driver(HERE / "prints_without_end", Arch.X64, tmp_path / "prints_without_end.sys").path
    result = run("none", tmp_path, LAUNCH, driver=driver, watch=Watch(printing=0.5))
    assert result.outcome is Outcome.BROKEN
    assert "without end during step 'launch notepad.exe'; it executes at 0x" in result.reason
    assert "(prints_without_end.sys+0x" in result.reason


@pytest.mark.parametrize("policy", POLICIES_TRIED)
def test_a_boot_after_others_is_like_a_first_one(policy: str, tmp_path: Path) -> None:
    runs = [(path, seed) for path in SCENARIOS for seed in range(1, SEEDS + 1)]
    with open_rig(
        machine="virtual", debugger="none", driver=None, trace_folder=tmp_path / "one", policy=policy
    ) as rig:
        random.Random(policy).shuffle(runs)
        after = {key: body(run_scenario(rig, load(key[0]), seed=key[1])) for key in runs}
    for (path, seed), found in after.items():
        assert found == body(run("none", tmp_path, path, seed=seed, policy=policy)), (path.stem, seed)


def test_a_boot_after_a_dead_one_is_like_a_first_one(tmp_path: Path) -> None:
    driver = build_driver(HERE / "writes_to_null", Arch.X64, tmp_path / "writes_to_null.sys").path
    with open_rig(machine="virtual", debugger="none", driver=driver, trace_folder=tmp_path / "one") as rig:
        first, second = (run_scenario(rig, load(LAUNCH), seed=4) for _ in range(2))
    assert first.outcome is second.outcome is Outcome.BUGCHECK
    assert body(first) == body(second)


@pytest.mark.parametrize("debugger", ["none", "native"])
def test_of_runs_that_passed_no_trace_is_kept_where_nobody_wants_it(debugger: str, tmp_path: Path) -> None:
    passed = run(debugger, tmp_path, CREATE_THREAD, keep_traces=KeptTraces.FAILED)
    assert (passed.outcome, passed.trace) == (Outcome.PASSED, None)
    driver = build_driver(DRIVERS / "never_prints_thread_exits", Arch.X64, tmp_path / "d.sys").path
    broken = run(debugger, tmp_path, CREATE_THREAD, driver=driver, keep_traces=KeptTraces.FAILED)
    assert broken.outcome is Outcome.BROKEN
    assert broken.trace is not None
    assert {path.resolve() for path in (tmp_path / debugger).glob("*/*.jsonl")} == {broken.trace.resolve()}


def test_it_ends_where_somebody_asks_for_it(tmp_path: Path) -> None:
    asked = iter([False] * 5)
    with pytest.raises(KeyboardInterrupt, match="interrupted in create-thread \\(seed 1\\) after "):
        run("none", tmp_path, CREATE_THREAD, interrupted=lambda: next(asked, True))


def test_nobody_meets_a_debugger_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without a debugger nobody meets at net:port=50000"):
        run("none", tmp_path, CREATE_THREAD, connection="net:port=50000,key=1.2.3.4")
