"""A driver that prints less than ours is judged by what it prints, and its faults are found by that."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.events import WitnessName
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.runner import run_scenario
from harness.scenario import load
from harness.toolchain import Arch, build_driver
from harness.trace.sources import open_trace
from harness.verdict.recording import judge_recording

HERE = Path(__file__).resolve().parent / "plain"
SCENARIOS = sorted((HERE.parents[2] / "scenarios").glob("*.yaml"))
QUICK = [path for path in SCENARIOS if path.stem != "thirty-launches"]
FAULTLESS = "prints_what_it_sees"
FAULTS = {
    "drops_every_tenth_line": ("create-thread", Outcome.BROKEN, "called and not reported: thread_create"),
    "forgets_to_unregister": ("driver-load-unload", Outcome.BUGCHECK, "bugchecked: 0x000000ce"),
    "never_prints_thread_exits": ("create-thread", Outcome.BROKEN, "threads_exit_before_process"),
    "prints_image_late": ("process-tree-exit", Outcome.BROKEN, "reported late: image_load"),
    "prints_no_image_name": ("create-thread", Outcome.BROKEN, "image (none) is printed"),
    "prints_process_exit_twice": ("create-thread", Outcome.BROKEN, "reported twice: process_exit"),
    "prints_some_contexts": ("create-thread", Outcome.BROKEN, "not found: thread_exit"),
    "prints_thread_as_process": ("create-thread", Outcome.BROKEN, "with a wrong field: thread_exit"),
    "reports_creator_as_owner": ("notepad-launch", Outcome.BROKEN, "with a wrong field: thread_create"),
    "swaps_parent_and_child": ("create-thread", Outcome.BROKEN, "with a wrong field: process_create"),
}
"""Faulty plain driver → a shipped scenario that finds it, the outcome, and what is said."""
OF_LINES_ALONE = {"never_prints_thread_exits", "prints_some_contexts"}
"""What is no matter where the order is checked on what the target saw: a driver may say nothing of a kind, or
of a field."""


def run(
    driver: Path | None,
    paths: list[Path],
    folder: Path,
    *,
    strict: bool = False,
    witness: WitnessName | None = None,
) -> list[RunResult]:
    with open_rig(
        machine="virtual",
        debugger="none",
        driver=driver,
        trace_folder=folder,
        strict=strict,
        witness=witness,
    ) as rig:
        return [run_scenario(rig, load(path), seed=1) for path in paths]


def built(name: str, folder: Path) -> Path:
    return build_driver(HERE / name, Arch.X64, folder / f"{name}.sys").path


def test_the_plain_driver_passes_every_shipped_scenario_and_is_told_what_was_not_judged(
    tmp_path: Path,
) -> None:
    ours = run(None, QUICK, tmp_path / "ours")
    plain = run(built(FAULTLESS, tmp_path), QUICK, tmp_path / "plain")
    for one, other in zip(ours, plain, strict=True):
        assert (one.outcome, one.not_judged, one.not_judged_lines) == (Outcome.PASSED, 0, ())
        assert other.outcome is Outcome.PASSED, other.reason
        assert other.held >= 15 and other.not_judged >= 6
        assert other.held + other.not_judged == one.held, "every promise is counted once"
    (launch,) = [result for result in plain if result.scenario == "notepad-launch"]
    file = "notepad-launch.yaml"
    lines = launch.not_judged_lines
    assert f"not judged: context_tid (2 lines of {file}): no image_load of this driver carries it" in lines
    assert any(f"tid (line 32 of {file}): $last stands for a context_tid, and" in line for line in lines)
    assert any("seq_unique, time_follows_seq (lifecycle rules)" in line for line in lines)


def test_strict_takes_that_for_an_error(tmp_path: Path) -> None:
    paths = [path for path in QUICK if path.stem == "load-library"]
    (ours,) = run(None, paths, tmp_path / "ours", strict=True)
    (plain,) = run(built(FAULTLESS, tmp_path), paths, tmp_path / "plain", strict=True)
    assert ours.outcome is Outcome.PASSED
    assert plain.outcome is Outcome.RIG
    assert "not judged: context_pid (line 20 of load-library.yaml)" in plain.reason


def test_every_plain_driver_has_its_row() -> None:
    assert {*FAULTS, FAULTLESS} == {path.parent.name for path in HERE.glob("*/*.c")}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_it_gets_its_outcome(name: str, tmp_path: Path) -> None:
    scenario, outcome, words = FAULTS[name]
    path = SCENARIOS[0].with_name(f"{scenario}.yaml")
    (result,) = run(built(name, tmp_path), [path], tmp_path / "traces")
    assert result.outcome is outcome, result.reason
    assert words in result.reason
    (other,) = run(tmp_path / f"{name}.sys", [path], tmp_path / "target", witness="target")
    if name in OF_LINES_ALONE:
        assert other.outcome is Outcome.PASSED
    else:
        assert (other.outcome, other.reason) == (outcome, result.reason)
    for run_of in (result, other):
        assert run_of.trace is not None
        if outcome is Outcome.BROKEN:
            verdict = judge_recording(open_trace(run_of.trace), load(path))
            assert (verdict.outcome, verdict.line) == (run_of.outcome, run_of.reason)


def test_a_scenario_of_which_nothing_can_be_judged_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "needs.yaml"
    file.write_text(
        "scenario: needs\nsummary: s.\nrequires: {driver: {totals: true}}\n"
        "steps: [exit: 0]\nexpect:\n  order: [process_create: any, driver: {totals: true}]\n",
        encoding="utf-8",
        newline="\n",
    )
    (ours,) = run(None, [file], tmp_path / "ours")
    (plain,) = run(built(FAULTLESS, tmp_path), [file], tmp_path / "plain")
    assert ours.outcome is Outcome.PASSED, ours.reason
    assert (plain.outcome, int(plain.outcome)) == (Outcome.SKIPPED, 5)
    assert "nothing that came is what it requires: driver {totals: True}" in plain.reason
