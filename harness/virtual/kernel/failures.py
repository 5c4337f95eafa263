"""What each routine returns when it fails, where a driver has to reckon with that.

Allocations return NULL. An NTSTATUS is one that the routine's page names, or, where it names none, the one of
a routine that fails for the same reason. Routines that fail only where a driver uses them wrongly are left
out (removals of what is registered, waits), and so are calls that ask for an exception instead.

Sources: Microsoft, the "Return value" of each routine's page (wdm.h, ntddk.h, ntifs.h); *ExAllocatePool2*:
POOL_FLAG_RAISE_ON_FAILURE; *ExAllocatePoolWithTag*: POOL_RAISE_IF_ALLOCATION_FAILURE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from harness.virtual.windows.status import (
    STATUS_ACCESS_DENIED,
    STATUS_DISK_FULL,
    STATUS_FLT_INVALID_NAME_REQUEST,
    STATUS_INFO_LENGTH_MISMATCH,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_CID,
    STATUS_INVALID_PARAMETER,
    STATUS_NO_MEMORY,
    STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_TYPE_MISMATCH,
)

__all__ = ["FAILURES", "Arguments", "CallFailure"]

Arguments: TypeAlias = tuple[int, int, int, int]
"""The first four."""
NULL: Final = 0
_RAISE_IF_FAILURE: Final = 0x10
_FLAG_RAISE_ON_FAILURE: Final = 0x20


def _always(_arguments: Arguments) -> bool:
    return True


class CallFailure(NamedTuple):
    """How one routine fails."""

    result: int
    """NULL, FALSE, or an NTSTATUS."""
    may_fail: Callable[[Arguments], bool] = _always
    """Whether a call with these arguments may."""
    group: str = ""
    """Of a registration: whose callback it is for."""
    routine: int = 0
    """Of a registration: which argument is the callback, or tells it from others."""


def _does_not_raise(arguments: Arguments) -> bool:
    return not arguments[0] & _RAISE_IF_FAILURE


def _does_not_raise_2(arguments: Arguments) -> bool:
    return not arguments[0] & _FLAG_RAISE_ON_FAILURE


def _allocates_destination(arguments: Arguments) -> bool:
    return bool(arguments[2] & 0xFF)


def _registers(arguments: Arguments) -> bool:
    return not arguments[1] & 0xFF


def _registers_2(arguments: Arguments) -> bool:
    return not arguments[2] & 0xFF


_ROUTINES: Final[Mapping[CallFailure, tuple[str, ...]]] = {
    CallFailure(NULL, _does_not_raise): ("ExAllocatePool", "ExAllocatePoolWithTag", "ExAllocatePoolZero"),
    CallFailure(NULL, _does_not_raise_2): ("ExAllocatePool2",),
    CallFailure(NULL): (
        *("IoAllocateMdl", "IoAllocateWorkItem", "MmGetSystemRoutineAddress", "MmMapLockedPages"),
        *("ExAllocateTimer", "MmMapLockedPagesSpecifyCache", "RtlCreateUnicodeString"),
    ),
    CallFailure(STATUS_INVALID_PARAMETER, _registers, "process"): (
        "PsSetCreateProcessNotifyRoutine",
        "PsSetCreateProcessNotifyRoutineEx",
    ),
    CallFailure(STATUS_INVALID_PARAMETER, _registers_2, "process", 1): (
        "PsSetCreateProcessNotifyRoutineEx2",
    ),
    CallFailure(STATUS_INSUFFICIENT_RESOURCES, group="thread"): ("PsSetCreateThreadNotifyRoutine",),
    CallFailure(STATUS_INSUFFICIENT_RESOURCES, group="thread", routine=1): (
        "PsSetCreateThreadNotifyRoutineEx",
    ),
    CallFailure(STATUS_INSUFFICIENT_RESOURCES, group="image"): (
        "PsSetLoadImageNotifyRoutine",
        "PsSetLoadImageNotifyRoutineEx",
    ),
    CallFailure(STATUS_INSUFFICIENT_RESOURCES, group="handle"): ("ObRegisterCallbacks",),
    CallFailure(STATUS_INSUFFICIENT_RESOURCES, group="key"): ("CmRegisterCallback", "CmRegisterCallbackEx"),
    CallFailure(STATUS_INSUFFICIENT_RESOURCES): (
        *("FltAllocateContext", "FltBuildDefaultSecurityDescriptor", "FltCreateCommunicationPort"),
        "FltRegisterFilter",
        *("EtwRegister", "ExInitializeLookasideListEx", "IoCreateDevice", "IoQueryFileDosDeviceName"),
        *("IoRegisterShutdownNotification", "PsCreateSystemThread", "SeLocateProcessImageName"),
        *("SeQueryInformationToken", "ZwCreateEvent", "ZwQuerySystemInformation"),
    ),
    CallFailure(STATUS_FLT_INVALID_NAME_REQUEST): (
        "FltGetFileNameInformation",
        "FltGetFileNameInformationUnsafe",
    ),
    CallFailure(STATUS_INVALID_PARAMETER): ("PsLookupProcessByProcessId", "PsLookupThreadByThreadId"),
    CallFailure(STATUS_INVALID_CID): ("PsLookupProcessThreadByCid", "ZwOpenProcess", "ZwOpenThread"),
    CallFailure(STATUS_OBJECT_TYPE_MISMATCH): (
        *("ObReferenceObjectByHandle", "ObReferenceObjectByHandleWithTag"),
        "ObReferenceObjectByPointer",
    ),
    CallFailure(STATUS_INFO_LENGTH_MISMATCH): ("ObQueryNameString",),
    CallFailure(STATUS_OBJECT_NAME_COLLISION): ("IoCreateSymbolicLink", "IoCreateUnprotectedSymbolicLink"),
    CallFailure(STATUS_OBJECT_NAME_NOT_FOUND): (
        *("RtlCheckRegistryKey", "RtlQueryRegistryValues", "ZwOpenFile", "ZwOpenKey", "ZwOpenKeyEx"),
        *("ZwOpenSymbolicLinkObject", "ZwQueryValueKey"),
    ),
    CallFailure(STATUS_ACCESS_DENIED): (
        *("ObOpenObjectByPointer", "ZwCreateFile", "ZwCreateKey", "ZwQueryInformationProcess", "ZwQueryKey"),
        *("ZwQueryInformationThread", "ZwReadFile", "ZwSetValueKey", "ZwTerminateProcess"),
        *("RtlCreateRegistryKey", "RtlWriteRegistryValue"),
    ),
    CallFailure(STATUS_DISK_FULL): ("ZwWriteFile",),
    CallFailure(STATUS_NO_MEMORY, _allocates_destination): (
        "RtlAnsiStringToUnicodeString",
        "RtlConvertSidToUnicodeString",
        "RtlUnicodeStringToAnsiString",
    ),
    CallFailure(STATUS_NO_MEMORY): (
        "RtlDuplicateUnicodeString",
        "RtlStringFromGUID",
        "ZwAllocateVirtualMemory",
    ),
}

FAILURES: Final[Mapping[str, CallFailure]] = {
    name: failure for failure, names in _ROUTINES.items() for name in names
}
"""Export → how it fails."""
