"""Paged memory at DISPATCH_LEVEL: each way to touch it there, and what is right about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import Booted
from driver_lives import live
from made_drivers import make_driver
from tried_policies import POLICIES_TRIED

from harness.errors import DriverBugcheck
from harness.virtual.cpu.hardware import Hardware
from harness.virtual.windows.irql import DISPATCH_LEVEL

COMMON = r"""
#include <ntddk.h>
#define TAG 'dgaP'
#define PLACED(Name) __attribute__((section(Name)))
static volatile LONG *Paged;
static KSPIN_LOCK Lock;
static KDPC Dpc;
static KEVENT Done;
PLACED("PAGEDATA") static volatile LONG Counted = 7;
PLACED("PAGE") __attribute__((noinline)) static LONG Pageable(LONG Number) { return Number + 1; }
PLACED("PAGE") __attribute__((noinline)) static LONG Raises(LONG Number)
{
    KIRQL Old;
    KeRaiseIrql(DISPATCH_LEVEL, &Old);
    KeLowerIrql(Old);
    return Number + 1;
}
static VOID Under(VOID);
static VOID Above(VOID);
static VOID NTAPI OnDpc(PKDPC This, PVOID Context, PVOID First, PVOID Second)
{
    UNREFERENCED_PARAMETER(This);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Second);
    Above();
    KeSetEvent(&Done, 0, FALSE);
}
static VOID UnderLock(VOID)
{
    KIRQL Old;
    KeAcquireSpinLock(&Lock, &Old);
    Above();
    KeReleaseSpinLock(&Lock, Old);
}
static VOID InDpc(VOID)
{
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    KeInitializeDpc(&Dpc, OnDpc, NULL);
    KeInsertQueueDpc(&Dpc, NULL, NULL);
    KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
}
static VOID ByCr8(VOID)
{
    KIRQL Old = (KIRQL)__readcr8();
    __writecr8(DISPATCH_LEVEL);
    Above();
    __writecr8(Old);
}
static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    DbgPrint("kept %ld %ld %ld\n", *Paged, Counted, Pageable(1));
    ExFreePoolWithTag((PVOID)Paged, TAG);
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    KeInitializeSpinLock(&Lock);
    Paged = ExAllocatePoolWithTag(POOL, 3 * PAGE_SIZE, TAG);
    *Paged = 3;
    Under();
    *Paged += 1;
    (VOID)Raises;
    (VOID)UnderLock;
    (VOID)InDpc;
    (VOID)ByCr8;
    return STATUS_SUCCESS;
}
"""

READS = "static LONG Seen; static VOID Above(VOID) { Seen = *Paged; }"
WRITES = "static VOID Above(VOID) { Paged[PAGE_SIZE / 4 + 5] = 1; }"
READS_SECTION = "static LONG Seen; static VOID Above(VOID) { Seen = Counted; }"
CALLS_SECTION = "static VOID Above(VOID) { Counting = Pageable(Counting); }"
NOTHING = "static VOID Above(VOID) { }"
ONCE = "static VOID Under(VOID) { %s; }"
LOCKED = r"""
static VOID Under(VOID)
{
    PVOID Handle = MmLockPagableDataSection((PVOID)&Counted);
    UnderLock();
    MmUnlockPagableImageSection(Handle);
}
"""
UNLOCKED = LOCKED.replace("UnderLock();", "").replace("Handle);\n}", "Handle);\n    UnderLock();\n}")
PAGED, NON_PAGED = "PagedPool", "NonPagedPoolNx"

BROKEN = {
    "reads-under-a-lock": (PAGED, ONCE % "UnderLock()", READS, 0xD1, 0),
    "writes-in-a-dpc": (PAGED, ONCE % "InDpc()", WRITES, 0xD1, 1),
    "reads-after-writing-cr8": (PAGED, ONCE % "ByCr8()", READS, 0xD1, 0),
    "reads-a-paged-section": (NON_PAGED, ONCE % "UnderLock()", READS_SECTION, 0xD1, 0),
    "calls-paged-code": (NON_PAGED, ONCE % "UnderLock()", CALLS_SECTION, 0xD1, 8),
    "raises-in-paged-code": (NON_PAGED, ONCE % "Counting = Raises(Counting)", NOTHING, 0xD1, 8),
    "hands-paged-memory-to-an-export": (
        *(PAGED, ONCE % "UnderLock()"),
        *("static VOID Above(VOID) { KeSetEvent((PKEVENT)Paged, 0, FALSE); }", 0x0A, 0),
    ),
    "unlocks-too-early": (NON_PAGED, UNLOCKED, READS_SECTION, 0xD1, 0),
    "touches-it-in-between": (
        *(PAGED, ONCE % "UnderLock(); *Paged = 5; UnderLock()"),
        *("static VOID Above(VOID) { if (KeGetCurrentIrql() == 2 && Counting++) *Paged = 6; }", 0xD1, 1),
    ),
}
SHARES = r"""
static VOID NTAPI Adds(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    for (LONG i = 0; i < 200; ++i) {
        InterlockedIncrement(Paged);
        UnderLock();
    }
    PsTerminateSystemThread(0);
}
static VOID Under(VOID)
{
    HANDLE Thread;
    PVOID Threads[3];
    for (LONG i = 0; i < 3; ++i) {
        PsCreateSystemThread(&Thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, Adds, NULL);
        ObReferenceObjectByHandle(Thread, THREAD_ALL_ACCESS, NULL, KernelMode, &Threads[i], NULL);
        ZwClose(Thread);
    }
    for (LONG i = 0; i < 3; ++i) {
        KeWaitForSingleObject(Threads[i], Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(Threads[i]);
    }
    *Paged -= 600;
}
"""
MENDED = {
    "paged-of-several-threads": (PAGED, SHARES, NOTHING),
    "nonpaged-under-a-lock": (NON_PAGED, ONCE % "UnderLock()", READS),
    "nonpaged-in-a-dpc": (NON_PAGED, ONCE % "InDpc()", WRITES),
    "nonpaged-after-writing-cr8": (NON_PAGED, ONCE % "ByCr8()", READS),
    "paged-before-and-after": (PAGED, ONCE % "UnderLock(); InDpc(); *Paged += 0; ByCr8()", NOTHING),
    "a-locked-section": (NON_PAGED, LOCKED, READS_SECTION),
    "paged-code-below": (NON_PAGED, ONCE % "UnderLock(); Counting = Pageable(Counting)", NOTHING),
}


def image_of(pool: str, under: str, above: str, folder: Path) -> bytes:
    parts = (f"#define POOL {pool}", COMMON, "static volatile LONG Counting;", above, under)
    return make_driver("\n".join(parts), folder, "paged")


@pytest.mark.parametrize("name", BROKEN)
def test_touched_at_dispatch_level_it_is_a_bugcheck_that_names_the_driver(name: str, tmp_path: Path) -> None:
    pool, under, above, code, access = BROKEN[name]
    booted = Booted()
    with pytest.raises(DriverBugcheck) as caught:
        booted.load(image_of(pool, under, above, tmp_path), "paged.sys")
    address, irql, how, place = caught.value.parameters
    assert (caught.value.code, irql, how) == (code, DISPATCH_LEVEL, access)
    assert caught.value.module == "paged.sys"
    memory = booted.kernel.memory
    assert memory.protection(address) is not None, "it is there, and a debugger sees it"
    assert memory.read(address, 4) != b""
    if access == 8:
        assert place == address
    if name == "writes-in-a-dpc":
        assert address % 0x1000 == 20


@pytest.mark.parametrize("policy", POLICIES_TRIED)
@pytest.mark.parametrize("name", MENDED)
def test_what_is_right_keeps_what_it_wrote(name: str, policy: str, tmp_path: Path) -> None:
    image = image_of(*MENDED[name], tmp_path)
    hardware = Hardware()
    lives = [live(image, "paged", policy=policy, hardware=hardware) for _ in range(2)]
    assert lives[0] == lives[1], "the same boot on hardware where some was paged out before"
    assert lives[0].end is None
    assert lives[0].lines == ["kept 4 7 2"]


def test_pages_that_are_out_when_a_boot_dies_are_no_others(tmp_path: Path) -> None:
    pool, under, above, _, _ = BROKEN["calls-paged-code"]
    image, hardware = image_of(pool, under, above, tmp_path), Hardware()
    ends = [live(image, "paged", hardware=hardware).end for _ in range(2)]
    assert isinstance(ends[0], DriverBugcheck) and isinstance(ends[1], DriverBugcheck)
    assert ends[0].parameters == ends[1].parameters
