"""``--kdfiles``: the driver comes from the debugger, and nothing that it says differs for that."""

from __future__ import annotations

from pathlib import Path

import pytest

import harness
from harness.errors import UsageError
from harness.guests.virtual import VirtualGuest
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.runner import run_scenario
from harness.runs.serveddrivers import STAND_IN
from harness.scenario import load

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "driver-load-unload.yaml"


def run(debugger: str, folder: Path, *, kdfiles: bool) -> RunResult:
    with open_rig(
        machine="virtual", debugger=debugger, driver=None, trace_folder=folder, kdfiles=kdfiles
    ) as rig:
        return run_scenario(rig, load(SCENARIO), seed=5)


def events_of(result: RunResult) -> list[bytes]:
    """The lines of a trace between its header and its footer."""
    assert result.trace is not None
    return result.trace.read_bytes().splitlines()[1:-1]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What is put in the guest, by name."""
    found: dict[str, bytes] = {}
    put = VirtualGuest.put

    def noted(self: VirtualGuest, name: str, data: bytes) -> str:
        found[name] = data
        return put(self, name, data)

    monkeypatch.setattr(VirtualGuest, "put", noted)
    return found


@pytest.mark.parametrize("debugger", ["native", "pykd"])
def test_a_driver_from_the_debugger_says_what_it_says_from_the_disk(
    debugger: str, request: pytest.FixtureRequest, stored: dict[str, bytes], tmp_path: Path
) -> None:
    if debugger != "native":
        request.getfixturevalue(debugger)
    served = run(debugger, tmp_path / "served", kdfiles=True)
    assert served.outcome is Outcome.PASSED, served.reason
    assert stored["procnotify.sys"] == STAND_IN
    assert stored["actor.exe"][:2] == b"MZ"
    own = run("none", tmp_path / "own", kdfiles=False)
    assert len(events_of(own)) > 15
    assert events_of(served) == events_of(own)


def test_python_code_may_ask_for_it(stored: dict[str, bytes], tmp_path: Path) -> None:
    series = harness.run(SCENARIO, kdfiles=True, trace_dir=tmp_path)
    assert series.outcome is Outcome.PASSED
    assert stored["procnotify.sys"] == STAND_IN
    with pytest.raises(UsageError, match="--debugger none has no files for it"):
        harness.run(SCENARIO, kdfiles=True, debugger="none", trace_dir=tmp_path)


@pytest.mark.parametrize("debugger", ["none", "ntoseye"])
def test_who_hands_out_no_files_is_refused(
    debugger: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if debugger != "none":
        request.getfixturevalue(debugger)
    with pytest.raises(UsageError, match=f"--debugger {debugger} has no files for it") as refused:
        run(debugger, tmp_path, kdfiles=True)
    assert "choose --debugger native or pykd" in refused.value.hint
    assert not list(tmp_path.iterdir())
