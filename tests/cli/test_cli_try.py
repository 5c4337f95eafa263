"""``procnotify try``: a driver alone, with what it did and what was wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.runs.trace_folder import through_latest
from harness.toolchain import Arch, build_driver, default_driver

SMALL = Path(__file__).resolve().parents[1] / "drivers" / "small" / "c"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_driver(SMALL, Arch.X64, tmp_path_factory.mktemp("try") / "small.sys").path


def tried(driver: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["try", str(driver), *options], standalone_mode=False)


def named(small: Path, name: str) -> Path:
    driver = small.with_name(f"{name}.sys")
    for suffix in (".sys", ".pdb"):
        shutil.copyfile(small.with_suffix(suffix), driver.with_suffix(suffix))
    return driver


def test_a_right_driver_shows_its_tree_with_its_prints(small: Path) -> None:
    result = tried(named(small, "tells-all"))
    assert result.return_value == 0, result.output
    lines = result.stdout.splitlines()
    launched, _ = [line for line in lines if line.startswith("actor.exe") and "helper: launch" in line]
    assert launched.partition("| ")[2].startswith("[DRIVER] Process Created. (")
    assert any(line.startswith("  notepad.exe ") for line in lines), "it stands in its parent"
    assert any("image probe-try.dll" in line and "ImagePath=" in line for line in lines)
    assert "nothing is left behind, and no standing rule is broken" in lines
    assert "[actor]" not in result.stdout
    assert "procnotify: unload_driver" in result.stderr and "procnotify: boot" not in result.stdout


def test_a_leak_is_told_with_its_call_and_can_be_switched_off(small: Path) -> None:
    driver = named(small, "keeps-reference")
    result = tried(driver)
    assert result.return_value == 1
    assert "UnloadReferences: keeps-reference.sys left behind" in result.stdout
    assert "(LooksUpProcess, small.c:" in result.stdout
    assert tried(driver, "--without-rule", "UnloadReferences").return_value == 0


def test_json_has_the_tree_and_the_rules(small: Path, tmp_path: Path) -> None:
    result = tried(named(small, "keeps-callback"), "--json", "--trace-dir", str(tmp_path / "traces"))
    found = json.loads(result.stdout)
    assert (result.return_value, found["exit_code"], found["outcome"]) == (4, 4, "bugcheck")
    assert [broken["rule"] for broken in found["broken_rules"]] == ["UnloadCallbacks"]
    assert any(row["what"].startswith("process ") and row["prints"] for row in found["tree"])
    assert through_latest(tmp_path / "traces" / "latest" / "try-1.jsonl").exists()


def test_the_projects_driver_is_judged_by_its_lines_too() -> None:
    result = tried(default_driver().path)
    assert result.return_value == 0, result.output
    assert "[procnotify] DriverUnload totals" in result.stdout


REFUSES = """#include <ntddk.h>

static VOID OnProcess(PEPROCESS Process, HANDLE Pid, PPS_CREATE_NOTIFY_INFO Info)
{
    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(Pid);
    if (Info != NULL && REFUSED(Info))
        Info->CreationStatus = STATUS_ACCESS_DENIED;
}

static VOID Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PsSetCreateProcessNotifyRoutineEx(OnProcess, TRUE);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    return PsSetCreateProcessNotifyRoutineEx(OnProcess, FALSE);
}
"""
NO_PROCESS = [
    "step 'create_remote_thread $notepad' was left out: there is no $notepad",
    "step 'terminate $notepad' was left out: there is no $notepad",
]


@pytest.mark.parametrize(
    ("refused", "first", "undone"),
    [
        (
            'wcsstr(Info->ImageFileName->Buffer, L"notepad")',
            "step 'launch notepad.exe' did not happen: Win32 error 5",
            5,
        ),
        ("TRUE", "step 'launch notepad.exe' did not happen", 9),
    ],
)
def test_a_driver_that_refuses_processes_is_tried_with_what_is_left(
    refused: str, first: str, undone: int, tmp_path: Path
) -> None:
    source = tmp_path / "refuses.c"
    source.write_text(f"#define REFUSED(Info) {refused}\n{REFUSES}", encoding="utf-8", newline="\n")
    driver = build_driver(source, Arch.X64, tmp_path / "refuses.sys", integrity_check=True).path
    result = tried(driver, "--json")
    found = json.loads(result.stdout)
    assert (result.return_value, found["outcome"], found["broken_rules"]) == (0, "passed", [])
    steps = [note for note in found["notes"] if note.startswith("step ")]
    assert steps[0].startswith(first), steps
    assert len(steps) == undone and set(NO_PROCESS) <= set(steps), steps
    assert steps[0] in tried(driver).stdout
    failing = tried(driver, "--fail-calls")
    assert "was not loaded  PsSetCreateProcessNotifyRoutineEx" in failing.stdout


ENDS_WITH_PROCESSES = """#include <ntifs.h>

static LIST_ENTRY Processes = {&Processes, &Processes};
static FAST_MUTEX Mutex;

typedef struct {
    LIST_ENTRY Entry;
    HANDLE Id;
} NODE;

static VOID NTAPI OnProcess(HANDLE Parent, HANDLE Id, BOOLEAN Create)
{
    NODE *Node, *Found = NULL;
    PLIST_ENTRY Entry;

    UNREFERENCED_PARAMETER(Parent);
    ExAcquireFastMutex(&Mutex);
    if (Create && (Node = ExAllocatePoolWithTag(NonPagedPool, sizeof(*Node), 'edoN')) != NULL) {
        Node->Id = Id;
        InsertTailList(&Processes, &Node->Entry);
    }
    for (Entry = Processes.Flink; !Create && Entry != &Processes; Entry = Entry->Flink)
        if (((NODE *)Entry)->Id == Id)
            Found = (NODE *)Entry;
    if (Found != NULL) {
        RemoveEntryList(&Found->Entry);
        ExFreePool(Found);
    }
    ExReleaseFastMutex(&Mutex);
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    ExInitializeFastMutex(&Mutex);
    if (!FOR_GOOD)
        Driver->DriverUnload = Unload;
    return PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
}
"""
"""Frees what it knows of a process where the process ends, and only there."""


def ends_with_processes(folder: Path, *, for_good: bool) -> Path:
    source = folder / "forgets.c"
    source.write_text(f"#define FOR_GOOD {for_good:d}\n{ENDS_WITH_PROCESSES}", encoding="utf-8", newline="\n")
    return build_driver(source, Arch.X64, folder / "forgets.sys").path


def test_what_is_kept_of_a_process_that_outlives_the_driver_is_found(tmp_path: Path) -> None:
    result = tried(ends_with_processes(tmp_path, for_good=False))
    assert result.return_value == 1
    assert "PoolTracking: forgets.sys left behind when it was unloaded: 1 pool allocation" in result.stdout


def test_a_driver_without_an_unload_routine_stays_loaded(tmp_path: Path) -> None:
    driver = ends_with_processes(tmp_path, for_good=True)
    result = tried(driver)
    assert result.return_value == 0
    assert "\nforgets.sys has no unload routine: it was not unloaded, nor loaded again\n" in result.stdout
    assert "\nit stays loaded, and no standing rule is broken\n" in result.stdout
    assert json.loads(tried(driver, "--json").stdout)["notes"][0].startswith("forgets.sys has no unload")


def test_what_is_no_driver_is_wrong_input(tmp_path: Path) -> None:
    result = tried(tmp_path / "none.sys")
    assert result.exception is not None and "cannot read the driver" in str(result.exception)
