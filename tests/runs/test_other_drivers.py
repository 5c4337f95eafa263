"""Drivers that are loaded beside the one under test."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from run_doubles import ScriptedDebugger, ScriptedGuest, ScriptedMachine, scenario_of

from harness.errors import DriverFileError, UsageError
from harness.guests.base import ActionResult
from harness.machines.base import MachineStatus
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.rig import GuestFiles, Rig
from harness.runs.runner import run_scenario
from harness.runs.steps import GuestDriver
from harness.runs.trace_folder import TraceFolder
from harness.toolchain import default_driver


class GuestMachine(ScriptedMachine):
    """A machine with a guest that does everything."""

    def __init__(self, guest: ScriptedGuest) -> None:
        super().__init__(MachineStatus("running", 0))
        self._guest = guest

    def guest(self) -> ScriptedGuest:
        return self._guest


def rig_of(guest: ScriptedGuest, debugger: ScriptedDebugger, folder: Path) -> Rig:
    names = ("mine", "bus", "filter")
    tested, bus, upper = (GuestDriver(name, f"{name}.sys", b"MZ") for name in names)
    return Rig(
        GuestMachine(guest),
        lambda connection: debugger,
        tested,
        GuestFiles(b"", b""),
        TraceFolder(folder, now=lambda: datetime(2026, 1, 2, tzinfo=UTC), token=lambda: "abcdef"),
        other_drivers=(bus, upper),
    )


def result_of(guest: ScriptedGuest, debugger: ScriptedDebugger, folder: Path) -> RunResult:
    return run_scenario(rig_of(guest, debugger, folder), scenario_of("  - exit: 0"), seed=1)


def test_they_are_loaded_before_it_and_unloaded_after_it(tmp_path: Path) -> None:
    debugger = ScriptedDebugger()
    guest = ScriptedGuest(debugger)
    result_of(guest, debugger, tmp_path)
    done = [call[:2] for call in guest.calls if call[0] != "put"]
    assert done == [
        ("load_driver", "bus"),
        ("load_driver", "filter"),
        ("load_driver", "mine"),
        ("act", "exit"),
        ("unload_driver", "mine"),
        ("unload_driver", "filter"),
        ("unload_driver", "bus"),
        ("act", "sleep"),
    ]


def test_one_of_them_that_does_not_load_is_the_rigs_failure(tmp_path: Path) -> None:
    debugger = ScriptedDebugger()
    guest = ScriptedGuest(debugger)
    guest.load_status = 0xC0000428
    result = result_of(guest, debugger, tmp_path)
    assert result.outcome is Outcome.RIG
    assert "bus.sys, which is not under test, did not load: NTSTATUS 0xc0000428" in result.reason
    assert [call[1] for call in guest.calls if call[0] == "load_driver"] == ["bus"]


def test_one_of_them_that_does_not_unload_is_the_rigs_failure(tmp_path: Path) -> None:
    class Guest(ScriptedGuest):
        def unload_driver(self, name: str) -> int:
            return super().unload_driver(name) if name == "mine" else 0xC0000010

    debugger = ScriptedDebugger()
    result = result_of(Guest(debugger), debugger, tmp_path)
    assert result.outcome is Outcome.RIG
    assert "filter.sys, which is not under test, did not unload: NTSTATUS 0xc0000010" in result.reason


def test_two_drivers_of_one_name_are_refused(tmp_path: Path) -> None:
    our_driver = default_driver().path
    twin = tmp_path / our_driver.name.upper()
    twin.write_bytes(our_driver.read_bytes())
    with (
        pytest.raises(DriverFileError, match="two drivers are called"),
        open_rig(
            machine="virtual",
            debugger="native",
            driver=our_driver,
            other_drivers=[twin],
            trace_folder=tmp_path,
        ),
    ):
        pytest.fail("opened")


def test_a_run_that_finds_wrong_input_keeps_its_folder_from_being_a_passing_one(tmp_path: Path) -> None:
    def refuse() -> ActionResult:
        raise UsageError("no such program")

    debugger = ScriptedDebugger()
    guest = ScriptedGuest(debugger)
    rig = rig_of(guest, debugger, tmp_path)
    rig.traces.note(Outcome.PASSED)
    guest.refusal = refuse
    with pytest.raises(UsageError, match="no such program"):
        run_scenario(rig, scenario_of("  - exit: 0"), seed=1)
    rig.traces.close()
    assert rig.traces.path is not None
    assert (rig.traces.path / "outcome.txt").read_text(encoding="utf-8") == "wrong input\n"
