"""A bugcheck that no rule explains names the instruction at fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.api import check, run
from harness.outcome import Outcome
from harness.toolchain import Arch, build_driver

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "create-thread.yaml"
SOURCE = """#include <ntddk.h>

static VOID OnThread(HANDLE Process, HANDLE Thread, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(Thread);
    if (Create)
        *(volatile ULONG *)(ULONG_PTR)0xFFFF800012345678 = 1;
}

static VOID Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PsRemoveCreateThreadNotifyRoutine(OnThread);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    return PsSetCreateThreadNotifyRoutine(OnThread);
}
"""


@pytest.mark.parametrize("debugger", ["none", "native"])
def test_a_wild_pointer_names_its_function_and_line(debugger: str, tmp_path: Path) -> None:
    source = tmp_path / "wild.c"
    source.write_text(SOURCE, encoding="utf-8", newline="\n")
    driver = build_driver(source, Arch.X64, tmp_path / "wild.sys").path
    series = run(SCENARIO, driver=driver, debugger=debugger, trace_dir=tmp_path / "traces")
    (result,) = series.results
    assert result.outcome is Outcome.BUGCHECK
    crash = result.verdict.bugcheck
    assert crash is not None and crash.offset is not None
    at = f"wild.sys+0x{crash.offset:x}"
    assert result.reason.endswith(f" in wild.sys, instruction at {at} (OnThread, wild.c:8)")
    assert result.trace is not None
    again = check(result.trace, SCENARIO)
    assert again.outcome is Outcome.BUGCHECK
    assert again.reason.endswith(f" in wild.sys, instruction at {at}")
