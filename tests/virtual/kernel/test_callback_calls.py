"""What the kernel remembers of the callbacks that it called."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import USER, Booted
from made_drivers import force_integrity, make_driver

from harness.errors import DriverBugcheck
from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.virtual import callbackcalls
from harness.virtual.callbackcalls import CallbackCall
from harness.virtual.callbackevents import callback_events
from harness.virtual.interfaces import ThreadContext

SOURCE = r"""
#include <ntddk.h>
static VOID NTAPI OnProcess(HANDLE Parent, HANDLE Process, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Parent);
    if (Create && HandleToULong(Process) == 700)
        *(volatile LONG *)(ULONG_PTR)HandleToULong(Process) = 1;
}
static VOID NTAPI OnProcessEx(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    UNREFERENCED_PARAMETER(Process);
    if (Info != NULL && HandleToULong(ProcessId) == 666)
        Info->CreationStatus = STATUS_ACCESS_DENIED;
}
static VOID NTAPI OnThread(HANDLE Process, HANDLE Thread, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(Thread);
    UNREFERENCED_PARAMETER(Create);
}
static VOID NTAPI OnImage(PUNICODE_STRING Name, HANDLE Process, PIMAGE_INFO Info)
{
    UNREFERENCED_PARAMETER(Name);
    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(Info);
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Driver);
    UNREFERENCED_PARAMETER(Path);
    PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
    PsSetCreateThreadNotifyRoutine(OnThread);
    PsSetLoadImageNotifyRoutine(OnImage);
    return PsSetCreateProcessNotifyRoutineEx(OnProcessEx, FALSE);
}
"""


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return force_integrity(make_driver(SOURCE, tmp_path_factory.mktemp("silent"), "silent"))


@pytest.fixture
def loaded(booted: Booted, silent: bytes) -> Booted:
    assert booted.load(silent, "silent.sys") == 0
    return booted


def seen(booted: Booted, driver: str = "SILENT.SYS") -> list[Event]:
    return callback_events(booted.kernel.calls.entries(), driver)


def test_every_call_is_told_with_its_arguments_and_its_context(loaded: Booted) -> None:
    kernel, image = loaded.kernel, "\\Device\\HarddiskVolume3\\a.exe"
    kernel.process_notify(parent_pid=4, pid=8, create=True, context=USER, image=image)
    kernel.thread_notify(pid=8, tid=12, create=True, context=USER)
    own = ThreadContext(pid=8, tid=12, cpu=0, irql=1)
    kernel.image_notify(name=image, pid=8, base=0x10000, size=0x2000, system_mode=False, context=own)
    kernel.thread_notify(pid=8, tid=12, create=False, context=own)
    kernel.process_notify(parent_pid=4, pid=8, create=False, context=own)
    events = seen(loaded)
    assert [type(event) for event in events] == [
        *(ProcessCreate, ProcessCreate),
        *(ThreadCreate, ImageLoad, ThreadExit),
        *(ProcessExit, ProcessExit),
    ]
    plain, extended, thread, load, ended, *_ = events
    assert isinstance(plain, ProcessCreate) and isinstance(extended, ProcessCreate)
    assert (plain.pid, plain.parent_pid, plain.creating_pid, plain.creating_tid) == (8, 4, USER.pid, USER.tid)
    assert (plain.image, extended.image) == (None, image), "only an Ex routine is told the name"
    assert plain.call is not None and extended.call is not None and thread.call is not None
    assert (plain.call.answer, extended.call.answer, thread.call.answer) == (None, 0, None)
    assert isinstance(load, ImageLoad)
    assert (load.image, load.base, load.size, load.context_tid) == (image, 0x10000, 0x2000, 12)
    assert isinstance(ended, ThreadExit) and ended.call is not None
    assert (ended.cpu, ended.call.irql, ended.context_tid) == (0, 1, 12)
    assert [event.index for event in events] == list(range(7))
    assert {event.witness for event in events} == {"target"}
    for event in events:
        assert event.time is not None and event.call is not None and event.call.left is not None
        assert event.call.left >= event.time and event.call.driver == "silent.sys"
        assert 0 < event.call.routine < 0x10000


def test_what_an_ex_routine_answered_is_told(loaded: Booted) -> None:
    loaded.kernel.process_notify(parent_pid=4, pid=666, create=True, context=USER)
    answers = [event.call.answer for event in seen(loaded) if event.call is not None]
    assert answers == [None, 0xC0000022]


def test_a_call_that_never_returned_has_not_left(loaded: Booted) -> None:
    with pytest.raises(DriverBugcheck):
        loaded.kernel.process_notify(parent_pid=4, pid=700, create=True, context=USER)
    (event,) = seen(loaded)
    assert event.call is not None and event.call.left is None


def test_another_drivers_calls_are_not_this_ones(loaded: Booted) -> None:
    loaded.kernel.thread_notify(pid=8, tid=12, create=True, context=USER)
    assert seen(loaded, "other.sys") == []


def test_of_the_helpers_lines_its_markers_are_told_whatever_the_print_filter_does(booted: Booted) -> None:
    booted.kernel.debug_print("[actor] begin launch id=1 pid=4\n[actor] dll load pid=4\n", USER)
    (marker,) = callback_events(booted.kernel.calls.entries(), "any.sys")
    assert (marker.line, marker.witness) == ("[actor] begin launch id=1 pid=4", "target")


def test_what_is_not_remembered_is_counted(loaded: Booted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbackcalls, "MAX_REMEMBERED", 3)
    for tid in range(12, 32, 4):
        loaded.kernel.thread_notify(pid=8, tid=tid, create=True, context=USER)
    log = loaded.kernel.calls
    assert (len(log.entries()), log.beyond) == (3, 2)
    assert [entry.told.tid for entry in log.entries(1, 5) if isinstance(entry, CallbackCall)] == [16, 20]


def test_the_driver_of_these_tests_is_quiet(loaded: Booted, tmp_path: Path) -> None:
    loaded.kernel.thread_notify(pid=8, tid=12, create=True, context=USER)
    assert loaded.debugger.prints == []
