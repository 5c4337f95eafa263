"""A driver's callback refuses a process: what its creator is told, and what is reported of it."""

from __future__ import annotations

import pytest
from booted import ListedDebugger
from made_drivers import force_integrity, make_driver
from recorder import Recorder

from harness.errors import GuestError
from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.target import VirtualTarget

REFUSES = r"""
#include <ntddk.h>
static BOOLEAN EndsWith(PCUNICODE_STRING Name, PCWSTR End)
{
    UNICODE_STRING Wanted, Last;
    RtlInitUnicodeString(&Wanted, End);
    if (Name == NULL || Name->Length < Wanted.Length)
        return FALSE;
    Last.Length = Last.MaximumLength = Wanted.Length;
    Last.Buffer = Name->Buffer + (Name->Length - Wanted.Length) / sizeof(WCHAR);
    return RtlEqualUnicodeString(&Last, &Wanted, TRUE);
}
static VOID NTAPI Refuse(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    LARGE_INTEGER While;
    UNREFERENCED_PARAMETER(Process);
    if (Info == NULL || !EndsWith(Info->ImageFileName, L"notepad.exe"))
        return;
    Info->CreationStatus = STATUS_ACCESS_DENIED;
    While.QuadPart = -10 * 1000 * 50;  /* others are created meanwhile */
    KeDelayExecutionThread(KernelMode, FALSE, &While);
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "refused %u\n", HandleToULong(ProcessId));
}
static VOID NTAPI Hear(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    UNREFERENCED_PARAMETER(Process);
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, Info ? "create %u %x\n" : "exit %u\n",
        HandleToULong(ProcessId), Info ? (ULONG)Info->CreationStatus : 0);
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Driver);
    UNREFERENCED_PARAMETER(Path);
    PsSetCreateProcessNotifyRoutineEx(Refuse, FALSE);
    return PsSetCreateProcessNotifyRoutineEx(Hear, FALSE);
}
"""


@pytest.fixture(scope="module")
def refuses(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A driver that refuses notepad, slowly, and tells what a second callback of it hears."""
    return force_integrity(make_driver(REFUSES, tmp_path_factory.mktemp("refuses"), "refuses"))


@pytest.mark.parametrize("status", [0x0000_0103, 0x4000_0000])
def test_a_status_of_success_refuses_nothing(status: int) -> None:
    recorder = Recorder(Clock())
    recorder.refused, recorder.refused_with = {"notepad.exe"}, status
    result = VirtualTarget(recorder, recorder, recorder.clock, seed=1).act(["launch", "notepad.exe"], 1)
    assert result["status"] == 0
    assert result["child_pid"]


@pytest.mark.parametrize(
    ("status", "error"),
    [(0xC000_0022, 5), (0xC000_0906, 225), (0xC007_04EC, 1260), (0xC0FF_EE00, 317)],
)
@pytest.mark.parametrize("seed", range(4))
def test_a_refused_process_ends_unseen_and_its_creator_gets_the_error(
    seed: int, status: int, error: int
) -> None:
    recorder = Recorder(Clock())
    recorder.refused, recorder.refused_with = {"notepad.exe"}, status
    target = VirtualTarget(recorder, recorder, recorder.clock, seed=seed)
    before = set(target.system.threads)
    result = target.act(["launch", "notepad.exe"], 1)
    target.settle(300 * MILLISECOND, 20 * SECOND)
    assert result["status"] == error
    assert "child_pid" not in result
    (created,) = (r for r in recorder.reports if r.kind == "process_create" and r.parent_pid == result["pid"])
    mine = [report for report in recorder.reports if report.pid == created.pid]
    assert [r.kind for r in mine] == ["process_create", "thread_create", "thread_exit", "process_exit"]
    tid = mine[1].tid
    creator, own = (result["pid"], result["tid"]), (created.pid, tid)
    assert [r.context[:2] for r in mine] == [creator, creator, own, own]
    assert created.pid not in target.system.processes
    assert tid not in set(target.system.threads) - before


@pytest.mark.parametrize("status", [0, 0x103, 0x4000_0000])
def test_a_success_code_refuses_nothing(status: int) -> None:
    recorder = Recorder(Clock())
    recorder.refused, recorder.refused_with = {"cmd.exe"}, status
    target = VirtualTarget(recorder, recorder, recorder.clock, seed=1)
    result = target.act(["launch", "cmd.exe"], 1)
    assert result["status"] == 0
    assert int(result["child_pid"]) in target.system.processes


def test_a_refusal_is_that_process_s_own_however_creations_overlap(refuses: bytes) -> None:
    debugger, clock = ListedDebugger(), Clock()
    target = VirtualTarget(Kernel(debugger, clock), debugger, clock, seed=1)
    assert target.load_driver("refuses", target.put("refuses.sys", refuses)) == 0
    target.act(["launch", "actor.exe", "--id", "9", "launch", "notepad.exe"], 1)
    while not any(b"begin launch id=9" in text for text in debugger.prints):
        target.settle(MILLISECOND, MILLISECOND)
    assert target.act(["launch", "cmd.exe"], 2)["status"] == 0
    target.settle(300 * MILLISECOND, 20 * SECOND)
    lines = b"".join(debugger.prints).decode().splitlines()
    (refused,) = (line.split()[1] for line in lines if line.startswith("refused"))
    created = {line.split()[1]: line.split()[2] for line in lines if line.startswith("create")}
    assert created.pop(refused) == "c0000022", "the callback behind it sees what it wrote"
    assert set(created.values()) == {"0"}
    assert lines.index(f"refused {refused}") < lines.index(f"exit {refused}")
    begun = lines.index(next(line for line in lines if "begin launch id=2" in line))
    assert begun < lines.index(f"refused {refused}"), "the other creation came in the middle"
    assert any(line.startswith("[actor] end launch id=9") and line.endswith("status=5") for line in lines)
    running = {process.name for process in target.system.processes.values()}
    assert "cmd.exe" in running and "notepad.exe" not in running


def test_a_helper_that_cannot_be_started_says_why() -> None:
    recorder = Recorder(Clock())
    recorder.refused = {"actor.exe"}
    target = VirtualTarget(recorder, recorder, recorder.clock, seed=1)
    with pytest.raises(GuestError, match="could not be started: Win32 error 5"):
        target.act(["sleep", "1"], 1)
