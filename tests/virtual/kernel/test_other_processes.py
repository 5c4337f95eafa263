r"""What drivers ask of processes other than the current one: attaching, copying, handles by id, queries."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import SYSTEM, Booted
from made_drivers import make_driver

from harness.errors import DriverBugcheck, MissingImport

TARGET, THREAD, GONE = 300, 304, 0x7000
IMAGE = "\\Device\\HarddiskVolume3\\target.exe"
BASE = 0x1_4000_0000

DECLARED = r"""
#include <ntifs.h>
__declspec(dllimport) NTSTATUS NTAPI MmCopyVirtualMemory(PEPROCESS, const void *, PEPROCESS, PVOID, SIZE_T,
    KPROCESSOR_MODE, PSIZE_T);
__declspec(dllimport) NTSTATUS NTAPI ZwQuerySystemInformation(ULONG, PVOID, ULONG, PULONG);
__declspec(dllimport) NTSTATUS NTAPI ZwOpenThread(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, PCLIENT_ID);
__declspec(dllimport) PVOID NTAPI PsGetProcessSectionBaseAddress(PEPROCESS);
__declspec(dllimport) BOOLEAN NTAPI PsIsProtectedProcess(PEPROCESS);
__declspec(dllimport) PVOID NTAPI PsGetProcessDebugPort(PEPROCESS);
__declspec(dllimport) PEPROCESS NTAPI PsGetCurrentThreadProcess(void);
#define ID(process) ((ULONG)(ULONG_PTR)PsGetProcessId(process))
static PEPROCESS Target;
static void Body(void);
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(driver);
    UNREFERENCED_PARAMETER(path);
    if (!NT_SUCCESS(PsLookupProcessByProcessId((HANDLE)300, &Target)))
        return STATUS_NOT_FOUND;
    Body();
    ObDereferenceObject(Target);
    return STATUS_SUCCESS;
}
"""

ATTACHES = r"""
static void Body(void)
{
    KAPC_STATE state, inner, same;
    volatile USHORT *image = (USHORT *)PsGetProcessSectionBaseAddress(Target);
    USHORT magic = 0;
    KeStackAttachProcess(Target, &state);
    DbgPrint("%u id=%u own=%u", ID(PsGetCurrentProcess()), (ULONG)(ULONG_PTR)PsGetCurrentProcessId(),
        ID(PsGetCurrentThreadProcess()));
    magic = *image;
    DbgPrint(" %x", magic);
    KeStackAttachProcess(Target, &same);
    DbgPrint(" same=%p", same.Process);
    KeStackAttachProcess(PsInitialSystemProcess, &inner);
    DbgPrint(" inner=%u before=%u", ID(PsGetCurrentProcess()), ID((PEPROCESS)inner.Process));
    KeUnstackDetachProcess(&inner);
    KeUnstackDetachProcess(&same);
    DbgPrint(" %u", ID(PsGetCurrentProcess()));
    KeUnstackDetachProcess(&state);
    DbgPrint(" %u\n", ID(PsGetCurrentProcess()));
    KeAttachProcess(Target);
    DbgPrint("%u", ID(PsGetCurrentProcess()));
    KeDetachProcess();
    KeDetachProcess();
    DbgPrint(" %u\n", ID(PsGetCurrentProcess()));
    __try {
        magic = *image;
        DbgPrint("still there\n");
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        DbgPrint("gone %x\n", GetExceptionCode());
    }
}
"""

COPIES = r"""
static void Body(void)
{
    ULONG64 words[4] = {1, 2, 3, 4}, got[4] = {0};
    PUCHAR image = PsGetProcessSectionBaseAddress(Target);
    PEPROCESS me = PsGetCurrentProcess();
    SIZE_T n = 77;
    NTSTATUS s = MmCopyVirtualMemory(Target, image, me, got, 2, KernelMode, &n);
    DbgPrint("%x %u %x\n", s, (ULONG)n, (ULONG)got[0]);
    s = MmCopyVirtualMemory(me, words, me, got, sizeof words, KernelMode, &n);
    DbgPrint("%x %u %u\n", s, (ULONG)n, (ULONG)got[3]);
    s = MmCopyVirtualMemory(me, words, Target, image, 8, KernelMode, &n);
    DbgPrint("%x %u\n", s, (ULONG)n);
    s = MmCopyVirtualMemory(Target, (PVOID)0x10, me, got, 8, KernelMode, &n);
    DbgPrint("%x %u\n", s, (ULONG)n);
    s = MmCopyVirtualMemory(me, words, me, got, 8, UserMode, &n);
    DbgPrint("%x\n", s);
    s = MmCopyVirtualMemory(me, words, me, got, 0, KernelMode, &n);
    DbgPrint("%x %u\n", s, (ULONG)n);
}
"""

ASKS = r"""
static void Body(void)
{
    static UCHAR b[0x8000];
    OBJECT_ATTRIBUTES attributes;
    CLIENT_ID id = {(HANDLE)300, 0}, wrong = {(HANDLE)0x7000, 0}, both = {(HANDLE)300, (HANDLE)304};
    UNICODE_STRING name;
    HANDLE h = NULL, t = NULL;
    PVOID object;
    ULONG n = 0, count = 0, found = 0;
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    RtlInitUnicodeString(&name, L"x");
    DbgPrint("%x", ZwOpenProcess(&h, PROCESS_ALL_ACCESS, &attributes, &wrong));
    DbgPrint(" %x", ZwOpenProcess(&h, PROCESS_ALL_ACCESS, &attributes, NULL));
    DbgPrint(" %x", ZwOpenProcess(&h, PROCESS_ALL_ACCESS, &attributes, &id));
    DbgPrint(" %x", ZwOpenThread(&t, THREAD_ALL_ACCESS, &attributes, &both));
    both.UniqueThread = (HANDLE)308;
    DbgPrint(" %x\n", ZwOpenThread(&t, THREAD_ALL_ACCESS, &attributes, &both));
    ObReferenceObjectByHandle(h, 0, *PsProcessType, KernelMode, &object, NULL);
    DbgPrint("%d", object == Target), ObDereferenceObject(object);
    DbgPrint(" %x", ZwQueryInformationProcess(h, 27, b, 4, &n)), DbgPrint(" %d", n > 16);
    DbgPrint(" %x", ZwQueryInformationProcess(h, 27, b, n, &n)), DbgPrint(" %wZ\n", (PUNICODE_STRING)b);
    DbgPrint("%x", ZwQueryInformationProcess(h, 0, b, 0x30, &n));
    DbgPrint(" %u %u", (ULONG)((ULONG64 *)b)[4], (ULONG)((ULONG64 *)b)[5]);
    DbgPrint(" %x", ZwQueryInformationProcess(h, 0, b, 0x31, NULL));
    DbgPrint(" %x", ZwQueryInformationProcess(t, 0, b, 0x30, NULL));
    DbgPrint(" %x", ZwQueryInformationProcess((HANDLE)12, 0, b, 0x30, NULL));
    DbgPrint(" %x\n", ZwQueryInformationProcess(h, 5000, b, 8, NULL));
    DbgPrint("%x", ZwQueryInformationProcess((HANDLE)-1, 26, b, 8, NULL));
    DbgPrint(" %x %x\n", ZwClose(h), ZwClose(h));
    DbgPrint("%x", ZwQuerySystemInformation(11, b, 0, &n));
    DbgPrint(" %x", ZwQuerySystemInformation(11, b, n, &n));
    DbgPrint(" %u %s\n", *(ULONG *)b, b + 8 + 0x28 + *(USHORT *)(b + 8 + 0x26));
    DbgPrint("%x", ZwQuerySystemInformation(5, b, sizeof b, &n));
    for (n = 0;; n += count) {
        count = *(ULONG *)(b + n);
        if (*(ULONG64 *)(b + n + 0x50) == 300) {
            found = *(ULONG *)(b + n + 4);
            DbgPrint(" %wZ", (PUNICODE_STRING)(b + n + 0x38));
            DbgPrint(" %u", (ULONG)*(ULONG64 *)(b + n + 0x100 + 0x30));
        }
        if (!count)
            break;
    }
    DbgPrint(" threads=%u %x\n", found, ZwQuerySystemInformation(9999, b, sizeof b, &n));
    DbgPrint("%d %d %d\n", PsIsProtectedProcess(Target), PsIsProtectedProcess(PsInitialSystemProcess),
        PsGetProcessDebugPort(Target) == NULL);
}
"""

ALLOCATES = r"""
static void Body(void)
{
    KAPC_STATE state;
    HANDLE h;
    PVOID at = NULL, odd, none = (PVOID)0x10000, map;
    SIZE_T size = 5000, n = 0, zero = 0, all = 0x100000, huge = 0x10000000;
    ULONG64 words[2] = {0x1111, 0x2222}, got[2] = {0};
    PMDL mdl;
    PEPROCESS me = PsGetCurrentProcess();
    ObOpenObjectByPointer(Target, OBJ_KERNEL_HANDLE, NULL, GENERIC_ALL, *PsProcessType, KernelMode, &h);
    DbgPrint("%x", ZwAllocateVirtualMemory(h, &at, 0, &size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE));
    DbgPrint(" %u %u", (ULONG)size, (ULONG)((ULONG_PTR)at & 0xFFFF));
    DbgPrint(" %x", MmCopyVirtualMemory(me, words, Target, at, sizeof words, KernelMode, &n));
    KeStackAttachProcess(Target, &state);
    got[0] = ((volatile ULONG64 *)at)[1];
    ((volatile ULONG64 *)at)[2] = 0x3333;
    mdl = IoAllocateMdl(at, 24, FALSE, FALSE, NULL);
    MmProbeAndLockPages(mdl, UserMode, IoReadAccess);
    KeUnstackDetachProcess(&state);
    map = MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    got[1] = ((ULONG64 *)map)[2];
    MmUnlockPages(mdl), IoFreeMdl(mdl);
    DbgPrint(" %x %x", (ULONG)got[0], (ULONG)got[1]);
    DbgPrint(" %x\n", MmCopyVirtualMemory(Target, at, me, got, 8, KernelMode, &n));
    odd = (PUCHAR)at + 0x1000;
    DbgPrint("%x", ZwAllocateVirtualMemory(h, &none, 0, &zero, MEM_COMMIT, PAGE_READWRITE)), odd = odd;
    DbgPrint(" %x", ZwAllocateVirtualMemory(h, &none, 0, &size, 0, PAGE_READWRITE)), map = NULL;
    DbgPrint(" %x", ZwAllocateVirtualMemory(h, &map, 0, &size, MEM_COMMIT, 3));
    DbgPrint(" %x", ZwAllocateVirtualMemory(h, &map, 0, &huge, MEM_COMMIT, PAGE_READWRITE));
    DbgPrint(" %x\n", ZwAllocateVirtualMemory((HANDLE)12, &map, 0, &size, MEM_COMMIT, PAGE_READWRITE));
    DbgPrint("%x", ZwFreeVirtualMemory(h, &none, &zero, MEM_RELEASE));
    DbgPrint(" %x", ZwFreeVirtualMemory(h, &odd, &zero, MEM_RELEASE));
    DbgPrint(" %x", ZwFreeVirtualMemory(h, &at, &all, MEM_RELEASE));
    DbgPrint(" %x", ZwFreeVirtualMemory(h, &at, &zero, 0));
    DbgPrint(" %x", ZwFreeVirtualMemory(h, &at, &zero, MEM_RELEASE)), DbgPrint(" %u", (ULONG)zero);
    DbgPrint(" %x", ZwFreeVirtualMemory(h, &at, &zero, MEM_RELEASE));
    DbgPrint(" %x\n", MmCopyVirtualMemory(Target, at, me, got, 8, KernelMode, &n));
    ZwClose(h);
}
"""


@pytest.fixture
def booted() -> Booted:
    booted = Booted()
    kernel = booted.kernel
    kernel.create_process_object(pid=TARGET, parent_pid=1000, name="target.exe", image=IMAGE)
    kernel.create_thread_object(pid=TARGET, tid=THREAD, processor=0)
    kernel.image_notify(name=IMAGE, pid=TARGET, base=BASE, size=0x3000, system_mode=False, context=SYSTEM)
    return booted


def prints(booted: Booted, body: str, folder: Path) -> list[str]:
    assert booted.load(make_driver(DECLARED + body, folder), "made.sys") == 0
    return b"".join(booted.debugger.prints).decode("cp1252").splitlines()


def test_attaching_changes_the_address_space_and_detaching_gives_it_back(
    booted: Booted, tmp_path: Path
) -> None:
    assert prints(booted, ATTACHES, tmp_path) == [
        "300 id=4 own=4 5a4d same=0000000000000001 inner=4 before=300 300 4",
        "300 4",
        "gone c0000005",
    ]


def test_copying_between_address_spaces(booted: Booted, tmp_path: Path) -> None:
    assert prints(booted, COPIES, tmp_path) == [
        "0 2 5a4d",
        "0 32 4",
        "8000000d 0",
        "8000000d 0",
        "c0000005",
        "0 0",
    ]


def test_handles_by_id_and_what_is_asked_of_them(booted: Booted, tmp_path: Path) -> None:
    assert prints(booted, ASKS, tmp_path) == [
        "c000000b c0000030 0 0 c000000b",
        f"1 c0000004 1 0 {IMAGE}",
        "0 300 1000 c0000004 c0000024 c0000008 c0000003",
        "0 0 c0000008",
        "c0000004 0 2 ntoskrnl.exe",
        "0 target.exe 304 threads=1 c0000003",
        "0 1 1",
    ]


def test_memory_of_another_process(booted: Booted, tmp_path: Path) -> None:
    assert prints(booted, ALLOCATES, tmp_path) == [
        "0 8192 0 0 2222 3333 0",
        "c00000f2 c00000f3 c0000045 c0000017 c0000008",
        "c00000a0 c000009f c000001a c00000f2 0 8192 c00000a0 8000000d",
    ]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("KAPC_STATE s; KeStackAttachProcess(Target, &s);", 0x01),
        ("KAPC_STATE s = {.Process = NULL}; KeUnstackDetachProcess(&s);", 0x06),
        ("KeAttachProcess(Target); KeAttachProcess(PsInitialSystemProcess);", 0x05),
        ("KAPC_STATE s; KeStackAttachProcess((PVOID)PsGetCurrentThread(), &s);", 0x05),
    ],
    ids=["left attached", "detached twice", "attached twice", "a thread"],
)
def test_what_is_wrong_with_attaching_is_a_bugcheck(
    call: str, code: int, booted: Booted, tmp_path: Path
) -> None:
    with pytest.raises(DriverBugcheck) as caught:
        prints(booted, f"static void Body(void) {{ {call} }}", tmp_path)
    assert (caught.value.code, caught.value.module) == (code, "made.sys")


def test_a_dpc_cannot_attach(booted: Booted, tmp_path: Path) -> None:
    body = """
    static KDPC Dpc;
    static VOID NTAPI On(PKDPC d, PVOID a, PVOID b, PVOID c)
    {
        KAPC_STATE s;
        (void)d, (void)a, (void)b, (void)c;
        KeStackAttachProcess(Target, &s);
    }
    static void Body(void) { KeInitializeDpc(&Dpc, On, NULL); KeInsertQueueDpc(&Dpc, NULL, NULL); }
    """
    with pytest.raises(DriverBugcheck) as caught:
        prints(booted, body, tmp_path)
    assert (caught.value.code, caught.value.parameters[3]) == (0x05, 1)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("ZwQueryInformationProcess((HANDLE)-1, 4, b, 32, NULL)", "ZwQueryInformationProcess(class 4)"),
        ("ZwQuerySystemInformation(0, b, 32, NULL)", "ZwQuerySystemInformation(class 0)"),
        (
            "ZwAllocateVirtualMemory((HANDLE)-1, (PVOID *)b, 0, (PSIZE_T)(b + 8), MEM_RESERVE, 4)",
            "ZwAllocateVirtualMemory(but for MEM_COMMIT)",
        ),
    ],
)
def test_a_class_that_the_target_lacks_ends_the_run_as_a_missing_import_does(
    call: str, name: str, booted: Booted, tmp_path: Path
) -> None:
    with pytest.raises(MissingImport, match=r"made\.sys") as caught:
        prints(booted, f'static void Body(void) {{ static char b[32]; DbgPrint("%x", {call}); }}', tmp_path)
    assert caught.value.name == name
    assert caught.value.hint is not None and "real target" in caught.value.hint
