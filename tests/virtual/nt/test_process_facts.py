"""What a driver asks about a process in its callbacks: exit status, PEB, TEB, WOW64."""

from __future__ import annotations

import pytest
from booted import ListedDebugger
from made_drivers import make_driver
from recorder import Recorder

from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.target import VirtualTarget

ASKS = r"""
#include <ntifs.h>
NTKERNELAPI NTSTATUS NTAPI PsGetProcessExitStatus(PEPROCESS Process);
NTKERNELAPI PVOID NTAPI PsGetProcessPeb(PEPROCESS Process);
NTKERNELAPI PVOID NTAPI PsGetProcessWow64Process(PEPROCESS Process);
NTKERNELAPI PVOID NTAPI PsGetCurrentProcessWow64Process(VOID);
NTKERNELAPI PVOID NTAPI PsGetCurrentThreadTeb(VOID);
#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, __VA_ARGS__)
#define AT(Type, Base, Offset) (*(volatile Type *)((ULONG_PTR)(Base) + (Offset)))
static VOID NTAPI OnProcess(HANDLE Parent, HANDLE ProcessId, BOOLEAN Create)
{
    PEPROCESS Process;
    UNREFERENCED_PARAMETER(Parent);
    if (!NT_SUCCESS(PsLookupProcessByProcessId(ProcessId, &Process)))
        return;
    SAY("%s %u status %x peb %u wow64 %u\n", Create ? "create" : "exit", HandleToULong(ProcessId),
        PsGetProcessExitStatus(Process), PsGetProcessPeb(Process) != NULL,
        PsGetProcessWow64Process(Process) != NULL);
    ObDereferenceObject(Process);
}
static VOID NTAPI OnImage(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    PUCHAR Peb = PsGetProcessPeb(PsGetCurrentProcess()), Teb = PsGetCurrentThreadTeb();
    PUNICODE_STRING CommandLine;
    UNREFERENCED_PARAMETER(Name);
    if (ProcessId == NULL || Peb == NULL)
        return;
    CommandLine = (PUNICODE_STRING)(AT(PUCHAR, Peb, 0x20) + 0x70);
    SAY("image %u %p exe %p self %u thread %u.%u peb %u build %u 32 %u %p %u | %ws\n",
        HandleToULong(ProcessId), Info->ImageBase, AT(PVOID, Peb, 0x10), AT(PVOID, Teb, 0x30) == (PVOID)Teb,
        AT(ULONG, Teb, 0x40), AT(ULONG, Teb, 0x48), AT(PVOID, Teb, 0x60) == (PVOID)Peb,
        AT(USHORT, Peb, 0x120), IoIs32bitProcess(NULL), PsGetCurrentProcessWow64Process(),
        PsGetCurrentProcessWow64Process() ? AT(ULONG, PsGetCurrentProcessWow64Process(), 8) : 0,
        CommandLine->Buffer);
}
static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
    PsRemoveLoadImageNotifyRoutine(OnImage);
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    SAY("system peb %p teb %p 32 %u\n", PsGetProcessPeb(PsInitialSystemProcess), PsGetCurrentThreadTeb(),
        IoIs32bitProcess(NULL));
    PsSetLoadImageNotifyRoutine(OnImage);
    return PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
}
"""


@pytest.fixture(scope="module")
def asks(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_driver(ASKS, tmp_path_factory.mktemp("asks"), "asks")


def answers(asks: bytes, program: str, code: str) -> tuple[int, list[str]]:
    """The lines about a program that is started and ended with that code, and its PID."""
    debugger, clock = ListedDebugger(), Clock()
    target = VirtualTarget(Kernel(debugger, clock), debugger, clock, seed=3)
    assert target.load_driver("asks", target.put("asks.sys", asks)) == 0
    pid = int(target.act(["launch", program, "/x", "y z"], 1)["child_pid"])
    target.settle(300 * MILLISECOND, 20 * SECOND)
    target.act(["terminate", str(pid), code], 2)
    target.act(["exit", "7"], 3)
    assert target.unload_driver("asks") == 0
    lines = [text.decode().rstrip("\n") for text in debugger.prints]
    assert lines[0] == f"system peb {0:016X} teb {0:016X} 32 0"
    assert any(line.startswith("exit ") and " status 7 " in line for line in lines), "the helper's own code"
    return pid, [line for line in lines if line.split()[1] == str(pid)]


def test_a_64_bit_process_has_a_peb_and_ends_with_its_status(asks: bytes) -> None:
    pid, lines = answers(asks, "cmd.exe", "0xC000013A")
    assert lines[0] == f"create {pid} status 103 peb 1 wow64 0"
    assert lines[-1] == f"exit {pid} status c000013a peb 1 wow64 0"
    images = [line for line in lines if line.startswith("image")]
    executable = images[0].split()[2]
    assert len(images) > 3
    for line in images:
        assert f"exe {executable} self 1 thread {pid}." in line
        assert line.endswith(f'peb 1 build 18362 32 0 {0:016X} 0 | C:\\Windows\\System32\\cmd.exe /x "y z"')


def test_a_32_bit_process_has_two(asks: bytes) -> None:
    pid, lines = answers(asks, r"C:\Windows\SysWOW64\cmd.exe", "0")
    assert lines[0] == f"create {pid} status 103 peb 1 wow64 1"
    assert lines[-1] == f"exit {pid} status 0 peb 1 wow64 1"
    images = [line.split() for line in lines if line.startswith("image")]
    base = int(images[0][2], 16)
    for words in images:
        assert words[words.index("32") + 1] == "1"
        peb32, image32 = words[words.index("32") + 2 : words.index("|")]
        assert 0 < int(peb32, 16) < 1 << 32
        assert int(image32) == base


def test_what_runs_from_the_boot_on_has_them_too() -> None:
    debugger, clock = ListedDebugger(), Clock()
    kernel = Kernel(debugger, clock)
    target = VirtualTarget(kernel, debugger, clock, seed=1)
    tebs: set[int] = set()
    for process in target.system.processes.values():
        object_of = kernel._system.objects.process(process.pid)
        assert bool(object_of.peb) is bool(process.image)
        for thread in process.live_threads():
            teb = kernel._system.objects.thread(process.pid, thread.tid).teb
            assert bool(teb) is bool(process.image)
            tebs.add(teb)
    assert len(tebs) > 100


def test_a_thread_that_neither_its_process_nor_its_parent_made_is_the_system_processs() -> None:
    foreign = 0
    for seed in range(6):
        recorder = Recorder(Clock())
        target = VirtualTarget(recorder, recorder, recorder.clock, seed=seed)
        result = target.act(["launch", "notepad.exe"], 1)
        target.settle(300 * MILLISECOND, 20 * SECOND)
        pid = result["child_pid"]
        makers = {
            report.context[:2]
            for report in recorder.reports
            if report.kind == "thread_create" and report.pid == pid
        }
        others = {maker for maker in makers if maker[0] not in (pid, result["pid"])}
        assert others <= {(4, 36)}
        foreign += len(others)
    assert foreign >= 4
