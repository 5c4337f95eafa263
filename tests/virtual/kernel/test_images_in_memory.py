r"""What drivers find out about images: headers, directories and exports, and what a process has where."""

from __future__ import annotations

from pathlib import Path

from booted import SYSTEM, Booted
from made_drivers import make_driver

from harness.virtual.kernel.exports.rtlimage import rtl_find_exported_routine_by_name

TARGET, BASE = 300, 0x1_4000_0000
IMAGE = "\\Device\\HarddiskVolume3\\target.exe"

DRIVER = r"""
#include <ntifs.h>
typedef struct {
    PVOID BaseAddress, AllocationBase;
    ULONG AllocationProtect;
    USHORT PartitionId;
    SIZE_T RegionSize;
    ULONG State, Protect, Type;
} REGION;
C_ASSERT(sizeof(REGION) == 0x30);
__declspec(dllimport) PVOID NTAPI RtlImageNtHeader(PVOID);
__declspec(dllimport) PVOID NTAPI RtlImageDirectoryEntryToData(PVOID, BOOLEAN, USHORT, PULONG);
__declspec(dllimport) NTSTATUS NTAPI ZwQueryVirtualMemory(HANDLE, PVOID, ULONG, PVOID, SIZE_T, PSIZE_T);
static PVOID Kernel;
static UCHAR B[256];

static VOID Headers(PDRIVER_OBJECT driver)
{
    ULONG size = 0;
    PVOID found, own = driver->DriverStart;
    PUCHAR header;
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"DbgPrint");
    RtlPcToFileHeader(MmGetSystemRoutineAddress(&name), &Kernel);
    header = RtlImageNtHeader(Kernel);
    DbgPrint("%d %d", *(ULONG *)header == 0x4550, header - (PUCHAR)Kernel < 0x1000);
    DbgPrint(" %p %p", RtlImageNtHeader(NULL), RtlImageNtHeader(B));
    DbgPrint(" %d\n", RtlImageNtHeader(own) != NULL);
    found = RtlImageDirectoryEntryToData(Kernel, TRUE, 0, &size);
    DbgPrint("%d %d", (PUCHAR)found > (PUCHAR)Kernel, size > 1000);
    DbgPrint(" %p", RtlImageDirectoryEntryToData(Kernel, TRUE, 16, &size));
    DbgPrint(" %p", RtlImageDirectoryEntryToData(own, TRUE, 0, &size));
    DbgPrint(" %d", RtlImageDirectoryEntryToData(own, TRUE, 1, &size) != NULL);
    DbgPrint(" %d\n", RtlImageDirectoryEntryToData(own, FALSE, 1, &size) !=
        RtlImageDirectoryEntryToData(own, TRUE, 1, &size));
}

static VOID Regions(VOID)
{
    REGION *r = (PVOID)B;
    HANDLE h;
    SIZE_T n = 7;
    CLIENT_ID id = {(HANDLE)300, 0};
    OBJECT_ATTRIBUTES a;
    PUCHAR base = (PUCHAR)0x140000000;
    PVOID mine = NULL;
    SIZE_T size = 0x3000;
    InitializeObjectAttributes(&a, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    ZwOpenProcess(&h, PROCESS_ALL_ACCESS, &a, &id);
    DbgPrint("%x", ZwQueryVirtualMemory(h, base + 0x10, 0, B, sizeof B, &n));
    DbgPrint(" %u %d %x", (ULONG)n, r->AllocationBase == base, (ULONG)r->RegionSize);
    DbgPrint(" %x %x\n", r->Protect, r->Type);
    DbgPrint("%x", ZwQueryVirtualMemory(h, base + 0x1234, 0, B, sizeof B, NULL));
    DbgPrint(" %d %x %x %x\n", r->BaseAddress == base + 0x1000, (ULONG)r->RegionSize, r->Protect, r->State);
    DbgPrint("%x", ZwQueryVirtualMemory(h, base - 0x1000, 0, B, sizeof B, NULL));
    DbgPrint(" %x %x %p\n", (ULONG)r->RegionSize, r->State, r->AllocationBase);
    ZwAllocateVirtualMemory(h, &mine, 0, &size, MEM_COMMIT, PAGE_READWRITE);
    DbgPrint("%x", ZwQueryVirtualMemory(h, (PUCHAR)mine + 0x1000, 0, B, sizeof B, NULL));
    DbgPrint(" %d %x %x %x\n", r->AllocationBase == mine, (ULONG)r->RegionSize, r->Protect, r->Type);
    DbgPrint("%x", ZwQueryVirtualMemory(h, base, 2, B, sizeof B, &n));
    DbgPrint(" %wZ", (PUNICODE_STRING)B);
    DbgPrint(" %x", ZwQueryVirtualMemory(h, base, 2, B, 16, NULL));
    DbgPrint(" %x", ZwQueryVirtualMemory(h, mine, 2, B, 99, NULL));
    DbgPrint(" %x", ZwQueryVirtualMemory(h, base, 0, B, 47, NULL));
    DbgPrint(" %x", ZwQueryVirtualMemory(h, Kernel, 0, B, sizeof B, NULL));
    DbgPrint(" %x", ZwQueryVirtualMemory(h, base, 5000, B, sizeof B, NULL));
    DbgPrint(" %x\n", ZwQueryVirtualMemory((HANDLE)12, base, 0, B, sizeof B, NULL));
    ZwClose(h);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    Headers(driver);
    Regions();
    return STATUS_SUCCESS;
}
"""


def test_headers_exports_and_regions_are_found(booted: Booted, tmp_path: Path) -> None:
    kernel = booted.kernel
    kernel.create_process_object(pid=TARGET, parent_pid=1000, name="target.exe", image=IMAGE)
    kernel.image_notify(name=IMAGE, pid=TARGET, base=BASE, size=0x3000, system_mode=False, context=SYSTEM)
    assert booted.load(make_driver(DRIVER, tmp_path), "made.sys") == 0
    null = "0" * 16
    assert b"".join(booted.debugger.prints).decode().splitlines() == [
        f"1 1 {null} {null} 1",
        f"1 1 {null} {null} 1 1",
        "0 48 1 1000 2 1000000",
        "0 1 2000 20 1000",
        f"0 1000 10000 {null}",
        "0 1 2000 4 20000",
        f"0 {IMAGE} 80000005 c0000141 c0000004 c000000d c0000003 c0000008",
    ]


def test_an_exported_routine_is_found_by_its_name(booted: Booted) -> None:
    system = booted.kernel._system
    for name in ("DbgPrint", "ZwClose", "_wcsicmp", "CmRegisterCallback"):
        at = system.heap.put(name.encode() + b"\0")
        found = rtl_find_exported_routine_by_name(system, booted.kernel.kernel_base, at)
        assert found == booted.symbol(name)
    at = system.heap.put(b"NoSuchRoutine\0")
    assert rtl_find_exported_routine_by_name(system, booted.kernel.kernel_base, at) == 0
