"""A run whose rig failed is begun anew, and whoever reads the result is told."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import harness.runs.opening
from harness.errors import TargetLost
from harness.machines.base import BootOptions
from harness.machines.virtual import VirtualMachine
from harness.outcome import Outcome
from harness.report.junit import junit_xml
from harness.report.runs_json import result_as_json
from harness.report.terminal import TerminalReport
from harness.runs.opening import open_rig
from harness.runs.progress import RunFinished, RunRetried, RunStarted
from harness.runs.result import RunResult
from harness.runs.runner import run_scenario
from harness.scenario import load
from harness.toolchain import Arch, build_driver

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "create-thread.yaml"
FAULTY = SCENARIO.parents[1] / "tests" / "drivers" / "never_prints_thread_exits"


class FlakyMachine(VirtualMachine):
    """Is lost in its first boots.

    :param losses: so many.
    """

    def __init__(self, losses: int) -> None:
        super().__init__()
        self._losses = losses
        self.boots = 0

    def start(self, boot: BootOptions) -> None:
        self.boots += 1
        if self.boots <= self._losses:
            raise TargetLost(f"boot {self.boots} came to nothing")
        super().start(boot)


class Run:
    """One call, and what it said."""

    def __init__(self, folder: Path, losses: int, retries: int, driver: Path | None) -> None:
        self.machine = FlakyMachine(losses)
        self.said = io.StringIO()
        self.progress: list[object] = []
        report = TerminalReport(Console(file=self.said, width=200), runs=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(harness.runs.opening, "open_machine", lambda name: self.machine)
            with open_rig(
                machine="flaky",
                debugger="native",
                driver=driver,
                trace_folder=folder,
                retries=retries,
                subscribers=(report, self.progress.append),
            ) as rig:
                self.result: RunResult = run_scenario(rig, load(SCENARIO), seed=1)
        report.summary()

    def notable(self) -> Iterator[str]:
        """What was told of the run as a whole."""
        for progress in self.progress:
            if isinstance(progress, RunStarted | RunRetried | RunFinished):
                yield type(progress).__name__


def test_a_pass_after_a_retry_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path, losses=1, retries=2, driver=None)
    assert (run.result.outcome, run.result.retries, run.machine.boots) == (Outcome.PASSED, 1, 2)
    assert run.result.notes == ("retry 1: boot 1 came to nothing",)
    assert list(run.notable()) == ["RunStarted", "RunRetried", "RunStarted", "RunFinished"]
    said = run.said.getvalue()
    assert "begun anew" in said and "boot 1 came to nothing" in said
    assert "after 1 retry" in said
    assert "1 passed, 1 begun anew" in said
    assert result_as_json(run.result)["retries"] == 1
    (suite,) = junit_xml([run.result])
    assert '<property name="retries" value="1"/>' in suite.tostring().decode("utf-8").replace(" />", "/>")


@pytest.mark.parametrize(("retries", "boots"), [(0, 1), (2, 3)])
def test_what_fails_each_time_is_the_rigs_failure(retries: int, boots: int, tmp_path: Path) -> None:
    run = Run(tmp_path, losses=9, retries=retries, driver=None)
    assert (run.result.outcome, run.result.retries, run.machine.boots) == (Outcome.RIG, retries, boots)
    assert run.result.reason == f"boot {boots} came to nothing"
    assert len(run.result.notes) == retries
    assert ("begun anew" in run.said.getvalue()) is (retries > 0)


def test_a_broken_promise_is_not_tried_again(tmp_path: Path) -> None:
    faulty = build_driver(FAULTY, Arch.X64, tmp_path / "faulty.sys").path
    run = Run(tmp_path, losses=0, retries=3, driver=faulty)
    assert (run.result.outcome, run.result.retries, run.machine.boots) == (Outcome.BROKEN, 0, 1)
