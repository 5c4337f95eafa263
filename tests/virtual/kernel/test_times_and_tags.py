"""Times in parts and in seconds, and the references and handles that have a tag."""

from __future__ import annotations

from pathlib import Path

from harness.events import Print
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.runner import run_scenario
from harness.runs.trial import exercise
from harness.toolchain import Arch, build_driver
from harness.trace.sources import open_trace

DRIVER = r"""#include <ntifs.h>

#define LOG(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "told " __VA_ARGS__)

static VOID Back(CSHORT Year, CSHORT Month, CSHORT Day, CSHORT Hour)
{
    TIME_FIELDS Fields = {Year, Month, Day, Hour, 59, 58, 997, 0}, Again;
    LARGE_INTEGER Time = {.QuadPart = 0};
    BOOLEAN Made = RtlTimeFieldsToTime(&Fields, &Time);

    RtlTimeToTimeFields(&Time, &Again);
    LOG("%d %I64d %d-%d-%d %d:%d:%d.%d\n", Made, Time.QuadPart, Again.Year, Again.Month, Again.Day,
        Again.Hour, Again.Minute, Again.Second, Again.Milliseconds);
}

static VOID Seconds(ULONG Count)
{
    LARGE_INTEGER Time;
    ULONG Since = 0;
    BOOLEAN Made;

    RtlSecondsSince1970ToTime(Count, &Time);
    LOG("%I64d\n", Time.QuadPart);
    Made = RtlTimeToSecondsSince1970(&Time, &Since);
    LOG("%d %lu\n", Made, Since);
    Made = RtlTimeToSecondsSince1980(&Time, &Since);
    LOG("%d %lu\n", Made, Since);
}

static VOID Tags(VOID)
{
    HANDLE Handle = NULL;
    PEPROCESS Process = NULL;
    NTSTATUS Status;

    Status = ObOpenObjectByPointerWithTag(PsInitialSystemProcess, OBJ_KERNEL_HANDLE, NULL,
                                          PROCESS_ALL_ACCESS, *PsThreadType, KernelMode, 'gaT1', &Handle);
    LOG("0x%lx\n", Status);
    Status = ObOpenObjectByPointerWithTag(PsInitialSystemProcess, OBJ_KERNEL_HANDLE, NULL,
                                          PROCESS_ALL_ACCESS, *PsProcessType, KernelMode, 'gaT1', &Handle);
    LOG("0x%lx\n", Status);
    Status = ObReferenceObjectByHandleWithTag(Handle, 0, *PsProcessType, KernelMode, 'gaT1',
                                              (PVOID *)&Process, NULL);
    LOG("0x%lx %d\n", Status, Process == PsInitialSystemProcess);
    if (NT_SUCCESS(Status) && !KEEPS)
        ObDereferenceObjectWithTag(Process, 'gaT1');
    ZwClose(Handle);
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    Back(2024, 2, 29, 23);
    Back(2023, 2, 29, 23);
    Back(1601, 1, 1, 0);
    Back(30827, 12, 31, 23);
    Back(2024, 1, 1, 24);
    Seconds(0);
    Seconds(0xFFFFFFFF);
    Tags();
    return STATUS_SUCCESS;
}
"""
TOLD = """
1 133537247989970000 2024-2-29 23:59:58.997
0 0 1601-1-1 0:0:0.0
1 35989970000 1601-1-1 0:59:58.997
1 9223149887989970000 30827-12-31 23:59:58.997
0 0 1601-1-1 0:0:0.0
116444736000000000
1 0
0 0
159394408950000000
1 4294967295
1 3979434495
0xc0000024
0x0
0x0 1
"""


def tried(folder: Path, keeps: bool) -> tuple[Outcome, list[str], list[str]]:
    """The outcome, what the driver told of itself, and the rules that it broke."""
    source = folder / "times.c"
    source.write_text(f"#define KEEPS {keeps:d}\n{DRIVER}", encoding="utf-8", newline="\n")
    driver = build_driver(source, Arch.X64, folder / "times.sys").path
    with open_rig(machine="virtual", debugger="none", driver=driver, trace_folder=folder / "traces") as rig:
        result = run_scenario(rig, exercise(), seed=1)
    assert result.trace is not None
    lines = [event.line for event in open_trace(result.trace) if isinstance(event, Print)]
    told = [line.removeprefix("told ") for line in lines if line is not None and line.startswith("told ")]
    return result.outcome, told, [broken.rule for broken in result.broken_rules]


def test_times_and_tagged_references_are_as_on_windows(tmp_path: Path) -> None:
    outcome, told, broken = tried(tmp_path, keeps=False)
    expected = TOLD.split("\n")[1:-1]
    assert (outcome, told, broken) == (Outcome.PASSED, expected * 2, []), "it is loaded twice"


def test_a_reference_with_a_tag_is_one_that_can_be_left_behind(tmp_path: Path) -> None:
    outcome, _, broken = tried(tmp_path, keeps=True)
    assert (outcome, broken) == (Outcome.BROKEN, ["UnloadReferences"])
