"""What the virtual target does not do for a driver is told of each run, whoever listens."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from made_drivers import make_driver

from harness.cli import cli
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.runner import run_scenario
from harness.scenario import parse

DRIVER = r"""
#include <fltKernel.h>
static PFLT_FILTER Filter;
static FLT_PREOP_CALLBACK_STATUS NTAPI Pre(PFLT_CALLBACK_DATA d, PCFLT_RELATED_OBJECTS o, PVOID *c)
{
    BOOLEAN folder;
    (void)c;
    (void)FltIsDirectory(d->Iopb->TargetFileObject, o->Instance, &folder);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}
static NTSTATUS NTAPI FilterUnload(FLT_FILTER_UNLOAD_FLAGS f)
{
    (void)f;
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}
static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_READ, 0, Pre}, {IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION Registration = {.Size = sizeof Registration,
    .Version = FLT_REGISTRATION_VERSION, .OperationRegistration = Operations,
    .FilterUnloadCallback = FilterUnload};
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void)path;
    return FltRegisterFilter(driver, &Registration, &Filter);
}
"""
LIMITS = (
    "made.sys imports what virtual lacks, and called none of it: fltmgr.sys!FltIsDirectory",
    "made.sys registered a minifilter, and the virtual target calls it for no operation on a file:"
    " IRP_MJ_READ",
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("limits")
    make_driver(DRIVER, folder)
    return folder / "made.sys"


@pytest.mark.parametrize("debugger", ["none", "native"])
def test_they_are_notes_of_the_run(debugger: str, driver: Path, tmp_path: Path) -> None:
    text = "scenario: loads\nsummary: It loads.\nobserve: true\nsteps:\n  - exit: 0\n"
    with open_rig(
        machine="virtual", debugger=debugger, driver=driver, trace_folder=tmp_path / "traces"
    ) as rig:
        result = run_scenario(rig, parse(text, tmp_path / "loads.yaml"), seed=1)
    assert result.outcome is Outcome.PASSED, result.reason
    assert result.limits == LIMITS
    assert result.notes[-len(LIMITS) :] == LIMITS


def test_try_tells_them(driver: Path) -> None:
    result = CliRunner().invoke(cli, ["try", str(driver)], standalone_mode=False)
    assert result.return_value == 0, result.output
    assert set(LIMITS) <= set(result.stdout.splitlines())
