"""IRP, IO_STACK_LOCATION and FILE_OBJECT: what a driver's dispatch routine is handed.

Layouts: wdm.h, x64; a test driver holds them to the compiler's headers.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from harness.virtual.windows.layout import Layout

__all__ = [
    "DEVICE_DRIVER",
    "DEVICE_STACK_SIZE",
    "FILE_OBJECT",
    "IO_STACK_LOCATION",
    "IO_TYPE_FILE",
    "IO_TYPE_IRP",
    "IRP",
    "MajorFunction",
    "operation_name",
]

DEVICE_DRIVER: Final = 0x08
DEVICE_STACK_SIZE: Final = 0x4C
"""DEVICE_OBJECT.DriverObject, and StackSize."""
IO_TYPE_FILE: Final = 5
IO_TYPE_IRP: Final = 6

IRP: Final = Layout(
    "_IRP",
    0xD0,
    {
        "Type": (0x00, "H"),
        "Size": (0x02, "H"),
        "MdlAddress": (0x08, "Q"),
        "Flags": (0x10, "I"),
        "SystemBuffer": (0x18, "Q"),
        "ThreadListEntry": (0x20, "QQ"),
        "Status": (0x30, "I"),
        "Information": (0x38, "Q"),
        "RequestorMode": (0x40, "B"),
        "StackCount": (0x42, "B"),
        "CurrentLocation": (0x43, "B"),
        "Cancel": (0x44, "B"),
        "CancelIrql": (0x45, "B"),
        "CancelRoutine": (0x68, "Q"),
        "UserBuffer": (0x70, "Q"),
        "Thread": (0x98, "Q"),
        "CurrentStackLocation": (0xB8, "Q"),
        "OriginalFileObject": (0xC0, "Q"),
    },
)
"""``Tail.Overlay`` and the unions without their names."""

IO_STACK_LOCATION: Final = Layout(
    "_IO_STACK_LOCATION",
    0x48,
    {
        "MajorFunction": (0x00, "B"),
        "Control": (0x03, "B"),
        "Parameters": (0x08, "QQQQ"),
        "DeviceObject": (0x28, "Q"),
        "FileObject": (0x30, "Q"),
    },
)
"""Parameters are four words, each of which holds what a kind of request has there."""

FILE_OBJECT: Final = Layout(
    "_FILE_OBJECT",
    0xD8,
    {
        "Type": (0x00, "H"),
        "Size": (0x02, "H"),
        "DeviceObject": (0x08, "Q"),
        "Flags": (0x50, "I"),
        "FileName": (0x58, "HHIQ"),
    },
)


class MajorFunction(IntEnum):
    """The kinds of request that are sent; the number is the index in DRIVER_OBJECT.MajorFunction."""

    IRP_MJ_CREATE = 0x00
    IRP_MJ_CLOSE = 0x02
    IRP_MJ_READ = 0x03
    IRP_MJ_WRITE = 0x04
    IRP_MJ_DEVICE_CONTROL = 0x0E
    IRP_MJ_CLEANUP = 0x12


_IRPS: Final = (
    *("CREATE", "CREATE_NAMED_PIPE", "CLOSE", "READ", "WRITE", "QUERY_INFORMATION", "SET_INFORMATION"),
    *("QUERY_EA", "SET_EA", "FLUSH_BUFFERS", "QUERY_VOLUME_INFORMATION", "SET_VOLUME_INFORMATION"),
    *("DIRECTORY_CONTROL", "FILE_SYSTEM_CONTROL", "DEVICE_CONTROL", "INTERNAL_DEVICE_CONTROL", "SHUTDOWN"),
    *("LOCK_CONTROL", "CLEANUP", "CREATE_MAILSLOT", "QUERY_SECURITY", "SET_SECURITY", "POWER"),
    *("SYSTEM_CONTROL", "DEVICE_CHANGE", "QUERY_QUOTA", "SET_QUOTA", "PNP"),
)


def operation_name(number: int) -> str:
    """``IRP_MJ_CREATE``; in hexadecimal for an operation that is no IRP."""
    return f"IRP_MJ_{_IRPS[number]}" if number < len(_IRPS) else f"operation 0x{number:02x}"
