"""A driver that says everything by a plain DbgPrint: unheard as on Windows, until its mask is set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness.events import WitnessName
from harness.outcome import Outcome
from harness.runs.opening import NO_DEBUGGER, open_rig
from harness.runs.parallel import run_parallel
from harness.runs.result import RunResult
from harness.runs.runner import run_scenario
from harness.scenario import load
from harness.toolchain import Arch, build_driver
from harness.trace.reader import TraceReader

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "create-thread.yaml"
OURS = (SCENARIO.parents[1] / "driver" / "procnotify").as_posix()
PLAIN = f"""
#include <ntddk.h>
#define DbgPrintEx(Component, Level, ...) DbgPrint(__VA_ARGS__)
#include "{OURS}/callbacks.c"
#include "{OURS}/print.c"
#include "{OURS}/stamp.c"
#include "{OURS}/utf8.c"
#include "{OURS}/procnotify.c"
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's driver, but for its prints."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "plain.c").write_text(PLAIN, encoding="utf-8")
    return build_driver(folder / "plain.c", Arch.X64, folder / "plain.sys").path


def outcome_of(
    driver: Path,
    folder: Path,
    masks: Mapping[str, int],
    own: Mapping[str, int],
    debugger: str = "native",
    witness: WitnessName | None = "print",
) -> RunResult:
    with open_rig(
        machine="virtual",
        debugger=debugger,
        driver=driver,
        trace_folder=folder,
        print_masks=masks,
        witness=witness,
    ) as rig:
        scenario = replace(load(SCENARIO), print_masks=own)
        if debugger == NO_DEBUGGER:
            return run_parallel(rig, [scenario], jobs=2).results[0]
        return run_scenario(rig, scenario, seed=1)


@pytest.mark.parametrize(
    ("masks", "own"),
    [({"DEFAULT": 0xF}, {}), ({}, {"DEFAULT": 8}), ({"DEFAULT": 8}, {"DEFAULT": 0}), ({"WIN2000": 9}, {})],
)
def test_it_is_heard_where_its_mask_lets_info_pass(
    plain: Path, tmp_path: Path, masks: dict[str, int], own: dict[str, int]
) -> None:
    result = outcome_of(plain, tmp_path, masks, own)
    assert result.outcome is Outcome.PASSED, result.reason
    assert result.trace is not None
    in_processes = outcome_of(plain, tmp_path, masks, own, NO_DEBUGGER)
    assert in_processes.outcome is Outcome.PASSED, in_processes.reason
    told = TraceReader(result.trace).header.machine["print_masks"]
    assert told.startswith("Kd_")


@pytest.mark.parametrize(("masks", "own"), [({}, {}), ({"DEFAULT": 7}, {}), ({"IHVDRIVER": 0xF}, {})])
def test_else_nothing_is_judged_and_the_mask_is_named(
    plain: Path, tmp_path: Path, masks: dict[str, int], own: dict[str, int]
) -> None:
    result = outcome_of(plain, tmp_path, masks, own)
    assert result.outcome is Outcome.RIG
    assert "no line of the driver arrived; is it loaded?" in result.reason
    assert "Kd_DEFAULT_Mask" in result.reason and "--print-mask 0xf" in result.reason


def test_the_target_is_asked_in_its_place_and_the_mask_is_named_all_the_same(
    plain: Path, tmp_path: Path
) -> None:
    result = outcome_of(plain, tmp_path, {}, {}, NO_DEBUGGER, None)
    assert (result.outcome, result.witness) == (Outcome.PASSED, "target")
    (note,) = [note for note in result.notes if "judged is what the target saw" in note]
    assert "--print-mask 0xf" in note
