r"""Symbolic links that drivers look into, the letters of volumes, names of drivers, and types of objects."""

from __future__ import annotations

from pathlib import Path

from booted import SYSTEM, Booted
from made_drivers import make_driver

DRIVER = r"""
#include <ntifs.h>
__declspec(dllimport) POBJECT_TYPE NTAPI ObGetObjectType(PVOID);
__declspec(dllimport) NTSTATUS NTAPI ObCloseHandle(HANDLE, KPROCESSOR_MODE);
__declspec(dllimport) NTSTATUS NTAPI ObReferenceObjectByName(PUNICODE_STRING, ULONG, PACCESS_STATE,
    ACCESS_MASK, POBJECT_TYPE, KPROCESSOR_MODE, PVOID, PVOID *);
static UNICODE_STRING Own = RTL_CONSTANT_STRING(L"\\DosDevices\\Mine");
static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Mine");

static VOID Look(PCWSTR link)
{
    WCHAR room[64];
    UNICODE_STRING name, target = {0, sizeof room, room}, small = {0, 4, room};
    OBJECT_ATTRIBUTES a;
    HANDLE h = NULL;
    ULONG n = 0;
    RtlInitUnicodeString(&name, link);
    InitializeObjectAttributes(&a, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    DbgPrint("%x", ZwOpenSymbolicLinkObject(&h, GENERIC_READ, &a));
    if (h != NULL) {
        DbgPrint(" %x", ZwQuerySymbolicLinkObject(h, &target, NULL)), DbgPrint(" %wZ", &target);
        DbgPrint(" %x", ZwQuerySymbolicLinkObject(h, &small, &n));
        target.MaximumLength = (USHORT)(n - 2);
        DbgPrint(" %u %x %x", n == target.Length + 2, ZwQuerySymbolicLinkObject(h, &target, NULL),
            ZwQuerySymbolicLinkObject(h, &target, &n));
        DbgPrint(" %x", ObCloseHandle(h, KernelMode));
        DbgPrint(" %x", ZwQuerySymbolicLinkObject(h, &target, NULL));
    }
    DbgPrint("\n");
}

static PVOID Find(PCWSTR text, POBJECT_TYPE type)
{
    UNICODE_STRING name;
    PVOID found = NULL;
    NTSTATUS status;
    RtlInitUnicodeString(&name, text);
    status = ObReferenceObjectByName(&name, OBJ_CASE_INSENSITIVE, NULL, 0, type, KernelMode, NULL, &found);
    if (NT_SUCCESS(status))
        ObDereferenceObject(found);
    else
        DbgPrint("%x ", status);
    return found;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver) { UNREFERENCED_PARAMETER(driver); }
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING log = RTL_CONSTANT_STRING(L"\\??\\C:\\Windows\\Temp\\a.log"), letter;
    OBJECT_ATTRIBUTES a;
    IO_STATUS_BLOCK status;
    PFILE_OBJECT file;
    PDEVICE_OBJECT device;
    HANDLE h;
    ULONG hash = 0;
    driver->DriverUnload = Unload;
    UNREFERENCED_PARAMETER(path);
    IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    IoCreateSymbolicLink(&Own, &Name);
    Look(L"\\??\\c:"), Look(L"\\GLOBAL??\\D:"), Look(L"\\??\\Mine"), Look(L"\\Device\\Mine"), Look(L"C:");
    InitializeObjectAttributes(&a, &log, OBJ_KERNEL_HANDLE, NULL, NULL);
    ZwCreateFile(&h, GENERIC_WRITE, &a, &status, NULL, 0x80, 0, FILE_OPEN_IF, 0x20, NULL, 0);
    ObReferenceObjectByHandle(h, 0, *IoFileObjectType, KernelMode, (PVOID *)&file, NULL);
    DbgPrint("%x", IoVolumeDeviceToDosName(file->DeviceObject, &letter)), DbgPrint(" %wZ", &letter);
    DbgPrint(" %x\n", IoVolumeDeviceToDosName(device, &letter));
    DbgPrint("%d", ObGetObjectType(PsGetCurrentProcess()) == *PsProcessType);
    DbgPrint(" %d", ObGetObjectType(PsGetCurrentThread()) == *PsThreadType);
    DbgPrint(" %d %d\n", ObGetObjectType(file) == *IoFileObjectType, ObGetObjectType(device) != NULL);
    DbgPrint("%d", Find(L"\\driver\\MADE", ObGetObjectType(driver)) == driver);
    DbgPrint(" %d %d ", Find(L"\\Device\\Mine", NULL) == device, Find(L"\\??\\Mine", NULL) == device);
    Find(L"\\Driver\\made", ObGetObjectType(device)), Find(L"\\Driver\\Nobody", NULL);
    RtlInitUnicodeString(&log, L"ab"), RtlHashUnicodeString(&log, TRUE, 0, &hash), DbgPrint("%u", hash);
    DbgPrint(" %x", RtlHashUnicodeString(&log, FALSE, 1, &hash));
    DbgPrint(" %u %x\n", hash, RtlHashUnicodeString(&log, FALSE, 2, &hash));
    ExFreePool(letter.Buffer);
    ObDereferenceObject(file);
    ZwClose(h);
    IoDeleteSymbolicLink(&Own);
    IoDeleteDevice(device);
    return STATUS_SUCCESS;
}
"""


def test_links_lead_to_devices_and_volumes_to_letters(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(make_driver(DRIVER, tmp_path), "made.sys") == 0
    assert b"".join(booted.debugger.prints).decode().splitlines() == [
        r"0 0 \Device\HarddiskVolume3 c0000023 1 0 c0000023 0 c0000008",
        "c0000034",
        r"0 0 \Device\Mine c0000023 1 0 c0000023 0 c0000008",
        "c0000024",
        "c000003b",
        "0 C: c0000010",
        "1 1 1 1",
        f"1 1 1 c0000024 c0000034 {65 * 65599 + 66} 0 {97 * 65599 + 98} c000000d",
    ]
    assert booted.kernel.unload_driver(name="made.sys", context=SYSTEM) == 0
    (rule, *others) = booted.kernel.broken_rules  # the links' closed handles were used again, on purpose
    assert {rule.rule, *(other.rule for other in others)} == {"KernelHandles"}
