r"""Callbacks around operations on handles and keys: how they are registered, and when they are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import SYSTEM, USER, Booted, ListedDebugger
from hypothesis import given
from hypothesis import strategies as st
from made_drivers import force_integrity, make_driver

from harness.errors import DriverBugcheck, DriverHang
from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.kernel.altitudes import altitude_of
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.target import VirtualTarget

DRIVER = r"""
#include <ntifs.h>
#define ERROR_LINE(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, __VA_ARGS__)
#define TERMINATE 1
#define ID(p) HandleToULong(PsGetProcessId(p))
typedef struct { PVOID Handle; ULONG Number, Strips; BOOLEAN Quits; } FILTER;
static FILTER First = {NULL, 1, 0, FALSE}, Second = {NULL, 2, TERMINATE, FALSE};
static OB_PREOP_CALLBACK_STATUS NTAPI Before(PVOID c, POB_PRE_OPERATION_INFORMATION i)
{
    FILTER *filter = c;
    POB_PRE_CREATE_HANDLE_INFORMATION how = &i->Parameters->CreateHandleInformation;
    if (*PsProcessType != i->ObjectType) {
        ERROR_LINE("before %u thread\n", filter->Number);
        return OB_PREOP_SUCCESS;
    }
    ERROR_LINE("before %u op=%u kernel=%u pid=%u by=%u %x of %x\n", filter->Number, (ULONG)i->Operation,
        (ULONG)i->KernelHandle, ID((PEPROCESS)i->Object), HandleToULong(PsGetCurrentProcessId()),
        how->DesiredAccess, how->OriginalDesiredAccess);
    how->DesiredAccess &= ~filter->Strips;
    how->DesiredAccess |= 0x80000000;
    i->CallContext = (PVOID)(ULONG_PTR)(filter->Number * 10);
    if (filter->Quits)
        ObUnRegisterCallbacks(filter->Handle);
    return OB_PREOP_SUCCESS;
}
static VOID NTAPI After(PVOID c, POB_POST_OPERATION_INFORMATION i)
{
    ERROR_LINE("after %u context=%p status=%x %x\n", ((FILTER *)c)->Number, i->CallContext, i->ReturnStatus,
        i->Parameters->CreateHandleInformation.GrantedAccess);
}
static NTSTATUS Register(FILTER *filter, PCWSTR altitude, ULONG count, OB_OPERATION_REGISTRATION *operations)
{
    OB_CALLBACK_REGISTRATION all = {OB_FLT_REGISTRATION_VERSION, (USHORT)count, {0}, filter, operations};
    RtlInitUnicodeString(&all.Altitude, altitude);
    return ObRegisterCallbacks(&all, &filter->Handle);
}
static NTSTATUS NTAPI OnKey(PVOID c, PVOID one, PVOID two)
{
    (void)c, (void)one, (void)two;
    return STATUS_SUCCESS;
}
static NTSTATUS Keys(PDRIVER_OBJECT driver, PCWSTR altitude, PLARGE_INTEGER cookie)
{
    UNICODE_STRING text;
    RtlInitUnicodeString(&text, altitude);
    return CmRegisterCallbackEx(OnKey, &text, driver, NULL, cookie, NULL);
}
static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    if (First.Handle)
        ObUnRegisterCallbacks(First.Handle);
    if (Second.Handle)
        ObUnRegisterCallbacks(Second.Handle);
}
static NTSTATUS Body(PDRIVER_OBJECT driver);
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    (void)Before, (void)After, (void)Register, (void)Keys;
    return Body(driver);
}
"""

REGISTERS = r"""
static NTSTATUS Body(PDRIVER_OBJECT driver)
{
    OB_OPERATION_REGISTRATION good = {PsProcessType, OB_OPERATION_HANDLE_CREATE, Before, After}, bad = good;
    OB_CALLBACK_REGISTRATION all = {0x0200, 1, {0}, NULL, &good};
    LARGE_INTEGER a, b, c;
    DbgPrint("%x", ObGetFilterVersion()), DbgPrint(" %x", Register(&First, L"321000", 1, &good));
    DbgPrint(" %x", Register(&Second, L"0321000.0", 1, &good));
    DbgPrint(" %x\n", Register(&Second, L"321000.5", 1, &good));
    DbgPrint("%x", ObRegisterCallbacks(&all, &First.Handle));
    DbgPrint(" %x", Register(&First, L"1", 0, &good));
    bad.Operations = 0, DbgPrint(" %x", Register(&First, L"1", 1, &bad));
    bad.Operations = 4, DbgPrint(" %x", Register(&First, L"1", 1, &bad));
    bad = good, bad.PreOperation = NULL, bad.PostOperation = NULL;
    DbgPrint(" %x", Register(&First, L"1", 1, &bad));
    bad = good, bad.ObjectType = IoFileObjectType, DbgPrint(" %x", Register(&First, L"1", 1, &bad));
    bad = good, bad.ObjectType = NULL, DbgPrint(" %x\n", Register(&First, L"1", 1, &bad));
    DbgPrint("%x", Keys(driver, L"1000", &a)), DbgPrint(" %x", Keys(driver, L"1000", &b));
    DbgPrint(" %x", Keys(driver, L"999.9", &b)), DbgPrint(" %x", CmRegisterCallback(OnKey, NULL, &c));
    DbgPrint(" %d", a.QuadPart != b.QuadPart && b.QuadPart != c.QuadPart);
    DbgPrint(" %x", CmUnRegisterCallback(a)), DbgPrint(" %x", CmUnRegisterCallback(a));
    DbgPrint(" %x %x\n", CmUnRegisterCallback(b), CmUnRegisterCallback(c));
    DbgPrint("%x\n", CmRegisterCallbackEx(OnKey, NULL, driver, NULL, &a, NULL));
    return STATUS_SUCCESS;
}
"""

WATCHES = r"""
static NTSTATUS Body(PDRIVER_OBJECT driver)
{
    OB_OPERATION_REGISTRATION both[2] = {
        {PsProcessType, OB_OPERATION_HANDLE_CREATE | OB_OPERATION_HANDLE_DUPLICATE, Before, After},
        {PsThreadType, OB_OPERATION_HANDLE_CREATE, Before, NULL}};
    UNREFERENCED_PARAMETER(driver);
    Register(&First, L"100", 2, both);
    return Register(&Second, L"20000", 1, both);
}
"""

OPENS = r"""
static NTSTATUS Body(PDRIVER_OBJECT driver)
{
    OB_OPERATION_REGISTRATION both[2] = {
        {PsProcessType, OB_OPERATION_HANDLE_CREATE, Before, After},
        {PsThreadType, OB_OPERATION_HANDLE_CREATE, Before, NULL}};
    OBJECT_ATTRIBUTES attributes;
    CLIENT_ID id = {(HANDLE)4, 0};
    HANDLE h;
    UNREFERENCED_PARAMETER(driver);
    Register(&First, L"100", 2, both);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    DbgPrint("%x\n", ZwOpenProcess(&h, PROCESS_ALL_ACCESS, &attributes, &id));
    ZwClose(h);
    ObOpenObjectByPointer(PsGetCurrentThread(), OBJ_KERNEL_HANDLE, NULL, 1, *PsThreadType, KernelMode, &h);
    ZwClose(h);
    return STATUS_SUCCESS;
}
"""


def lines(debugger: ListedDebugger) -> list[str]:
    return b"".join(debugger.prints).decode("cp1252").splitlines()


def made(body: str, folder: Path) -> bytes:
    return force_integrity(make_driver(DRIVER + body, folder))


def test_what_may_be_registered(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(made(REGISTERS, tmp_path), "made.sys") == 0
    assert lines(booted.debugger) == [
        "100 0 c01c0011 0",
        "c000000d" + " c000000d" * 6,
        "0 c01c0011 0 0 1 0 c000000d 0 0",
        "c000000d",
    ]
    assert booted.kernel.unload_driver(name="made.sys", context=SYSTEM) == 0


def test_handle_callbacks_need_forced_integrity(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(make_driver(DRIVER + WATCHES, tmp_path), "made.sys") == 0xC000_0022


def test_the_highest_altitude_is_first_before_and_last_after(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(made(WATCHES, tmp_path), "made.sys") == 0
    assert booted.kernel.open_process(pid=4, access=0x10_0001, context=USER) == 0x10_0000
    assert lines(booted.debugger) == [
        "before 2 op=1 kernel=0 pid=4 by=1000 100001 of 100001",
        "before 1 op=1 kernel=0 pid=4 by=1000 100000 of 100001",
        "after 1 context=000000000000000A status=0 100000",
        "after 2 context=0000000000000014 status=0 100000",
    ]
    assert booted.kernel.unload_driver(name="made.sys", context=SYSTEM) == 0
    assert booted.kernel.open_process(pid=4, access=0x10_0001, context=USER) == 0x10_0001


def test_a_driver_s_own_handles_are_reported_as_kernel_handles(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(made(OPENS, tmp_path), "made.sys") == 0
    assert lines(booted.debugger) == [
        "before 1 op=1 kernel=1 pid=4 by=4 1fffff of 1fffff",
        "after 1 context=000000000000000A status=0 1fffff",
        "0",
        "before 1 thread",
    ]


def test_a_callback_that_removes_itself_waits_for_itself(booted: Booted, tmp_path: Path) -> None:
    body = WATCHES.replace("    Register(&First", "    First.Quits = TRUE;\n    Register(&First")
    booted.load(made(body, tmp_path), "made.sys")
    with pytest.raises(DriverHang, match="removes its handle callback from inside it"):
        booted.kernel.open_process(pid=4, access=1, context=USER)


def test_a_handle_that_is_none_is_freed_as_pool(booted: Booted, tmp_path: Path) -> None:
    body = "static NTSTATUS Body(PDRIVER_OBJECT d) { (void)d; ObUnRegisterCallbacks((PVOID)0x10); return 0; }"
    with pytest.raises(DriverBugcheck) as caught:
        booted.load(made(body, tmp_path), "made.sys")
    assert caught.value.code == 0xC2


def test_what_a_driver_takes_away_makes_the_step_fail(tmp_path: Path) -> None:
    debugger, clock = ListedDebugger(), Clock()
    target = VirtualTarget(Kernel(debugger, clock), debugger, clock, seed=1)
    pid = str(target.act(["launch", "notepad.exe"], 1)["child_pid"])
    target.settle(300 * MILLISECOND, 20 * SECOND)
    assert target.load_driver("made", target.put("made.sys", made(WATCHES, tmp_path))) == 0
    assert target.act(["terminate", pid], 2)["status"] == 5
    assert int(pid) in target.system.processes
    assert target.act(["create-remote-thread", pid], 3)["status"] == 0
    told = [line.split(" by=")[1].split(" ", 1)[1] for line in lines(debugger) if line.startswith("before 2")]
    assert told == ["100001 of 100001", "43a of 43a"]
    assert target.unload_driver("made") == 0
    assert target.act(["terminate", pid], 4)["status"] == 0


@given(st.decimals(0, 10**9, places=3), st.decimals(0, 10**9, places=3))
def test_altitudes_compare_as_their_numbers(a: object, b: object) -> None:
    assert (altitude_of(str(a)) < altitude_of(f"00{b}0")) is (a < b)  # type: ignore[operator] # decimals
    assert (altitude_of(str(a)) == altitude_of(f"00{b}0")) is (a == b)
