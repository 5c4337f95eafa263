"""What a machine has to show of a run lies beside the trace of one that did not pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

import harness.runs.opening
from harness.errors import TargetLost
from harness.machines.base import BootOptions
from harness.machines.virtual import VirtualMachine
from harness.outcome import Outcome
from harness.runs.debugged import DebuggedCapture
from harness.runs.opening import open_rig
from harness.runs.rig import Rig
from harness.runs.runner import run_scenario
from harness.scenario import load

SCENARIO = load(Path(__file__).resolve().parents[2] / "scenarios" / "create-thread.yaml")
SHOWN = {"console.log": b"panic\n", "screen.png": b"\x89PNG"}


class ShowingMachine(VirtualMachine):
    """Does not start, and has something to show of it."""

    asked = 0

    def start(self, boot: BootOptions) -> None:
        raise TargetLost("it does not start")

    def artifacts(self) -> Mapping[str, bytes]:
        self.asked += 1
        return SHOWN


@contextmanager
def rig_of(machine: ShowingMachine, folder: Path) -> Iterator[Rig]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness.runs.opening, "open_machine", lambda name: machine)
        with open_rig(machine="showing", debugger="native", driver=None, trace_folder=folder) as rig:
            yield rig


def test_of_a_run_that_failed_it_is_kept_also_without_a_trace(tmp_path: Path) -> None:
    with rig_of(ShowingMachine(), tmp_path) as rig:
        result = run_scenario(rig, SCENARIO, seed=7)
        again = run_scenario(rig, SCENARIO, seed=8)
    assert (result.outcome, result.trace, again.outcome) == (Outcome.RIG, None, Outcome.RIG)
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*/*") if path.suffix != ".jsonl"}
    wanted = {f"create-thread-{seed}.{name}": data for seed in (7, 8) for name, data in SHOWN.items()}
    assert {name: kept.get(name) for name in wanted} == wanted


def test_of_a_run_that_passed_nothing_is_asked_for(tmp_path: Path) -> None:
    machine = ShowingMachine()
    with rig_of(machine, tmp_path) as rig:
        DebuggedCapture(rig, SCENARIO, 1).finish(Outcome.PASSED.words, "", complete=True)
    assert machine.asked == 0
    assert not list(tmp_path.rglob("create-thread*"))


def test_what_cannot_be_written_is_told_beside_the_verdict(tmp_path: Path) -> None:
    with rig_of(ShowingMachine(), tmp_path) as rig:
        folder = rig.traces.new_trace(SCENARIO.path, 1).parent
        (folder / "create-thread-1~2.console.log").mkdir()
        result = run_scenario(rig, SCENARIO, seed=1)
    assert result.outcome is Outcome.USAGE
    assert "choose another --trace-dir" in result.reason, result
    assert "the verdict was: rig failed: it does not start" in result.reason, result
