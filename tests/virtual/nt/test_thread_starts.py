"""PsCreateThreadNotifyNonSystem: the routine runs in the new thread, before anything else that it does."""

from __future__ import annotations

from itertools import pairwise

import pytest
from booted import ListedDebugger
from made_drivers import make_driver
from recorder import Recorder

from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.target import VirtualTarget

LISTENS = r"""
#include <ntddk.h>
#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, __VA_ARGS__)
static VOID Tell(PCSTR What, HANDLE Process, HANDLE Thread, BOOLEAN Create)
{
    SAY("%s %u.%u %u in %u.%u\n", What, HandleToULong(Process), HandleToULong(Thread), Create,
        HandleToULong(PsGetCurrentProcessId()), HandleToULong(PsGetCurrentThreadId()));
}
static VOID NTAPI Plain(HANDLE Process, HANDLE Thread, BOOLEAN Create)
{
    Tell("plain", Process, Thread, Create);
}
static VOID NTAPI NonSystem(HANDLE Process, HANDLE Thread, BOOLEAN Create)
{
    Tell("own", Process, Thread, Create);
}
static VOID NTAPI Nothing(PVOID Context) { UNREFERENCED_PARAMETER(Context); }
static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PsRemoveCreateThreadNotifyRoutine(Plain);
    PsRemoveCreateThreadNotifyRoutine(NonSystem);
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    HANDLE Thread;
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    PsSetCreateThreadNotifyRoutine(Plain);
    PsSetCreateThreadNotifyRoutineEx(PsCreateThreadNotifyNonSystem, (PVOID)NonSystem);
    PsCreateSystemThread(&Thread, 0, NULL, NULL, NULL, Nothing, NULL);
    return ZwClose(Thread);
}
"""


@pytest.fixture(scope="module")
def listens(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_driver(LISTENS, tmp_path_factory.mktemp("listens"), "listens")


@pytest.mark.parametrize("policy", ["default", "random"])
@pytest.mark.parametrize("seed", range(3))
def test_a_routine_for_other_than_system_threads_runs_in_them(listens: bytes, seed: int, policy: str) -> None:
    debugger, clock = ListedDebugger(), Clock()
    target = VirtualTarget(Kernel(debugger, clock), debugger, clock, seed=seed, policy=policy)
    assert target.load_driver("listens", target.put("listens.sys", listens)) == 0
    pid = target.act(["launch", "notepad.exe"], 1)["child_pid"]
    target.settle(300 * MILLISECOND, 20 * SECOND)
    target.act(["create-remote-thread", str(pid)], 2)
    target.act(["terminate", str(pid)], 3)
    target.unload_driver("listens")
    lines = [text.decode().split() for text in debugger.prints if not text.startswith(b"[actor]")]
    told: dict[str, list[str]] = {}
    for what, thread, create, _, context in lines:
        if what == "own" and create == "1":
            assert context == thread, "in the new thread itself"
        told.setdefault(thread, []).append(what + create)
    of_system = [said for thread, said in told.items() if thread.startswith("4.")]
    assert of_system == [["plain1", "plain0", "own0"]], "a system thread's start is not told"
    mine = [said for thread, said in told.items() if thread.startswith(f"{pid}.")]
    assert len(mine) >= 7
    for said in mine:
        assert said == ["plain1", "own1", "plain0", "own0"]


@pytest.mark.parametrize("seed", range(6))
def test_a_start_comes_before_everything_else_that_the_thread_does(seed: int) -> None:
    recorder = Recorder(Clock())
    recorder.hears_thread_starts = True
    target = VirtualTarget(recorder, recorder, recorder.clock, seed=seed)
    for step in range(3):
        pid = target.act(["launch", "notepad.exe"], step)["child_pid"]
        target.settle(300 * MILLISECOND, step * SECOND + 300 * MILLISECOND)
        target.act(["inject", str(pid), "probe.dll"], step)
        target.act(["terminate", str(pid)], step)
    target.settle(2 * SECOND, 2 * SECOND)
    of_thread: dict[tuple[int, int], list[str]] = {}
    made: set[tuple[int, int]] = set()
    for report in recorder.reports:
        if report.kind == "thread_create":
            of_thread[report.pid, report.tid] = []
            made.add((report.pid, report.tid))
        if report.context[:2] in made:
            of_thread[report.context[:2]].append(report.kind)
    begun = [kinds for kinds in of_thread.values() if kinds]
    assert len(begun) > 20
    for kinds in begun:
        assert kinds.count("thread_start") <= 1
        if "thread_start" in kinds:
            assert kinds[0] == "thread_start"
        else:  # ended with its process before it ran
            assert set(kinds) <= {"thread_exit", "process_exit"}
    assert all(one.time <= other.time for one, other in pairwise(recorder.reports))


def test_a_thread_that_existed_before_anybody_listened_is_not_told_later() -> None:
    recorder = Recorder(Clock())
    target = VirtualTarget(recorder, recorder, recorder.clock, seed=1)
    pid = target.act(["launch", "notepad.exe"], 1)["child_pid"]
    target.settle(100 * MILLISECOND, 100 * MILLISECOND)
    recorder.hears_thread_starts = True
    before = {thread.tid for thread in target.system.processes[int(pid)].live_threads()}
    target.settle(300 * MILLISECOND, 20 * SECOND)
    told = {report.tid for report in recorder.reports if report.kind == "thread_start"}
    assert told and told.isdisjoint(before)
