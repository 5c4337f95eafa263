"""A driver at fault from its source to the outcome, with every debugger: it prints without end, it faults."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from harness.events import Bugcheck, Stop
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.runner import run_scenario
from harness.runs.watch import Watch
from harness.scenario import load
from harness.toolchain import Arch, build_driver
from harness.trace.reader import TraceReader

HERE = Path(__file__).resolve().parent
LAUNCH = HERE.parents[1] / "scenarios" / "notepad-launch.yaml"
ACCESS_VIOLATION = 0xC0000005


def outcome_of(driver: str, debugger: str, folder: Path, watch: Watch) -> RunResult:
    built = build_driver(HERE / driver, Arch.X64, folder / f"{driver}.sys").path
    with open_rig(
        machine="virtual",
        debugger=debugger,
        driver=built,
        trace_folder=folder / "traces",
        watch=watch,
        print_masks={"DEFAULT": 0xF},
    ) as rig:
        return run_scenario(rig, load(LAUNCH), seed=1)


def prints_without_end(debugger: str, folder: Path) -> RunResult:
    result = outcome_of("prints_without_end", debugger, folder, Watch(printing=0.5))
    assert result.outcome is Outcome.BROKEN, result.reason
    assert "without end during step 'launch notepad.exe'; " in result.reason
    assert result.release is not None and result.release.running is True
    return result


def test_a_driver_that_prints_without_end_hangs_and_is_found_on_the_stack(tmp_path: Path) -> None:
    result = prints_without_end("native", tmp_path)
    assert "; it executes at 0x" in result.reason
    assert "(prints_without_end.sys+0x" in result.reason
    assert "on its stack: ntoskrnl.exe+0x" in result.reason


def test_a_driver_that_prints_without_end_hangs_whoever_listens(other_debugger: str, tmp_path: Path) -> None:
    result = prints_without_end(other_debugger, tmp_path)
    # One that is busy with the prints may not come to break in. That is told, and the verdict is the same.
    hung = f"; {other_debugger} hung in phase 'break_in'"
    assert "; it executes at 0x" in result.reason or hung in result.reason


def test_a_driver_that_waits_for_ever_hangs_where_its_source_says(tmp_path: Path) -> None:
    result = outcome_of("waits_for_ever", "native", tmp_path, Watch())
    assert result.outcome is Outcome.BROKEN, result.reason
    place = r"waits_for_ever.sys\+0x[0-9a-f]+"
    if importlib.util.find_spec("symbolic") is not None:
        place += r" \(WaitsUnderLock, waits_for_ever.c:10\)"
    assert re.search(f"waits_for_ever.sys hangs at {place}: it waits for the ", result.reason), result.reason


def writes_to_null(debugger: str, folder: Path) -> None:
    result = outcome_of("writes_to_null", debugger, folder, Watch())
    assert result.outcome is Outcome.BUGCHECK, result.reason
    assert "SYSTEM_SERVICE_EXCEPTION" in result.reason and "in writes_to_null.sys" in result.reason
    assert result.trace is not None
    told = [event for event in TraceReader(result.trace) if isinstance(event, Stop | Bugcheck)]
    first, second, crash = told
    assert isinstance(first, Stop) and isinstance(second, Stop) and isinstance(crash, Bugcheck)
    assert (first.code, second.code) == (ACCESS_VIOLATION, ACCESS_VIOLATION)
    assert (first.first_chance, second.first_chance) == (True, False)
    assert first.address == second.address == crash.parameters[1]
    assert first.module is not None and first.module.startswith("writes_to_null")


def test_a_driver_that_writes_to_null_is_offered_twice_and_bugchecks(tmp_path: Path) -> None:
    writes_to_null("native", tmp_path)


def test_a_driver_that_writes_to_null_bugchecks_whoever_listens(other_debugger: str, tmp_path: Path) -> None:
    writes_to_null(other_debugger, tmp_path)
