r"""ETW providers of drivers, to which nobody listens."""

from __future__ import annotations

from pathlib import Path

from booted import Booted
from made_drivers import make_driver

DRIVER = r"""
#include <ntifs.h>
static const GUID Id = {0x3f9a1c52, 0x7d04, 0x4e61, {1, 2, 3, 4, 5, 6, 7, 8}};
static const EVENT_DESCRIPTOR Event = {1, 0, 0, 4, 0, 0, 1};
static REGHANDLE Handle;
static GUID One, Two;
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void)driver, (void)path;
    DbgPrint("%x", EtwRegister(&Id, NULL, NULL, &Handle)), DbgPrint(" %d", Handle != 0);
    DbgPrint(" %d %d", EtwEventEnabled(Handle, &Event), EtwProviderEnabled(Handle, 1, 0));
    DbgPrint(" %x %x", EtwWrite(Handle, &Event, NULL, 0, NULL), EtwWriteString(Handle, 1, 0, NULL, L"x"));
    DbgPrint(" %x\n", EtwWriteTransfer(Handle, &Event, NULL, NULL, 0, NULL));
    DbgPrint("%x", EtwActivityIdControl(EVENT_ACTIVITY_CTRL_CREATE_ID, &One));
    DbgPrint(" %x", EtwActivityIdControl(EVENT_ACTIVITY_CTRL_CREATE_ID, &Two));
    DbgPrint(" %d", RtlCompareMemory(&One, &Two, sizeof One) < sizeof One);
    DbgPrint(" %x", EtwActivityIdControl(9, &One));
    DbgPrint(" %x %x", EtwUnregister(Handle), EtwUnregister(Handle));
    DbgPrint(" %x\n", EtwWrite(Handle, &Event, NULL, 0, NULL));
    return STATUS_SUCCESS;
}
"""


def test_a_provider_writes_until_it_is_unregistered(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(make_driver(DRIVER, tmp_path), "made.sys") == 0
    assert b"".join(booted.debugger.prints).decode("ascii").splitlines() == [
        "0 1 0 0 0 0 0",
        "0 0 1 c000000d 0 c0000008 c0000008",
    ]
