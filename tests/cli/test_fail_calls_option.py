"""``--fail-calls``: what is shown, the exit code, and what it does not go together with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.callplaces import CallPlace
from harness.cli import cli
from harness.errors import UsageError
from harness.report.faultmatrix import matrix_as_json, matrix_lines
from harness.runs.failingcalls import FailedCall, FaultMatrix, Happened

PLACE = CallPlace("x.sys", "ExAllocatePoolWithTag", (0x12, 0x345), "process_exit")
CRASH = FailedCall(PLACE, PLACE.site, 0, Happened.BUGCHECK, ("the target bugchecked", "NullCheck: x.sys"))
REFUSED = FailedCall(
    PLACE._replace(routine="IoCreateDevice"), "x.sys+0x9", 0xC000009A, Happened.NOT_LOADED, ("not told",)
)
UNHARMED = FailedCall(None, "", None, Happened.NOTHING, ())


def test_the_table_tells_what_followed_where_the_driver_is_at_fault() -> None:
    lines = list(matrix_lines(FaultMatrix("short", 7, UNHARMED, (REFUSED, CRASH), 0)))
    assert lines == [
        "short (seed 7): 2 calls failed, one in each run; the driver was not loaded in 1, bugchecks in 1",
        "came of it      call                   in            at",
        "was not loaded  IoCreateDevice         process_exit  x.sys+0x9",
        "bugchecks       ExAllocatePoolWithTag  process_exit  x.sys+0x12 <- x.sys+0x345",
        "    the target bugchecked",
        "    NullCheck: x.sys",
    ]


def test_a_rig_that_fails_is_no_fault_of_the_driver() -> None:
    lost = FailedCall(None, "", None, Happened.NOT_JUDGED, ("the target is lost",))
    lines = list(matrix_lines(FaultMatrix("short", 7, lost, (), 0)))
    assert lines == [
        "short (seed 7): no call failed, and the run without a failure cannot be judged:",
        "    the target is lost",
    ]


def test_the_document_has_every_call_and_the_worst_exit_code() -> None:
    document = matrix_as_json(FaultMatrix("short", 7, UNHARMED, (REFUSED, CRASH), 3))
    assert (document["exit_code"], document["places_beyond"]) == (4, 3)
    calls = document["calls"]
    assert isinstance(calls, list)
    assert [call["returned"] for call in calls] == [
        "NTSTATUS 0xc000009a (STATUS_INSUFFICIENT_RESOURCES: insufficient resources)",
        "NULL",
    ]


WITHOUT_DEBUGGER = ("run", "scenarios", "--fail-calls", "--debugger", "none")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (WITHOUT_DEBUGGER[:3], "no use for the debugger native; add --debugger none"),
        ((*WITHOUT_DEBUGGER, "--seeds", "1-3"), "--seeds has no meaning"),
        ((*WITHOUT_DEBUGGER, "--junit", "x.xml"), "--junit has no meaning"),
        (("try", "x.sys", "--fail-calls", "--trace-dir", "t"), "keeps no traces; leave out --trace-dir"),
    ],
)
def test_what_means_nothing_beside_it_is_refused(words: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(cli, words)
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)


def test_the_project_s_own_driver_goes_through_it(tmp_path: Path) -> None:
    scenario = tmp_path / "short.yaml"
    scenario.write_text(
        "scenario: short\nsummary: A process.\nobserve: true\nsteps:\n  - exit: 0\n", encoding="utf-8"
    )
    result = CliRunner().invoke(cli, ["run", str(scenario), "--debugger", "none", "--fail-calls", "--json"])
    document = json.loads(result.stdout)
    (matrix,) = document["matrices"]
    assert (result.exit_code, document["exit_code"], matrix["scenario"]) == (0, 0, "short")
    assert [call["routine"] for call in matrix["calls"]] == [
        "PsSetCreateProcessNotifyRoutine",
        "PsSetCreateThreadNotifyRoutine",
        "PsSetLoadImageNotifyRoutine",
    ]
    assert "call 3 of 3: PsSetLoadImageNotifyRoutine in DriverEntry" in result.stderr
    assert "the driver was not loaded in 3" in result.stderr
