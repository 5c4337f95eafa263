"""Whoever listens hears the same: every shipped scenario with native, pykd and ntoseye, one seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.rig import Rig
from harness.runs.runner import run_scenario
from harness.scenario import load
from harness.toolchain import Arch, build_driver

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
SEED = 5


class Rigs:
    """A rig a debugger, opened when it is first asked for."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._open: dict[str, Rig] = {}

    def run(self, debugger: str, scenario: Path) -> RunResult:
        if debugger not in self._open:
            opening = open_rig(
                machine="virtual",
                debugger=debugger,
                driver=None,
                trace_folder=self._folder / debugger,
                retries=1,  # DbgEng hands a print on twice now and then, on a machine that is busy
            )
            self._open[debugger] = self._stack.enter_context(opening)
        return run_scenario(self._open[debugger], load(scenario), seed=SEED)


@pytest.fixture(scope="module")
def rigs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rigs]:
    with ExitStack() as stack:
        yield Rigs(stack, tmp_path_factory.mktemp("traces"))


def events_of(result: RunResult) -> list[bytes]:
    """The lines of a trace between its header and its footer."""
    assert result.trace is not None
    return result.trace.read_bytes().splitlines()[1:-1]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_events_are_the_same_whoever_listens(rigs: Rigs, other_debugger: str, path: Path) -> None:
    ours, theirs = rigs.run("native", path), rigs.run(other_debugger, path)
    assert theirs.outcome is Outcome.PASSED, theirs.reason
    assert theirs.release is not None
    assert theirs.release.running, theirs.left
    assert "its clock moved by" in theirs.left
    assert len(events_of(theirs)) > 15
    assert events_of(theirs) == events_of(ours)


@pytest.mark.parametrize(
    ("name", "scenario"),
    [
        ("dereferences_null_image_name", "notepad-launch"),
        ("forgets_to_unregister", "driver-load-unload"),
        ("loops_forever", "create-thread"),
        ("swaps_parent_and_child", "notepad-launch"),
    ],
)
def test_a_faulty_driver_is_judged_the_same_whoever_listens(
    other_debugger: str, name: str, scenario: str, tmp_path: Path
) -> None:
    driver = tmp_path / f"{name}.sys"
    build_driver(ROOT / "tests" / "drivers" / name, Arch.X64, driver)
    results = []
    for debugger in ("native", other_debugger):
        folder = tmp_path / debugger
        with open_rig(machine="virtual", debugger=debugger, driver=driver, trace_folder=folder) as rig:
            results.append(run_scenario(rig, load(ROOT / "scenarios" / f"{scenario}.yaml"), seed=SEED))
    ours, theirs = results
    assert theirs.outcome is ours.outcome is not Outcome.PASSED, theirs.reason
    if (other_debugger, name) == ("ntoseye", "forgets_to_unregister"):
        # Without the kernel's PDB it does not hear of images, so it cannot name one that is gone.
        assert ours.reason == f"{theirs.reason} in {name}.sys"
        return
    assert theirs.reason == ours.reason
    assert events_of(theirs) == events_of(ours)
