"""A driver that registers one kind of callback alone breaks nothing that is promised of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.api import run
from harness.events import WitnessName
from harness.outcome import Outcome
from harness.toolchain import Arch, build_driver

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
SOURCE = """#include <ntddk.h>

#define SAY(Format, ...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, Format "\\n", __VA_ARGS__)

#ifdef PROCESSES
static VOID OnProcess(HANDLE Parent, HANDLE Process, BOOLEAN Create)
{
    SAY("one: %s %u of %u", Create ? "new" : "old", HandleToULong(Process), HandleToULong(Parent));
}
#define REGISTER() PsSetCreateProcessNotifyRoutine(OnProcess, FALSE)
#define REMOVE() PsSetCreateProcessNotifyRoutine(OnProcess, TRUE)
#endif

#ifdef THREADS
static VOID OnThread(HANDLE Process, HANDLE Thread, BOOLEAN Create)
{
    SAY("one: %s %u in %u", Create ? "begun" : "ended", HandleToULong(Thread), HandleToULong(Process));
}
#define REGISTER() PsSetCreateThreadNotifyRoutine(OnThread)
#define REMOVE() PsRemoveCreateThreadNotifyRoutine(OnThread)
#endif

#ifdef IMAGES
static VOID OnImage(PUNICODE_STRING Name, HANDLE Process, PIMAGE_INFO Info)
{
    UNREFERENCED_PARAMETER(Info);
    SAY("one: image %wZ in %u", Name, HandleToULong(Process));
}
#define REGISTER() PsSetLoadImageNotifyRoutine(OnImage)
#define REMOVE() PsRemoveLoadImageNotifyRoutine(OnImage)
#endif

static VOID Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    (VOID)REMOVE();
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    return REGISTER();
}
"""
FORMS = {
    "PROCESSES": [
        'process_create: "one: new {pid:d} of {parent_pid:d}"',
        'process_exit: "one: old {pid:d} of {:d}"',
    ],
    "THREADS": [
        'thread_create: "one: begun {tid:d} in {pid:d}"',
        'thread_exit: "one: ended {tid:d} in {pid:d}"',
    ],
    "IMAGES": ['image_load: "one: image {image:path} in {pid:d}"'],
}
TOLD_OF = {
    "PROCESSES": {"process_create", "process_exit"},
    "THREADS": {"thread_create", "thread_exit"},
    "IMAGES": {"image_load"},
}


@pytest.mark.parametrize("witness", ["print", "target"])
@pytest.mark.parametrize("kind", FORMS)
def test_a_shipped_scenario_judges_what_there_is(kind: str, witness: WitnessName, tmp_path: Path) -> None:
    source = tmp_path / "one.c"
    source.write_text(SOURCE, encoding="utf-8", newline="\n")
    driver = build_driver(source, Arch.X64, tmp_path / "one.sys", defines={kind: "1"}).path
    lines = tmp_path / "lines.yaml"
    forms = "".join(f"  - {form}\n" for form in FORMS[kind])
    lines.write_text(f"lines: one\ncomplete: true\nforms:\n{forms}", encoding="utf-8", newline="\n")
    paths = [SCENARIOS / f"{name}.yaml" for name in ("notepad-launch", "inject", "driver-load-unload")]
    series = run(paths, driver=driver, lines=lines, debugger="none", witness=witness, trace_dir=tmp_path)
    for result in series.results:
        nothing_of_it = kind == "THREADS" and result.scenario == "driver-load-unload"
        assert result.outcome is (Outcome.SKIPPED if nothing_of_it else Outcome.PASSED), result.reason
        assert result.verdict is not None
        said = " ".join(result.verdict.not_judged_lines)
        why = "line grammar gives" if witness == "print" else "callback of this driver was called"
        assert why in said
        unsaid = TOLD_OF[kind]
        assert not [word for word in unsaid if f"gives {word}" in said], said
