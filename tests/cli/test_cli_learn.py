"""``procnotify learn``: exit codes and documents, where nothing can be learnt or the driver ends the run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.toolchain import Arch, build_driver

SOURCE = """#include <ntddk.h>
NTSYSAPI NTSTATUS NTAPI ZwQueryLicenseValue(PUNICODE_STRING, PULONG, PVOID, ULONG, PULONG);
NTSYSAPI NTSTATUS NTAPI ZwSetSystemTime(PLARGE_INTEGER, PLARGE_INTEGER);

static void OnProcess(HANDLE parent, HANDLE process, BOOLEAN create)
{
    UNREFERENCED_PARAMETER(parent);
    UNREFERENCED_PARAMETER(process);
    if (create && FAULTS)
        *(volatile ULONG *)16 = 1;
}

static void Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    if (REGISTERS)
        PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    if (path == NULL)
        ZwSetSystemTime(NULL, NULL);
    if (ASKS)
        ZwQueryLicenseValue(path, NULL, NULL, 0, NULL);
    return REGISTERS ? PsSetCreateProcessNotifyRoutine(OnProcess, FALSE) : STATUS_SUCCESS;
}
"""
NOTHING = {"written": None, "grammar": None, "forms": [], "read": 0, "complete": False}


def built(folder: Path, *, registers: bool = False, asks: bool = False, faults: bool = False) -> Path:
    macros = {"REGISTERS": registers, "ASKS": asks, "FAULTS": faults}
    defined = "".join(f"#define {name} {value:d}\n" for name, value in macros.items())
    (folder / "it.c").write_text(defined + SOURCE, encoding="utf-8", newline="")
    return build_driver(folder / "it.c", Arch.X64, folder / "it.sys").path


def learnt(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["learn", *map(str, words), "--json"], standalone_mode=False)


@pytest.mark.parametrize(
    ("registers", "told", "not_known"),
    [
        (
            True,
            "no line is known to report a callback; nothing is written",
            ["process_create", "process_exit"],
        ),
        (False, "the target called no callback of this driver", []),
    ],
)
def test_a_driver_of_which_nothing_can_be_learnt_leaves_no_file(
    tmp_path: Path, registers: bool, told: str, not_known: list[str]
) -> None:
    out = tmp_path / "it.lines.yaml"
    result = learnt(built(tmp_path, registers=registers), "--out", out)
    document = json.loads(result.stdout)
    assert (result.return_value, document["exit_code"]) == (1, 1)
    assert {key: document[key] for key in NOTHING} == NOTHING
    assert [doubt.partition(":")[0] for doubt in document["not_known"]] == not_known
    assert (document["calls"] > 0) is bool(not_known)
    assert told in result.stderr
    assert not out.exists()


def failed(driver: Path) -> tuple[int, str]:
    """What the whole command ends with: its exit code, and the error of its document."""
    words = [sys.executable, "-m", "harness", "learn", str(driver), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", check=False)
    document = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode
    assert document["error"] in done.stderr
    return done.returncode, document["error"]


def test_all_that_the_target_lacks_is_told_at_once(tmp_path: Path) -> None:
    code, error = failed(built(tmp_path, registers=True, asks=True))
    assert code == 2
    assert error.startswith("it.sys calls ZwQueryLicenseValue, which the virtual target lacks, at it.sys+0x")
    assert "(DriverEntry, it.c:" in error
    assert error.endswith("missing as well: ZwSetSystemTime")


def test_a_bugcheck_is_told_with_its_function_and_line(tmp_path: Path) -> None:
    code, error = failed(built(tmp_path, registers=True, faults=True))
    line = 1 + 3 + SOURCE.splitlines().index("        *(volatile ULONG *)16 = 1;")
    assert code == 4
    assert re.search(rf" in it\.sys, instruction at it\.sys\+0x[0-9a-f]+ \(OnProcess, it\.c:{line}\)$", error)
