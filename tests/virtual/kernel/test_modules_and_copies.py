r"""The loaded modules by Microsoft's auxiliary library, and memory that is copied without a fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import SYSTEM, Booted
from made_drivers import make_driver

from harness.errors import MissingImport

DRIVER = r"""
#include <ntddk.h>
#include <aux_klib.h>
static UCHAR From[32] = "0123456789", To[32];
static NTSTATUS Copy(PVOID source, SIZE_T size, ULONG flags, PSIZE_T done)
{
    MM_COPY_ADDRESS address;
    address.VirtualAddress = source;
    *done = 99;
    return MmCopyMemory(To, address, size, flags, done);
}
static VOID NTAPI Unload(PDRIVER_OBJECT driver) { UNREFERENCED_PARAMETER(driver); }
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    PAUX_MODULE_EXTENDED_INFO all;
    ULONG size = 0, small = 8;
    SIZE_T done;
    PUCHAR page = ExAllocatePoolWithTag(NonPagedPoolNx, PAGE_SIZE, 'test');
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    DbgPrint("%x %x", AuxKlibInitialize(), AuxKlibQueryModuleInformation(&size, sizeof *all, NULL));
    DbgPrint(" %u %x", size / sizeof *all, AuxKlibQueryModuleInformation(&size, 7, NULL));
    all = ExAllocatePoolWithTag(PagedPool, size, 'test');
    DbgPrint(" %x", AuxKlibQueryModuleInformation(&small, sizeof *all, all));
    DbgPrint(" %x", AuxKlibQueryModuleInformation(&size, sizeof *all, all));
    DbgPrint(" %s %d", all[1].FullPathName + all[1].FileNameOffset, all[1].ImageSize == driver->DriverSize);
    DbgPrint(" %d\n", all[1].BasicInfo.ImageBase == driver->DriverStart);
    DbgPrint("%x", Copy(From, 11, MM_COPY_MEMORY_VIRTUAL, &done)), DbgPrint(" %u %s", (ULONG)done, To);
    DbgPrint(" %x", Copy((PVOID)0x10, 8, MM_COPY_MEMORY_VIRTUAL, &done)), DbgPrint(" %u", (ULONG)done);
    DbgPrint(" %x", Copy(page + PAGE_SIZE - 8, 32, MM_COPY_MEMORY_VIRTUAL, &done));
    DbgPrint(" %u %x\n", (ULONG)done, Copy(From, 1, 3, &done));
    ExFreePoolWithTag(all, 'test'), ExFreePoolWithTag(page, 'test');
    PHYSICAL
    return STATUS_SUCCESS;
}
"""
PHYSICAL = "Copy(From, 1, MM_COPY_MEMORY_PHYSICAL, &done);"


def test_modules_are_listed_and_a_copy_ends_where_nothing_is(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(make_driver(DRIVER.replace("PHYSICAL\n", "\n"), tmp_path), "made.sys") == 0
    assert b"".join(booted.debugger.prints).decode().splitlines() == [
        "0 0 2 c00000f0 c0000023 0 made.sys 1 1",
        "0 11 0123456789 8000000d 0 8000000d 8 c000000d",
    ]
    assert booted.kernel.unload_driver(name="made.sys", context=SYSTEM) == 0
    assert booted.kernel.broken_rules == ()


def test_physical_memory_is_not_served(booted: Booted, tmp_path: Path) -> None:
    driver = make_driver(DRIVER.replace("PHYSICAL\n", PHYSICAL), tmp_path)
    with pytest.raises(MissingImport, match="physical addresses"):
        booted.load(driver, "made.sys")
