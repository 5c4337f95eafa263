r"""The WDK's safe routines on UNICODE_STRING, inline in driver/wdk/ntstrsafe.h, as a driver calls them."""

from __future__ import annotations

from pathlib import Path

from booted import Booted
from made_drivers import make_driver

DRIVER = r"""
#include <ntifs.h>
#include <ntstrsafe.h>
static WCHAR Room[8], Ended[4] = L"???";
static UNICODE_STRING Short = {0, sizeof Room, Room}, Odd = {3, 8, Room};
static UNICODE_STRING Path = RTL_CONSTANT_STRING(L"\\a\\b"), Text;
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void)driver, (void)path;
    DbgPrint("%x", RtlUnicodeStringCopy(&Short, &Path)), DbgPrint(" %wZ", &Short);
    DbgPrint(" %x", RtlUnicodeStringCat(&Short, &Path)), DbgPrint(" %wZ", &Short);
    DbgPrint(" %x", RtlUnicodeStringCatString(&Short, L"c")), DbgPrint(" %wZ\n", &Short);
    DbgPrint("%x", RtlUnicodeStringCopyString(&Short, L"12345678")), DbgPrint(" %wZ", &Short);
    DbgPrint(" %x", RtlUnicodeStringCopyString(&Short, L"123456789")), DbgPrint(" %wZ", &Short);
    DbgPrint(" %x", RtlUnicodeStringPrintf(&Short, L"%u:%wZ", 7, &Path)), DbgPrint(" %wZ", &Short);
    DbgPrint(" %x", RtlUnicodeStringPrintf(&Short, L"%u", 123456789)), DbgPrint(" %wZ\n", &Short);
    DbgPrint("%x %x", RtlUnicodeStringCopy(&Odd, &Path), RtlUnicodeStringCopy(&Short, &Odd));
    DbgPrint(" %x", RtlUnicodeStringInit(&Text, L"xyz")), DbgPrint(" %u %u", Text.Length, Text.MaximumLength);
    DbgPrint(" %x", RtlStringCchCopyUnicodeString(Ended, 4, &Text)), DbgPrint(" %ws", Ended);
    DbgPrint(" %x", RtlStringCbCopyUnicodeString(Ended, 6, &Path)), DbgPrint(" %ws", Ended);
    DbgPrint(" %x\n", RtlStringCchCopyUnicodeString(Ended, 0, &Path));
    return STATUS_SUCCESS;
}
"""


def test_what_does_not_fit_is_cut_off_and_said(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(make_driver(DRIVER, tmp_path), "made.sys") == 0
    assert b"".join(booted.debugger.prints).decode("ascii").splitlines() == [
        r"0 \a\b 0 \a\b\a\b 80000005 \a\b\a\b",
        r"0 12345678 80000005 12345678 0 7:\a\b 80000005 12345678",
        r"c000000d c000000d 0 6 8 0 xyz 80000005 \a c000000d",
    ]
