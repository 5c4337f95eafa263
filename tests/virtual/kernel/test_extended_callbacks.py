"""The Ex registrations: who may, what they are handed, what they can refuse."""

from __future__ import annotations

import pytest
from booted import USER, Booted
from made_drivers import force_integrity, make_driver

from harness.virtual.interfaces import ThreadContext
from harness.virtual.windows.status import failed

SOURCE = r"""
#include <ntddk.h>
typedef struct _PAIR { HANDLE Process, Thread; } PAIR;
static VOID NTAPI OnProcess(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    if (Info == NULL) {
        DbgPrint("exit %u %u\n", HandleToULong(ProcessId), HandleToULong(PsGetProcessId(Process)));
        return;
    }
    DbgPrint("create %u parent %u by %u.%u open=%u %wZ | %wZ\n", HandleToULong(ProcessId),
        HandleToULong(Info->ParentProcessId), HandleToULong(Info->CreatingThreadId.UniqueProcess),
        HandleToULong(Info->CreatingThreadId.UniqueThread), (ULONG)Info->FileOpenNameAvailable,
        Info->ImageFileName, Info->CommandLine);
    if (HandleToULong(ProcessId) == 666)
        Info->CreationStatus = STATUS_ACCESS_DENIED;
    if (HandleToULong(ProcessId) == 668)
        Info->CreationStatus = STATUS_PENDING;
    if (HandleToULong(ProcessId) == 672)
        Info->CreationStatus = STATUS_OBJECT_NAME_EXISTS;
}
static VOID NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    DbgPrint("thread %u %u %u in %u.%u\n", HandleToULong(ProcessId), HandleToULong(ThreadId), (ULONG)Create,
        HandleToULong(PsGetCurrentProcessId()), HandleToULong(PsGetCurrentThreadId()));
}
static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    DbgPrint("removed %x\n", PsSetCreateProcessNotifyRoutineEx(OnProcess, TRUE));
    DbgPrint("removed %x\n", PsRemoveCreateThreadNotifyRoutine(OnThread));
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    PsSetCreateThreadNotifyRoutineEx(PsCreateThreadNotifyNonSystem, (PVOID)OnThread);
    return PsSetCreateProcessNotifyRoutineEx(OnProcess, FALSE);
}
"""


@pytest.fixture(scope="module")
def without_integrity_check(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_driver(SOURCE, tmp_path_factory.mktemp("extended"), "extended")


@pytest.fixture(scope="module")
def extended(without_integrity_check: bytes) -> bytes:
    """The same, as if linked with /INTEGRITYCHECK."""
    return force_integrity(without_integrity_check)


def test_without_the_integrity_check_ex_is_denied(booted: Booted, without_integrity_check: bytes) -> None:
    assert booted.load(without_integrity_check, "extended.sys") == 0xC0000022
    assert [module.name for module in booted.kernel.modules] == ["ntoskrnl.exe"], "a failed driver goes again"
    assert booted.debugger.symbols[-1] == ("extended.sys", True)


def test_what_ex_callbacks_are_handed(booted: Booted, extended: bytes) -> None:
    assert booted.load(extended, "extended.sys") == 0
    booted.kernel.process_notify(
        parent_pid=8, pid=60, create=True, context=USER, image=r"\??\C:\a.exe", command_line="a.exe -x"
    )
    booted.create(64, 8)
    booted.kernel.thread_notify(pid=60, tid=68, create=True, context=USER)
    assert booted.kernel.wants_thread_starts
    own = ThreadContext(60, 68, 0)
    booted.kernel.thread_start_notify(pid=60, tid=68, context=own)
    booted.kernel.thread_notify(pid=60, tid=68, create=False, context=own)
    booted.kernel.process_notify(parent_pid=8, pid=60, create=False, context=own)
    booted.kernel.unload_driver(name="extended.sys", context=USER)
    assert b"".join(booted.debugger.prints).decode().splitlines() == [
        r"create 60 parent 8 by 1000.1004 open=1 \??\C:\a.exe | a.exe -x",
        "create 64 parent 8 by 1000.1004 open=0 (null) | (null)",
        "thread 60 68 1 in 60.68",
        "thread 60 68 0 in 60.68",
        "exit 60 60",
        "removed 0",
        "removed 0",
    ]


def test_ex_callbacks_hear_what_the_model_knows(booted: Booted, extended: bytes) -> None:
    path = r"\Device\X\b.exe"
    booted.kernel.create_process_object(pid=60, parent_pid=8, name="b.exe", image=path)
    booted.load(extended, "extended.sys")
    booted.create(60, 8)
    expected = rb"create 60 parent 8 by 1000.1004 open=1 \Device\X\b.exe | b.exe" + b"\n"
    assert booted.debugger.prints == [expected]


def test_a_creation_can_be_refused(booted: Booted, extended: bytes) -> None:
    booted.load(extended, "extended.sys")
    assert booted.create(666) == 0xC0000022
    assert booted.create(60) == 0


@pytest.mark.parametrize("pid", [668, 672])
def test_a_success_code_refuses_nothing(booted: Booted, extended: bytes, pid: int) -> None:
    booted.load(extended, "extended.sys")
    assert not failed(booted.create(pid))
