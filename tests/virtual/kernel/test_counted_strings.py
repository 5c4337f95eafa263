r"""Counted strings, look-aside lists of the newer kind, and names of objects, as a driver gets them."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import SYSTEM, Booted
from made_drivers import make_driver

DECLARED = r"""
#include <ntifs.h>
__declspec(dllimport) NTSTATUS NTAPI RtlValidateUnicodeString(ULONG, PCUNICODE_STRING);
__declspec(dllimport) NTSTATUS NTAPI RtlDuplicateUnicodeString(ULONG, PCUNICODE_STRING, PUNICODE_STRING);
static NTSTATUS Body(PDRIVER_OBJECT driver);
static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    (void)driver;
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void)path;
    driver->DriverUnload = Unload;
    return Body(driver);
}
"""

STRINGS = r"""
static NTSTATUS Body(PDRIVER_OBJECT driver)
{
    ANSI_STRING a, b, c;
    UNICODE_STRING u, v;
    CHAR room[8];
    WCHAR small[3];
    GUID guid;
    (void)driver;
    RtlInitAnsiString(&a, "Notepad"), RtlInitAnsiString(&b, "notePAD.exe");
    c.Buffer = room, c.Length = 0, c.MaximumLength = sizeof room;
    DbgPrint("%d %d", RtlEqualString(&a, &b, TRUE), RtlPrefixString(&a, &b, TRUE));
    DbgPrint(" %d %d", RtlPrefixString(&a, &b, FALSE), RtlCompareString(&a, &b, TRUE));
    DbgPrint(" %d\n", RtlCompareString(&a, &b, FALSE) < 0);
    RtlCopyString(&c, &b), DbgPrint("%Z", &c), RtlUpperString(&c, &a), DbgPrint(" %Z", &c);
    DbgPrint(" %x", RtlAppendStringToString(&c, &a)), c.Length = 2;
    DbgPrint(" %x", RtlAppendAsciizToString(&c, "tice")), DbgPrint(" %Z", &c);
    RtlCopyString(&c, NULL), DbgPrint(" %u\n", c.Length);
    DbgPrint("%d", RtlCreateUnicodeString(&u, L"\x00C4Xy")), DbgPrint(" %wZ %u", &u, u.MaximumLength);
    DbgPrint(" %x", RtlDowncaseUnicodeString(&v, &u, TRUE)), DbgPrint(" %wZ", &v), RtlFreeUnicodeString(&v);
    v.Buffer = small, v.MaximumLength = 4;
    DbgPrint(" %x", RtlDowncaseUnicodeString(&v, &u, FALSE));
    DbgPrint(" %x", RtlDuplicateUnicodeString(1, &u, &v)), DbgPrint(" %wZ %u", &v, v.MaximumLength);
    RtlFreeUnicodeString(&v), u.Length = 0;
    DbgPrint(" %x", RtlDuplicateUnicodeString(1, &u, &v)), DbgPrint(" %d", v.Buffer == NULL);
    DbgPrint(" %x", RtlDuplicateUnicodeString(2, &u, &v));
    DbgPrint(" %x", RtlDuplicateUnicodeString(3, &u, &v)), DbgPrint(" %u\n", v.MaximumLength);
    RtlFreeUnicodeString(&v);
    DbgPrint("%x", RtlValidateUnicodeString(0, &u)), u.Length = 3;
    DbgPrint(" %x", RtlValidateUnicodeString(0, &u));
    DbgPrint(" %x %c\n", RtlValidateUnicodeString(1, &u), RtlDowncaseUnicodeChar(L'Q'));
    u.Length = 0, RtlFreeUnicodeString(&u);
    RtlInitUnicodeString(&u, L"{00112233-4455-6677-8899-AABBCCDDEEFF}");
    DbgPrint("%x", RtlGUIDFromString(&u, &guid)), DbgPrint(" %x %x", guid.Data1, guid.Data4[7]);
    DbgPrint(" %x", RtlStringFromGUID(&guid, &v)), DbgPrint(" %d", RtlEqualUnicodeString(&u, &v, FALSE));
    RtlFreeUnicodeString(&v), u.Length -= 2, DbgPrint(" %x\n", RtlGUIDFromString(&u, &guid));
    return STATUS_SUCCESS;
}
"""

LOOKASIDE = r"""
static LOOKASIDE_LIST_EX List;
static ULONG Made, Freed;
static PVOID NTAPI Make(POOL_TYPE pool, SIZE_T size, ULONG tag, PLOOKASIDE_LIST_EX list)
{
    Made += list == &List && size == 64;
    return ExAllocatePoolWithTag(pool, size, tag);
}
static VOID NTAPI Free(PVOID block, PLOOKASIDE_LIST_EX list)
{
    Freed += list == &List;
    ExFreePool(block);
}
static NTSTATUS Body(PDRIVER_OBJECT driver)
{
    PVOID block;
    (void)driver;
    DbgPrint("%x", ExInitializeLookasideListEx(&List, NULL, NULL, PagedPool, 3, 64, 'x', 0));
    DbgPrint(" %x", ExInitializeLookasideListEx(&List, Make, Free, NonPagedPool, 0, 64, 'x', 0));
    block = ExAllocateFromLookasideListEx(&List);
    RtlZeroMemory(block, 64);
    ExFreeToLookasideListEx(&List, block);
    ExFlushLookasideListEx(&List);
    ExDeleteLookasideListEx(&List);
    DbgPrint(" %x", ExInitializeLookasideListEx(&List, NULL, NULL, PagedPool, 1, 64, 'x', 0));
    block = ExAllocateFromLookasideListEx(&List);
    ExFreeToLookasideListEx(&List, block);
    ExDeleteLookasideListEx(&List);
    DbgPrint(" %u %u\n", Made, Freed);
    return STATUS_SUCCESS;
}
"""

NAMES = r"""
static NTSTATUS Body(PDRIVER_OBJECT driver)
{
    UCHAR b[256];
    POBJECT_NAME_INFORMATION name = (PVOID)b;
    UNICODE_STRING text;
    FILE_OBJECT file = {.Type = 5, .Size = sizeof(FILE_OBJECT)};
    PDEVICE_OBJECT device, nameless;
    ULONG n = 0;
    RtlInitUnicodeString(&text, L"\\Device\\Named");
    IoCreateDevice(driver, 0, &text, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &nameless);
    DbgPrint("%x", ObQueryNameString(device, name, 4, &n)), DbgPrint(" %u", n);
    DbgPrint(" %x", ObQueryNameString(device, name, n, &n)), DbgPrint(" %wZ", &name->Name);
    DbgPrint(" %x", ObQueryNameString(nameless, name, 256, &n)), DbgPrint(" %u %u", n, name->Name.Length);
    DbgPrint(" %x", ObQueryNameString(driver, name, 256, &n)), DbgPrint(" %wZ", &name->Name);
    DbgPrint(" %x %u\n", ObQueryNameString(PsGetCurrentProcess(), name, 256, &n), name->Name.Length);
    RtlInitUnicodeString(&file.FileName, L"\\Device\\HarddiskVolume3\\Windows\\a.exe");
    DbgPrint("%x", IoQueryFileDosDeviceName(&file, &name)), DbgPrint(" %wZ", &name->Name), ExFreePool(name);
    file.DeviceObject = device;
    DbgPrint(" %x", IoQueryFileDosDeviceName(&file, &name));
    RtlInitUnicodeString(&file.FileName, L"\\x");
    DbgPrint(" %x", ObQueryNameString(&file, (PVOID)b, 256, &n));
    DbgPrint(" %wZ\n", &((POBJECT_NAME_INFORMATION)b)->Name);
    IoDeleteDevice(device), IoDeleteDevice(nameless);
    return STATUS_SUCCESS;
}
"""

EXPECTED = {
    STRINGS: [
        "0 1 0 -4 1",
        "notePAD. NOTEPAD c0000023 0 NOtice 0",
        "1 ÄXy 8 0 äxy 80000005 0 ÄXy 8 0 1 c000000d 0 2",
        "0 c000000d c000000d q",
        "0 112233 ff 0 1 c000000d",
    ],
    LOOKASIDE: ["c000000d 0 0 1 1"],
    NAMES: [
        "c0000004 44 0 \\Device\\Named 0 16 0 0 \\Driver\\made 0 0",
        "0 C:\\Windows\\a.exe c000003a 0 \\Device\\Named\\x",
    ],
}


@pytest.mark.parametrize("body", EXPECTED, ids=["strings", "look-aside lists", "names"])
def test_what_a_driver_gets(body: str, tmp_path: Path) -> None:
    booted = Booted(verifier=True)
    assert booted.load(make_driver(DECLARED + body, tmp_path), "made.sys") == 0
    assert b"".join(booted.debugger.prints).decode("cp1252").splitlines() == EXPECTED[body]
    assert booted.kernel.unload_driver(name="made.sys", context=SYSTEM) == 0, "no pool was left behind"
