"""A notify routine that returns with an ERESOURCE."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.runner import run_scenario
from harness.runs.trial import exercise
from harness.toolchain import Arch, build_driver

DRIVER = """#include <ntifs.h>

static ERESOURCE Resource;
static volatile LONG Calls;

static VOID NTAPI OnProcess(HANDLE Parent, HANDLE Id, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Parent);
    UNREFERENCED_PARAMETER(Id);
    if (Create && InterlockedIncrement(&Calls) == 2) {
        ExAcquireResourceExclusiveLite(&Resource, TRUE);
        if (RELEASES)
            ExReleaseResourceLite(&Resource);
    }
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
    ExDeleteResourceLite(&Resource);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    ExInitializeResourceLite(&Resource);
    return PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
}
"""


@pytest.mark.parametrize("releases", [False, True])
def test_who_takes_it_releases_it_before_the_routine_returns(releases: bool, tmp_path: Path) -> None:
    source = tmp_path / "holds.c"
    source.write_text(f"#define RELEASES {releases:d}\n{DRIVER}", encoding="utf-8", newline="\n")
    driver = build_driver(source, Arch.X64, tmp_path / "holds.sys").path
    with open_rig(machine="virtual", debugger="none", driver=driver, trace_folder=tmp_path / "traces") as rig:
        result = run_scenario(rig, exercise(), seed=1)
    if releases:
        assert (result.outcome, result.broken_rules) == (Outcome.PASSED, ())
        return
    (broken,) = result.broken_rules
    assert (result.outcome, broken.rule) == (Outcome.BROKEN, "ExclusiveResourceAccess")
    assert re.search(r"took at holds\.sys\+\w+ \(OnProcess, holds\.c:\d+\), by the routine", broken.message)
