r"""Files that drivers write and read, and registry keys, as a compiled driver finds them."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import Booted
from made_drivers import make_driver

from harness.errors import MissingImport
from harness.virtual.kernel.configuration import MAX_KEYS, Registry, RegistryKey
from harness.virtual.kernel.volume import MAX_VOLUME, Volume

DECLARED = r"""
#include <ntifs.h>
static OBJECT_ATTRIBUTES A;
static UNICODE_STRING N;
static IO_STATUS_BLOCK S;
static UCHAR B[512];
static POBJECT_ATTRIBUTES Named(PCWSTR name, HANDLE root)
{
    RtlInitUnicodeString(&N, name);
    InitializeObjectAttributes(&A, &N, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, root, NULL);
    return &A;
}
static PUNICODE_STRING Text(PCWSTR text)
{
    RtlInitUnicodeString(&N, text);
    return &N;
}
static void Body(PUNICODE_STRING path);
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void)driver, (void)A, (void)B, (void)S, (void)Named, (void)Text;
    Body(path);
    return STATUS_SUCCESS;
}
"""

KEYS = r"""
static void Body(PUNICODE_STRING path)
{
    HANDLE h = NULL, k = NULL, again = NULL;
    ULONG n = 0, how = 0, number = 7;
    KEY_VALUE_PARTIAL_INFORMATION *part = (PVOID)B;
    KEY_VALUE_FULL_INFORMATION *full = (PVOID)B;
    KEY_VALUE_BASIC_INFORMATION *basic = (PVOID)B;
    KEY_FULL_INFORMATION *whole = (PVOID)B;
    KEY_BASIC_INFORMATION *name = (PVOID)B;
    InitializeObjectAttributes(&A, path, OBJ_KERNEL_HANDLE, NULL, NULL);
    DbgPrint("%x", ZwOpenKey(&h, KEY_READ, &A));
    DbgPrint(" %x", ZwQueryValueKey(h, Text(L"imagepath"), 2, B, 4, &n)), DbgPrint(" %u", n);
    DbgPrint(" %x", ZwQueryValueKey(h, Text(L"ImagePath"), 2, B, 16, &n));
    DbgPrint(" %x", ZwQueryValueKey(h, Text(L"ImagePath"), 2, B, n, &n));
    DbgPrint(" %u %u %ws\n", part->Type, part->DataLength, (PWSTR)part->Data);
    DbgPrint("%x", ZwQueryValueKey(h, Text(L"Start"), 2, B, 64, &n)), DbgPrint(" %u", *(ULONG *)part->Data);
    DbgPrint(" %x", ZwQueryValueKey(h, Text(L"Nothing"), 2, B, 64, &n));
    DbgPrint(" %x", ZwOpenKey(&k, KEY_READ, Named(L"Parameters", h)));
    DbgPrint(" %x", ZwCreateKey(&k, KEY_ALL_ACCESS, Named(L"Parameters", h), 0, NULL, 0, &how));
    DbgPrint(" %u", how);
    DbgPrint(" %x", ZwCreateKey(&again, KEY_ALL_ACCESS, Named(L"PARAMETERS", h), 0, NULL, 0, &how));
    DbgPrint(" %u", how);
    DbgPrint(" %x\n", ZwCreateKey(&again, KEY_ALL_ACCESS, Named(L"No\\Such", h), 0, NULL, 0, &how));
    DbgPrint("%x", ZwSetValueKey(k, Text(L"Level"), 0, REG_DWORD, &number, 4));
    DbgPrint(" %x", ZwQueryValueKey(again, Text(L"level"), 1, B, 64, &n));
    DbgPrint(" %u %.5ws", *(ULONG *)(B + full->DataOffset), full->Name);
    DbgPrint(" %x", ZwEnumerateValueKey(k, 0, 0, B, 64, &n)), DbgPrint(" %u %.5ws", basic->Type, basic->Name);
    DbgPrint(" %x", ZwEnumerateValueKey(k, 1, 0, B, 64, &n));
    DbgPrint(" %x", ZwDeleteKey(h)), DbgPrint(" %x", ZwDeleteValueKey(k, Text(L"Level")));
    DbgPrint(" %x\n", ZwDeleteValueKey(k, Text(L"Level")));
    DbgPrint("%x", ZwQueryKey(h, 2, B, 64, &n));
    DbgPrint(" %u keys %u values", whole->SubKeys, whole->Values);
    DbgPrint(" %x", ZwEnumerateKey(h, 0, 0, B, 64, &n)), DbgPrint(" %.10ws", name->Name);
    DbgPrint(" %x", ZwEnumerateKey(h, 1, 0, B, 64, &n));
    DbgPrint(" %x", ZwQueryKey(k, 3, B, 512, &n)), DbgPrint(" %.*ws\n", (int)*(ULONG *)B / 2, (PWSTR)(B + 4));
    DbgPrint("%x %x", ZwDeleteKey(k), ZwFlushKey(again));
    DbgPrint(" %x %x %x", ZwClose(k), ZwClose(k), ZwFlushKey(k));
    DbgPrint(" %x", ZwOpenKey(&k, KEY_READ, Named(L"Registry\\Machine", NULL)));
    DbgPrint(" %x\n", ZwOpenKey(&k, KEY_READ, Named(L"\\Nowhere", NULL)));
    ZwOpenKey(&k, KEY_READ, Named(L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\made", NULL));
    ZwQueryKey(k, 3, B, 512, &n);
    DbgPrint("%.*ws\n", (int)*(ULONG *)B / 2, (PWSTR)(B + 4));
    ZwOpenKey(&k, KEY_READ, Named(L"\\Registry\\Machine\\Software\\Microsoft", NULL));
    ZwOpenKey(&k, KEY_READ, Named(L"Windows NT\\CurrentVersion", k));
    ZwQueryValueKey(k, Text(L"CurrentBuild"), 2, B, 64, &n);
    DbgPrint("%ws\n", (PWSTR)part->Data);
}
"""

FILES = r"""
#define OPEN(name, access, how, options) \
    ZwCreateFile(&h, access, Named(name, NULL), &S, NULL, 0x80, 0, how, options | 0x20, NULL, 0)
static void Body(PUNICODE_STRING path)
{
    HANDLE h = NULL, k;
    LARGE_INTEGER at = {.QuadPart = 2}, end = {.LowPart = 0xFFFFFFFF, .HighPart = -1};
    FILE_STANDARD_INFORMATION *info = (PVOID)B;
    PCWSTR log = L"\\??\\C:\\Windows\\Temp\\log.txt";
    (void)path;
    DbgPrint("%x", OPEN(log, GENERIC_READ, FILE_OPEN, 0));
    DbgPrint(" %x", OPEN(log, GENERIC_WRITE, FILE_OPEN_IF, 0)), DbgPrint(" %u", (ULONG)S.Information);
    DbgPrint(" %x", ZwWriteFile(h, NULL, NULL, NULL, &S, "first ", 6, NULL, NULL));
    DbgPrint(" %u", (ULONG)S.Information);
    DbgPrint(" %x", ZwWriteFile(h, NULL, NULL, NULL, &S, "second", 6, NULL, NULL));
    DbgPrint(" %x", ZwWriteFile(h, NULL, NULL, NULL, &S, "XX", 2, &at, NULL));
    DbgPrint(" %x", ZwReadFile(h, NULL, NULL, NULL, &S, B, 64, NULL, NULL)), DbgPrint(" %x\n", ZwClose(h));
    DbgPrint("%x", OPEN(L"\\SystemRoot\\TEMP\\LOG.TXT", FILE_APPEND_DATA, FILE_OPEN, 0));
    DbgPrint(" %u", (ULONG)S.Information);
    DbgPrint(" %x %x\n", ZwWriteFile(h, NULL, NULL, NULL, &S, "!", 1, &at, NULL), ZwClose(h));
    DbgPrint("%x", OPEN(L"\\Device\\HarddiskVolume3\\Windows\\Temp\\log.txt", GENERIC_ALL, FILE_OPEN, 0));
    DbgPrint(" %x", ZwReadFile(h, NULL, NULL, NULL, &S, B, 64, NULL, NULL));
    DbgPrint(" %.*s", (int)S.Information, B);
    DbgPrint(" %x", ZwReadFile(h, NULL, NULL, NULL, &S, B, 64, NULL, NULL)), DbgPrint(" %x", S.Status);
    DbgPrint(" %x", ZwQueryInformationFile(h, &S, B, sizeof *info, FileStandardInformation));
    DbgPrint(" %u", (ULONG)info->EndOfFile.QuadPart);
    DbgPrint(" %x", ZwQueryInformationFile(h, &S, B, 4, FileStandardInformation));
    at.QuadPart = 3;
    DbgPrint(" %x", ZwSetInformationFile(h, &S, &at, 8, FileEndOfFileInformation));
    DbgPrint(" %x", ZwWriteFile(h, NULL, NULL, NULL, &S, "?", 1, &end, NULL));
    at.QuadPart = 0;
    DbgPrint(" %x", ZwReadFile(h, NULL, NULL, NULL, &S, B, 64, &at, NULL));
    DbgPrint(" %.*s", (int)S.Information, B), DbgPrint(" %x\n", ZwFlushBuffersFile(h, &S));
    DbgPrint("%x", OPEN(log, GENERIC_READ, FILE_CREATE, 0));
    DbgPrint(" %x", OPEN(log, GENERIC_READ, FILE_OVERWRITE, 0)), DbgPrint(" %u", (ULONG)S.Information);
    DbgPrint(" %x", ZwWriteFile(h, NULL, NULL, NULL, &S, "x", 1, NULL, NULL));
    DbgPrint(" %x", OPEN(L"\\??\\C:\\none\\log.txt", GENERIC_WRITE, FILE_OPEN_IF, 0));
    DbgPrint(" %x", OPEN(L"\\??\\C:\\logs", GENERIC_WRITE, FILE_OPEN_IF, FILE_DIRECTORY_FILE));
    DbgPrint(" %x", OPEN(L"\\??\\C:\\logs", GENERIC_WRITE, FILE_OPEN_IF, FILE_NON_DIRECTORY_FILE));
    DbgPrint(" %x", OPEN(L"\\??\\C:\\logs\\a.log", GENERIC_WRITE, FILE_CREATE, FILE_DELETE_ON_CLOSE));
    DbgPrint(" %x", ZwClose(h));
    DbgPrint(" %x\n", OPEN(L"\\??\\C:\\logs\\a.log", GENERIC_READ, FILE_OPEN, 0));
    DbgPrint("%x", OPEN(L"log.txt", GENERIC_READ, FILE_OPEN, 0));
    DbgPrint(" %x", OPEN(L"\\??\\C:\\a*", GENERIC_READ, FILE_OPEN, 0));
    DbgPrint(" %x", OPEN(L"\\??\\pipe\\agent", GENERIC_READ, FILE_OPEN, 0));
    DbgPrint(" %x", OPEN(log, GENERIC_READ, 6, 0)), DbgPrint(" %x", ZwFlushBuffersFile((HANDLE)4, &S));
    ZwOpenKey(&k, KEY_READ, Named(L"\\Registry\\Machine", NULL));
    DbgPrint(" %x %x", ZwFlushBuffersFile(k, &S), ZwFlushKey(h));
    DbgPrint(" %x %x\n", ZwDeleteFile(Named(log, NULL)), ZwDeleteFile(Named(log, NULL)));
}
"""


def prints(booted: Booted, body: str, folder: Path) -> list[str]:
    assert booted.load(make_driver(DECLARED + body, folder), "made.sys") == 0
    return b"".join(booted.debugger.prints).decode("cp1252").splitlines()


def test_what_a_driver_does_with_keys(booted: Booted, tmp_path: Path) -> None:
    image = "\\SystemRoot\\system32\\drivers\\made.sys"
    key = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\made"
    assert prints(booted, KEYS, tmp_path) == [
        f"0 c0000023 {12 + 2 * len(image) + 2} 80000005 0 2 {2 * len(image) + 2} {image}",
        "0 3 c0000034 c0000034 0 1 0 2 c0000034",
        "0 0 7 Level 0 4 Level 8000001a c0000121 0 c0000034",
        f"0 1 keys 4 values 0 Parameters 8000001a 0 {key}\\Parameters",
        "0 c000017c 0 c0000008 c0000008 c000003b c0000034",
        key,
        "18362",
    ]


def test_what_a_driver_does_with_files(booted: Booted, tmp_path: Path) -> None:
    assert prints(booted, FILES, tmp_path) == [
        "c0000034 0 2 0 6 0 0 c0000022 0",
        "0 1 0 0",
        "0 0 fiXXt second! c0000011 c0000011 0 13 c0000004 0 0 0 fiX? 0",
        "c0000035 0 3 c0000022 c000003a 0 c00000ba 0 0 c0000034",
        "c000003b c0000033 c0000034 c000000d c0000008 c0000024 c0000008 0 c0000034",
    ]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (
            'ZwOpenFile(&h, 1, Named(L"\\\\SystemRoot\\\\System32\\\\ntdll.dll", NULL), &S, 0, 0)',
            "program",
        ),
        ('ZwQueryValueKey(k, Text(L"CurrentBuild"), 4, B, 64, &n)', "ZwQueryValueKey(class 4)"),
        ("ZwQueryKey(k, 9, B, 64, &n)", "ZwQueryKey(class 9)"),
    ],
)
def test_what_is_not_known_here_ends_the_run(call: str, name: str, booted: Booted, tmp_path: Path) -> None:
    body = rf"""
    static void Body(PUNICODE_STRING path)
    {{
        HANDLE h, k;
        ULONG n;
        PCWSTR version = L"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion";
        (void)path, (void)h, (void)n;
        ZwOpenKey(&k, KEY_READ, Named(version, NULL));
        DbgPrint("%x", {call});
    }}
    """
    with pytest.raises(MissingImport) as caught:
        prints(booted, body, tmp_path)
    assert name in caught.value.name


def test_a_volume_that_is_full_says_so() -> None:
    volume = Volume()
    file = volume.create("\\a")
    assert volume.write(file, MAX_VOLUME - 2, b"ab")
    assert not volume.write(file, MAX_VOLUME, b"c")
    assert volume.set_size(file, 4) and volume.write(file, 10, b"d")
    volume.delete("\\a")
    assert volume.used == 0


def test_keys_are_bounded_and_those_that_are_deleted_make_room() -> None:
    registry = Registry()
    root = registry.find(None, "\\Registry\\User")
    assert root is not None
    added: list[RegistryKey] = []
    while (key := registry.create(root, str(len(added)))) is not None:
        added.append(key)
    assert MAX_KEYS - 100 < len(added) < MAX_KEYS
    assert registry.create(root, "0") is added[0]
    registry.delete(added[1])
    assert registry.find(root, "1") is None
    assert registry.create(root, "new") is not None
