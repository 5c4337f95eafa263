"""Each call that may fail fails once: what a driver does not reckon with is found, and nothing else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from harness.callplaces import CallPlace
from harness.errors import UsageError
from harness.outcome import Outcome
from harness.report.faultmatrix import matrix_lines
from harness.runs import failingcalls
from harness.runs.failingcalls import FaultMatrix, Happened, fail_each_call
from harness.runs.opening import open_rig
from harness.scenario import Scenario
from harness.scenario.load import parse
from harness.toolchain import Arch, build_driver
from harness.virtual.kernel import callfailures
from harness.virtual.kernel.exports import EXPORTS
from harness.virtual.kernel.failures import FAILURES

DRIVERS = Path(__file__).resolve().parent
SHORT = """\
scenario: short
summary: A process comes and goes.
observe: true
steps:
  - load_driver
  - exit: 0
  - unload_driver
"""
Matrices = Callable[..., FaultMatrix]


class UnableMachine:
    """One without the capability."""

    name = "lab"


class Planted(NamedTuple):
    """What one driver does not reckon with, and what that comes to."""

    routine: str
    during: str
    happened: Happened
    followed: str


BUGCHECK, RULE = Happened.BUGCHECK, Happened.RULE
ALLOCATION, ENTRY = "ExAllocatePoolWithTag", "DriverEntry"
PLANTED = {
    "fills-pool": Planted(ALLOCATION, ENTRY, BUGCHECK, r"0x0000007e.*NullCheck: .*FillsPool"),
    "notes-process": Planted(ALLOCATION, "process_exit", BUGCHECK, r"NullCheck: .*Note"),
    "notes-thread": Planted(ALLOCATION, "thread_create", BUGCHECK, r"NullCheck: .*Note"),
    "notes-image": Planted(ALLOCATION, "image_load", BUGCHECK, r"NullCheck: .*Note"),
    "looks-up-process": Planted(
        "PsLookupProcessByProcessId", "process_create|process_exit", BUGCHECK, "REFERENCE_BY_POINTER"
    ),
    "looks-up-thread": Planted(
        "PsLookupThreadByThreadId", "thread_create|thread_exit", BUGCHECK, "REFERENCE_BY_POINTER"
    ),
    "opens-process": Planted(
        "ObOpenObjectByPointer", "process_create", RULE, r"UnloadReferences: .*OpensProcess"
    ),
    "starts-thread": Planted(
        "PsCreateSystemThread|ObReferenceObjectByHandle", ENTRY, BUGCHECK, r"NullCheck: .*JoinsThread"
    ),
    "keeps-handle": Planted("ObReferenceObjectByHandle", ENTRY, RULE, r"UnloadHandles: .*KeepsHandle"),
    "allocates-twice": Planted(ALLOCATION, ENTRY, RULE, r"PoolTracking: .*Allocate,"),
    "registers-two": Planted(
        "PsSetLoadImageNotifyRoutine", ENTRY, RULE, r"UnloadCallbacks: .*Thread.*RegistersTwo"
    ),
    "makes-link": Planted("IoCreateSymbolicLink", ENTRY, RULE, r"UnloadDevices: .*MakesLink"),
    "leaves-resource": Planted(ALLOCATION, ENTRY, RULE, r"UnloadResources: .*LeavesResource"),
    "leaves-timer": Planted(ALLOCATION, ENTRY, RULE, r"UnloadTimers: .*LeavesTimer"),
    "sets-flags": Planted("IoCreateDevice", ENTRY, BUGCHECK, r"NullCheck: .*SetsFlags"),
    "queues-work": Planted("IoAllocateWorkItem", ENTRY, BUGCHECK, r"QueuesWork"),
    "builds-mdl": Planted("IoAllocateMdl", ENTRY, BUGCHECK, r"NullCheck: .*BuildsMdl"),
    "reads-name": Planted("RtlAnsiStringToUnicodeString", ENTRY, BUGCHECK, r"NullCheck: .*ReadsName"),
    "locks-thread": Planted(ALLOCATION, "thread_create|thread_exit", BUGCHECK, r"LocksThread"),
    "wants-images": Planted("PsSetLoadImageNotifyRoutine", ENTRY, RULE, r"CallbackRefused: .*WantsImages"),
    "wants-processes": Planted(
        "PsSetCreateProcessNotifyRoutine", ENTRY, RULE, r"CallbackRefused: .*WantsProcesses"
    ),
}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return parse(SHORT, Path("short"))


@pytest.fixture(scope="module")
def unchecked(tmp_path_factory: pytest.TempPathFactory, scenario: Scenario) -> Iterator[Matrices]:
    """The matrix of a driver by its name: all are one file."""
    folder = tmp_path_factory.mktemp("unchecked")
    built = build_driver(DRIVERS / "unchecked_calls", Arch.X64, folder / "unchecked.sys").path

    def matrix(name: str, **options: Any) -> FaultMatrix:
        driver = folder / f"{name}.sys"
        for suffix in (".sys", ".pdb"):
            shutil.copyfile(built.with_suffix(suffix), driver.with_suffix(suffix))
        with open_rig(machine="virtual", debugger="none", driver=driver, trace_folder=folder) as rig:
            return fail_each_call(rig, scenario, 1, **options)

    yield matrix


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_call_is_found_and_no_other(unchecked: Matrices, name: str) -> None:
    planted, matrix = PLANTED[name], unchecked(name)
    assert matrix.unharmed.outcome is Outcome.PASSED, matrix.unharmed
    alarms = [call for call in matrix.calls if call.outcome is not Outcome.PASSED]
    assert alarms and {call.happened for call in alarms} == {planted.happened}, matrix.calls
    for call in alarms:
        assert call.place is not None
        assert "unchecked.c:" in call.site
        assert re.fullmatch(planted.routine, call.place.routine)
        assert re.fullmatch(planted.during, call.place.during)
        assert re.search(planted.followed, " ".join(call.followed)), call.followed


@pytest.mark.parametrize("name", PLANTED)
def test_a_driver_that_reckons_with_it_raises_no_alarm(unchecked: Matrices, name: str) -> None:
    matrix = unchecked(f"{name}-checked")
    assert matrix.outcome is Outcome.PASSED, matrix
    assert matrix.calls and {call.happened for call in matrix.calls} <= {
        Happened.NOTHING,
        Happened.NOT_LOADED,
    }


def test_a_driver_that_wants_what_the_target_lacks_is_not_judged_there(unchecked: Matrices) -> None:
    (call,) = unchecked("falls-back").calls
    assert (call.happened, call.outcome) == (Happened.NOT_JUDGED, Outcome.RIG)
    assert "FallsBack" in call.followed[0] and "MmAllocateContiguousMemory" in call.followed[0]


def test_the_same_seed_gives_the_same_matrix(unchecked: Matrices) -> None:
    assert unchecked("looks-up-thread") == unchecked("looks-up-thread")


def test_one_routine_that_allocates_for_many_is_many_places(unchecked: Matrices) -> None:
    calls = [call for call in unchecked("allocates-twice").calls if call.place is not None]
    happened = [call.happened for call in calls if call.place and call.place.routine == ALLOCATION]
    assert happened == [Happened.NOT_LOADED, Happened.RULE]


def test_a_driver_that_is_at_fault_anyway_has_no_matrix(unchecked: Matrices) -> None:
    matrix = unchecked("has-no-such-habit")
    assert (matrix.outcome, matrix.calls) == (Outcome.BROKEN, ())
    assert "did not load" in matrix.unharmed.followed[0]
    assert next(iter(matrix_lines(matrix))).endswith("no call failed, and the driver is at fault already:")


def test_places_beyond_the_limit_are_counted(unchecked: Matrices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callfailures, "MAX_PLACES", 1)
    matrix = unchecked("queues-work-checked")
    assert (len(matrix.calls), matrix.beyond) == (1, 1)
    assert list(matrix_lines(matrix))[-1] == "1 calls at further places: there are more than are tried"


def test_wrong_input_of_the_run_without_a_failure_is_the_user_s(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_capture: object) -> None:
        raise UsageError("cannot read notes.txt for the guest")

    monkeypatch.setattr(failingcalls.DirectCapture, "run", refuses)
    with (
        open_rig(machine="virtual", debugger="none", driver=None, trace_folder=tmp_path) as rig,
        pytest.raises(UsageError, match=r"cannot read notes\.txt"),
    ):
        fail_each_call(rig, scenario, 1)


def test_ctrl_c_leaves_what_was_found(unchecked: Matrices) -> None:
    def interrupts(number: int, of: int, place: CallPlace) -> None:
        if number == of:
            raise KeyboardInterrupt

    matrix = unchecked("queues-work-checked", begins=interrupts)
    assert (matrix.interrupted, len(matrix.calls)) == (True, 1)
    assert list(matrix_lines(matrix))[-1].startswith("interrupted")


def test_the_project_s_own_driver_raises_no_alarm(scenario: Scenario, tmp_path: Path) -> None:
    with open_rig(machine="virtual", debugger="none", driver=None, trace_folder=tmp_path) as rig:
        matrix = fail_each_call(rig, scenario, 1)
        with pytest.raises(UsageError, match="cannot let calls of a driver fail"):
            fail_each_call(replace(rig, machine=UnableMachine()), scenario, 1)
    assert matrix.outcome is Outcome.PASSED
    assert {call.happened for call in matrix.calls} == {Happened.NOT_LOADED}
    assert len(matrix.calls) == 3
    assert not tuple(tmp_path.iterdir())


def test_every_failure_is_of_an_export_and_looks_at_arguments_that_it_has() -> None:
    assert FAILURES.keys() <= EXPORTS.keys()
    for name, failure in FAILURES.items():
        assert failure.result == 0 or failure.result >= 0xC000_0000, name
        assert failure.routine < EXPORTS[name].arguments, name
    registration = FAILURES["PsSetCreateProcessNotifyRoutine"]
    assert registration.may_fail((1, 0, 0, 0)) and not registration.may_fail((1, 1, 0, 0))
    converts = FAILURES["RtlAnsiStringToUnicodeString"]
    assert converts.may_fail((1, 2, 1, 0)) and not converts.may_fail((1, 2, 0, 0))
    raises = FAILURES["ExAllocatePool2"]
    assert raises.may_fail((0x42, 64, 0, 0)) and not raises.may_fail((0x62, 64, 0, 0))
