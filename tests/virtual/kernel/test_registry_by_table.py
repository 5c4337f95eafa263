r"""RtlQueryRegistryValues and its like, as a compiled driver finds them."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import Booted
from made_drivers import make_driver

from harness.errors import DriverBugcheck, MissingImport

DECLARED = r"""
#include <ntifs.h>
static ULONG Level, Missing = 7;
static UNICODE_STRING Text, Build;
static WCHAR Room[4];
static UCHAR Bytes[32];
static const ULONG FortyTwo = 42;
static NTSTATUS NTAPI Say(PWSTR name, ULONG type, PVOID data, ULONG size, PVOID context, PVOID entry)
{
    DbgPrint("%ws %u %u %p %p", name == NULL ? L"-" : name, type, size, context, entry);
    if (type == REG_SZ)
        DbgPrint(" %ws", (PWSTR)data);
    DbgPrint("\n");
    return (ULONG_PTR)entry == 99 ? STATUS_BUFFER_TOO_SMALL : (ULONG_PTR)entry == 98 ? STATUS_CANCELLED : 0;
}
static NTSTATUS Ask(ULONG relative, PCWSTR path, PRTL_QUERY_REGISTRY_TABLE table)
{
    NTSTATUS status = RtlQueryRegistryValues(relative, path, table, (PVOID)5, NULL);
    (void)Level, (void)Missing, (void)Text, (void)Build, (void)Room, (void)Bytes, (void)FortyTwo, (void)Say;
    return status;
}
static void Body(PUNICODE_STRING path);
static void NTAPI Unload(PDRIVER_OBJECT driver) { UNREFERENCED_PARAMETER(driver); }
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    Body(path);
    return STATUS_SUCCESS;
}
#define SERVICE RTL_REGISTRY_SERVICES, L"made"
#define CHECKED RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_TYPECHECK
#define TYPE(type) ((ULONG)(type) << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT)
"""

WRITES = r"""
static void Body(PUNICODE_STRING path)
{
    ULONG level = 3;
    DbgPrint("%x", RtlCheckRegistryKey(SERVICE));
    DbgPrint(" %x", RtlCheckRegistryKey(RTL_REGISTRY_ABSOLUTE, path->Buffer));
    DbgPrint(" %x", RtlCheckRegistryKey(RTL_REGISTRY_SERVICES, L"made\\Parameters"));
    DbgPrint(" %x", RtlCheckRegistryKey(6, L"made"));
    DbgPrint(" %x", RtlCreateRegistryKey(RTL_REGISTRY_SERVICES, L"made\\Parameters"));
    DbgPrint(" %x", RtlWriteRegistryValue(RTL_REGISTRY_SERVICES, L"made\\More", L"Level", REG_DWORD, &level,
        4));
    DbgPrint(" %x", RtlCheckRegistryKey(RTL_REGISTRY_SERVICES, L"made\\More"));
    DbgPrint(" %x", RtlDeleteRegistryValue(RTL_REGISTRY_SERVICES, L"made\\More", L"level"));
    DbgPrint(" %x\n", RtlDeleteRegistryValue(RTL_REGISTRY_SERVICES, L"made\\More", L"Level"));
}
"""

DIRECT = r"""
static void Body(PUNICODE_STRING path)
{
    RTL_QUERY_REGISTRY_TABLE table[] = {
        {.Flags = CHECKED, .Name = L"Start", .EntryContext = &Level, .DefaultType = TYPE(REG_DWORD)},
        {.Flags = CHECKED, .Name = L"Nothing", .EntryContext = &Missing,
         .DefaultType = TYPE(REG_DWORD) | REG_DWORD, .DefaultData = (PVOID)&FortyTwo, .DefaultLength = 4},
        {.Flags = CHECKED | RTL_QUERY_REGISTRY_NOEXPAND, .Name = L"ImagePath", .EntryContext = &Text,
         .DefaultType = TYPE(REG_EXPAND_SZ)},
        {0},
    };
    RTL_QUERY_REGISTRY_TABLE build[] = {
        {.Flags = CHECKED, .Name = L"CurrentBuild", .EntryContext = &Build, .DefaultType = TYPE(REG_SZ)},
        {0}};
    RTL_QUERY_REGISTRY_TABLE wrong[] = {
        {.Flags = CHECKED, .Name = L"Start", .EntryContext = &Text, .DefaultType = TYPE(REG_SZ)}, {0}};
    RTL_QUERY_REGISTRY_TABLE required[] = {
        {.Flags = CHECKED | RTL_QUERY_REGISTRY_REQUIRED, .Name = L"Nothing", .EntryContext = &Level,
         .DefaultType = TYPE(REG_DWORD)}, {0}};
    RTL_QUERY_REGISTRY_TABLE nameless[] = {{.Flags = CHECKED, .EntryContext = &Level}, {0}};
    HANDLE handle;
    OBJECT_ATTRIBUTES attributes;

    DbgPrint("%x %u %u %wZ\n", Ask(SERVICE, table), Level, Missing, &Text);
    RtlFreeUnicodeString(&Text);
    Build.Buffer = Room, Build.MaximumLength = sizeof Room;
    DbgPrint("%x", Ask(RTL_REGISTRY_WINDOWS_NT, NULL, build));
    Build.Buffer = (PWSTR)Bytes, Build.MaximumLength = sizeof Bytes;
    DbgPrint(" %x %wZ %u\n", Ask(RTL_REGISTRY_WINDOWS_NT, NULL, build), &Build, Build.Length);
    DbgPrint("%x %x %x", Ask(SERVICE, wrong), Ask(SERVICE, required), Ask(SERVICE, nameless));
    DbgPrint(" %x", Ask(RTL_REGISTRY_SERVICES, L"nobody", table));
    InitializeObjectAttributes(&attributes, path, OBJ_KERNEL_HANDLE, NULL, NULL);
    ZwOpenKey(&handle, KEY_READ, &attributes);
    Level = 0;
    DbgPrint(" %x", Ask(RTL_REGISTRY_HANDLE, handle, table));
    DbgPrint(" %u %x\n", Level, ZwClose(handle));
    RtlFreeUnicodeString(&Text);
}
"""

SIZES = r"""
static void Body(PUNICODE_STRING path)
{
    RTL_QUERY_REGISTRY_TABLE table[] = {
        {.Flags = CHECKED, .Name = L"Blob", .EntryContext = Bytes, .DefaultType = TYPE(REG_BINARY)}, {0}};
    UNREFERENCED_PARAMETER(path);
    RtlWriteRegistryValue(SERVICE, L"Blob", REG_BINARY, "0123456789", 10);
    *(LONG *)Bytes = -9;
    DbgPrint("%x", Ask(SERVICE, table));
    *(LONG *)Bytes = -10;
    DbgPrint(" %x %.10s", Ask(SERVICE, table), Bytes);
    *(LONG *)Bytes = 17;
    DbgPrint(" %x", Ask(SERVICE, table));
    *(LONG *)Bytes = 18;
    DbgPrint(" %x", Ask(SERVICE, table));
    DbgPrint(" %u %u %.10s\n", *(ULONG *)Bytes, *(ULONG *)(Bytes + 4), Bytes + 8);
}
"""

ROUTINES = r"""
static void Body(PUNICODE_STRING path)
{
    RTL_QUERY_REGISTRY_TABLE all[] = {{.QueryRoutine = Say, .EntryContext = (PVOID)1}, {0}};
    RTL_QUERY_REGISTRY_TABLE table[] = {
        {.QueryRoutine = Say, .Flags = RTL_QUERY_REGISTRY_NOVALUE, .EntryContext = (PVOID)99},
        {.Flags = RTL_QUERY_REGISTRY_SUBKEY, .Name = L"Parameters"},
        {.QueryRoutine = Say, .Name = L"List", .EntryContext = (PVOID)2},
        {.QueryRoutine = Say, .Flags = RTL_QUERY_REGISTRY_DELETE, .Name = L"Gone"},
        {.QueryRoutine = Say, .Name = L"Gone", .DefaultType = REG_SZ, .DefaultData = L"by default"},
        {.QueryRoutine = Say, .Flags = RTL_QUERY_REGISTRY_TOPKEY, .Name = L"Start",
         .EntryContext = (PVOID)98},
        {.QueryRoutine = Say, .Name = L"Type"},
        {0},
    };
    RTL_QUERY_REGISTRY_TABLE none[] = {
        {.Flags = RTL_QUERY_REGISTRY_SUBKEY, .Name = L"None"}, {.QueryRoutine = Say, .Name = L"Start"}, {0}};
    UNREFERENCED_PARAMETER(path);
    RtlCreateRegistryKey(RTL_REGISTRY_SERVICES, L"made\\Parameters");
    RtlWriteRegistryValue(RTL_REGISTRY_SERVICES, L"made\\Parameters", L"List", REG_MULTI_SZ, L"one\0two\0",
        18);
    RtlWriteRegistryValue(RTL_REGISTRY_SERVICES, L"made\\Parameters", L"Gone", REG_SZ, L"still", 12);
    DbgPrint("%x\n", Ask(RTL_REGISTRY_SERVICES, L"made\\Parameters", all));
    DbgPrint("%x\n", Ask(SERVICE, table));
    DbgPrint("%x\n", Ask(SERVICE, none));
}
"""

UNTRUSTED = r"""
static void Body(PUNICODE_STRING path)
{
    RTL_QUERY_REGISTRY_TABLE table[] = {
        {.Flags = RTL_QUERY_REGISTRY_DIRECT, .Name = L"Level", .EntryContext = &Level}, {0}};
    UNREFERENCED_PARAMETER(path);
    RtlWriteRegistryValue(RTL_REGISTRY_ABSOLUTE, L"\\Registry\\User\\Mine", L"Level", REG_DWORD,
        (PVOID)&FortyTwo, 4);
    DbgPrint("%x", Ask(SERVICE, table));
    Ask(RTL_REGISTRY_ABSOLUTE, L"\\Registry\\User\\Mine", table);
}
"""

EXPANDS = r"""
static void Body(PUNICODE_STRING path)
{
    RTL_QUERY_REGISTRY_TABLE table[] = {{.QueryRoutine = Say, .Name = L"Path"}, {0}};
    UNREFERENCED_PARAMETER(path);
    RtlWriteRegistryValue(SERVICE, L"Path", REG_EXPAND_SZ, L"%SystemRoot%", 26);
    Ask(SERVICE, table);
}
"""

ENDLESS = r"""
static RTL_QUERY_REGISTRY_TABLE Table[5000];
static void Body(PUNICODE_STRING path)
{
    ULONG i;
    UNREFERENCED_PARAMETER(path);
    for (i = 0; i < 5000; i++)
        Table[i].Flags = CHECKED, Table[i].Name = L"No", Table[i].EntryContext = &Level;
    Ask(SERVICE, Table);
}
"""

HEARS = r"""
static LARGE_INTEGER Cookie;
static NTSTATUS NTAPI OnKey(PVOID context, PVOID kind, PVOID info)
{
    UNREFERENCED_PARAMETER(context);
    DbgPrint("key %u\n", (ULONG)(ULONG_PTR)kind);
    if ((REG_NOTIFY_CLASS)(ULONG_PTR)kind == RegNtPreSetValueKey)
        return STATUS_ACCESS_DENIED;
    UNREFERENCED_PARAMETER(info);
    return STATUS_SUCCESS;
}
static void Body(PUNICODE_STRING path)
{
    RTL_QUERY_REGISTRY_TABLE table[] = {{.QueryRoutine = Say, .Name = L"Start"}, {0}};
    UNREFERENCED_PARAMETER(path);
    CmRegisterCallback(OnKey, NULL, &Cookie);
    DbgPrint("%x\n", Ask(SERVICE, table));
    DbgPrint("%x\n", RtlWriteRegistryValue(SERVICE, L"Start", REG_DWORD, &Level, 4));
    CmUnRegisterCallback(Cookie);
}
"""

LONG_NAMES = r"""
static WCHAR Long[0x9000];
static void Body(PUNICODE_STRING path)
{
    RTL_QUERY_REGISTRY_TABLE table[] = {{.QueryRoutine = Say, .Name = Long}, {0}};
    ULONG i;
    UNREFERENCED_PARAMETER(path);
    for (i = 0; i < 0x8FFF; i++)
        Long[i] = L'x';
    DbgPrint("%x %x", Ask(SERVICE, table), RtlCheckRegistryKey(RTL_REGISTRY_SERVICES, Long));
    DbgPrint(" %x\n", RtlWriteRegistryValue(SERVICE, Long, REG_DWORD, (PVOID)&FortyTwo, 4));
}
"""

NOT_FOUND, TYPE, SMALL, INVALID = "c0000034", "c0000024", "c0000023", "c000000d"


def said(tmp_path: Path, body: str) -> list[str]:
    booted = Booted()
    assert booted.load(make_driver(DECLARED + body, tmp_path), "made.sys") == 0
    assert booted.kernel.unload_driver(name="made.sys", context=booted.kernel.context) == 0
    assert booted.kernel.broken_rules == ()
    return b"".join(booted.debugger.prints).decode().splitlines()


def test_keys_are_checked_made_written_and_values_deleted(tmp_path: Path) -> None:
    assert said(tmp_path, WRITES) == [f"0 0 {NOT_FOUND} {INVALID} 0 0 0 0 {NOT_FOUND}"]


def test_values_are_stored_directly_or_the_default_is(tmp_path: Path) -> None:
    assert said(tmp_path, DIRECT) == [
        r"0 3 42 \SystemRoot\system32\drivers\made.sys",
        f"{SMALL} 0 18362 10",
        f"{TYPE} {NOT_FOUND} {INVALID} {NOT_FOUND} 0 3 0",
    ]


def test_what_is_larger_than_a_number_says_how_much_room_there_is(tmp_path: Path) -> None:
    assert said(tmp_path, SIZES) == [f"{SMALL} 0 0123456789 {SMALL} 0 10 3 0123456789"]


def test_names_that_are_too_long_for_a_counted_string_are_cut(tmp_path: Path) -> None:
    assert said(tmp_path, LONG_NAMES) == [f"0 {NOT_FOUND} 0"]


def test_routines_hear_of_values_strings_and_subkeys(tmp_path: Path) -> None:
    five = f"{5:016x}"
    assert said(tmp_path, ROUTINES) == [
        f"List 1 8 {five} {1:016x} one",
        f"List 1 8 {five} {1:016x} two",
        f"Gone 1 12 {five} {1:016x} still",
        "0",
        f"- 0 0 {five} {99:016x}",
        f"List 1 8 {five} {2:016x} one",
        f"List 1 8 {five} {2:016x} two",
        f"Gone 1 12 {five} {0:016x} still",
        f"Gone 1 22 {five} {0:016x} by default",
        f"Start 4 4 {five} {98:016x}",
        "c0000120",
        NOT_FOUND,
    ]


def test_an_unchecked_type_in_a_hive_that_users_write_to_is_a_bugcheck(tmp_path: Path) -> None:
    with pytest.raises(DriverBugcheck) as caught:
        said(tmp_path, UNTRUSTED)
    assert (caught.value.code, caught.value.parameters[0]) == (0x139, 26)


@pytest.mark.parametrize(
    ("body", "what"),
    [(EXPANDS, "environment variables"), (ENDLESS, "more than 4096 entries")],
)
def test_what_is_not_served_says_nothing_about_the_driver(tmp_path: Path, body: str, what: str) -> None:
    with pytest.raises(MissingImport, match=what):
        said(tmp_path, body)


def test_key_callbacks_hear_of_each_step(tmp_path: Path) -> None:
    heard = [line.removeprefix("key ") for line in said(tmp_path, HEARS)]
    open_and_opened, query_and_queried, close_and_closed = ["28", "29"], ["8", "23"], ["14", "25"]
    value = f"Start 4 4 {5:016x} {0:016x}"
    assert heard[:8] == [*open_and_opened, *query_and_queried, value, *close_and_closed, "0"]
    assert "c0000022" in heard[8:]
