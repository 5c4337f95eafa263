"""A driver that uses a process or a thread which is gone, and to which it holds no reference."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from booted import SYSTEM, USER, Booted
from made_drivers import make_driver

from harness.virtual.cpu.memory import PAGE
from harness.virtual.kernel.structures.slots import REST

KEEPS = r"""#include <ntddk.h>

NTSYSAPI PUCHAR PsGetProcessImageFileName(PEPROCESS Process);
NTKERNELAPI BOOLEAN PsIsThreadTerminating(PETHREAD Thread);
static PEPROCESS Process;
static PETHREAD Thread;
static HANDLE Pid;

static VOID OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ProcessId);
    if (Create && Thread == NULL && NT_SUCCESS(PsLookupThreadByThreadId(ThreadId, &Thread)) && !HOLDS)
        ObDereferenceObject(Thread);
}

static VOID OnProcess(HANDLE Parent, HANDLE ProcessId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Parent);
    if (Create && Process == NULL && NT_SUCCESS(PsLookupProcessByProcessId(ProcessId, &Process))) {
        Pid = ProcessId;
        if (!HOLDS)
            ObDereferenceObject(Process);
    }
    if (!Create && ProcessId == Pid)
        DbgPrint("still %u\n", HandleToULong(PsGetProcessId(Process)));
}

static VOID Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
    PsRemoveCreateThreadNotifyRoutine(OnThread);
    USE;
    if (HOLDS) {
        ObDereferenceObject(Process);
        ObDereferenceObject(Thread);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    PsSetCreateThreadNotifyRoutine(OnThread);
    return PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
}
"""


def after_a_life(folder: Path, use: str, *, holds: bool, others: int = 0) -> Booted:
    """The driver has seen a process with one thread come and go, then others of which the last stays, and is
    unloaded."""
    booted = Booted()
    image = make_driver(f"#define HOLDS {holds:d}\n#define USE {use}\n{KEEPS}", folder)
    assert booted.load(image, "made.sys") == 0
    kernel = booted.kernel
    for number in range(1 + others):
        pid = 2000 + 4 * number
        booted.create(pid)
        if number and number == others:
            break
        kernel.thread_notify(pid=pid, tid=pid + 2, create=True, context=USER)
        kernel.thread_notify(pid=pid, tid=pid + 2, create=False, context=USER)
        kernel.process_notify(parent_pid=1000, pid=pid, create=False, context=USER)
    assert kernel.unload_driver(name="made", context=SYSTEM) == 0
    return booted


USES = {
    "PsGetProcessId": ("PsGetProcessId(Process)", "process 2000"),
    "PsGetProcessImageFileName": ("PsGetProcessImageFileName(Process)", "process 2000"),
    "PsIsThreadTerminating": ("PsIsThreadTerminating(Thread)", "thread 2002"),
    "ObfReferenceObject": ("ObReferenceObject(Process)", "process 2000"),
}


@pytest.mark.parametrize("routine", USES)
def test_a_call_for_what_is_gone_is_told(routine: str, tmp_path: Path) -> None:
    use, what = USES[routine]
    booted = after_a_life(tmp_path, f"(VOID){use}", holds=False)
    assert booted.debugger.prints == [b"still 2000\n"]
    (broken,) = booted.kernel.broken_rules
    assert (broken.rule, broken.driver) == ("UnreferencedObjects", "made.sys")
    assert re.fullmatch(
        rf"made\.sys calls {routine} for {what}, which is gone, at made\.sys\+0x[0-9a-f]+:"
        " it holds no reference",
        broken.message,
    )


@pytest.mark.parametrize("routine", [name for name in USES if name != "ObfReferenceObject"])
def test_a_reference_keeps_it(routine: str, tmp_path: Path) -> None:
    booted = after_a_life(tmp_path, f"(VOID){USES[routine][0]}", holds=True)
    assert booted.kernel.broken_rules == ()


def test_its_address_may_be_looked_at(tmp_path: Path) -> None:
    use = r'DbgPrint("%p %u\n", Process, MmIsAddressValid(Process) && Process != NULL)'
    booted = after_a_life(tmp_path, use, holds=False)
    assert booted.kernel.broken_rules == ()
    assert re.fullmatch(rb"FFFFA1[0-9A-F]{10} 1\n", booted.debugger.prints[-1])


def test_a_thread_keeps_its_process(tmp_path: Path) -> None:
    use = "ObDereferenceObject(Process); (VOID)PsGetProcessId(Process); ObReferenceObject(Process)"
    booted = after_a_life(tmp_path, use, holds=True)
    assert booted.kernel.broken_rules == ()


def test_nothing_that_it_held_is_left(tmp_path: Path) -> None:
    booted = after_a_life(tmp_path, r'DbgPrint("%p %x\n", Process, *(PULONG)Process)', holds=False)
    address, held = booted.debugger.prints[-1].split()
    assert held == b"dddddddd"
    assert set(booted.kernel.memory.read(int(address, 16), PAGE)) == {0xDD}


@pytest.mark.parametrize(("others", "told"), [(REST, ["UnreferencedObjects"]), (REST + 1, [])])
def test_its_place_is_another_objects_after_so_many(others: int, told: list[str], tmp_path: Path) -> None:
    booted = after_a_life(tmp_path, "(VOID)PsGetProcessId(Process)", holds=False, others=others)
    assert [broken.rule for broken in booted.kernel.broken_rules] == told
