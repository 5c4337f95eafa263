"""The project's own driver does nothing wrong, whichever way its callbacks overlap."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.parallel import run_parallel
from harness.runs.rig import KeptTraces
from harness.runs.series import run_series
from harness.scenario import load

ROOT = Path(__file__).resolve().parents[2]
LONGEST = "thirty-launches"
SCENARIOS = [path for path in sorted((ROOT / "scenarios").glob("*.yaml")) if path.stem != LONGEST]
SEEDS = int(os.environ.get("PROCNOTIFY_RANDOM_SEEDS", "3"))
WORTH_PROCESSES = 50


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_projects_own_driver_raises_no_alarm(path: Path, tmp_path: Path) -> None:
    with open_rig(
        machine="virtual",
        debugger="none",
        driver=None,
        trace_folder=tmp_path,
        policy="random",
        keep_traces=KeptTraces.FAILED,
    ) as rig:
        if SEEDS < WORTH_PROCESSES:
            series = run_series(rig, [load(path)], seed=1, repeat=SEEDS)
        else:
            series = run_parallel(rig, [load(path)], jobs=os.cpu_count() or 1, seed=1, repeat=SEEDS)
    alarms = [
        (result.seed, result.reason) for result in series.results if result.outcome is not Outcome.PASSED
    ]
    assert alarms == []
    assert len(series.results) == SEEDS
