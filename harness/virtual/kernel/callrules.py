"""Where exports may not be called, with the standing rule that says so: above an IRQL, in a notify routine.

Sources: the pages of the DDI compliance rules for WDM (Irql rule set), and of the routines themselves;
*Windows Kernel-Mode Process and Thread Manager*, best practices for callbacks; *PLOAD_IMAGE_NOTIFY_ROUTINE*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from harness.callbacks import GROUPS
from harness.virtual.windows.irql import APC_LEVEL, PASSIVE_LEVEL

if TYPE_CHECKING:
    from harness.virtual.kernel.execution import Execution
    from harness.virtual.kernel.system import System

__all__ = [
    "IRQL_LIMITS",
    "NOT_IN_CALLBACKS",
    "UNICODE_FORMATS",
    "CallbackLimit",
    "IrqlLimit",
    "report_held",
    "report_in_callback",
    "report_irql",
    "report_with_apcs",
]


class IrqlLimit(NamedTuple):
    """What one export wants."""

    rule: str
    highest: int


_ROUTINES: Final[Mapping[IrqlLimit, tuple[str, ...]]] = {
    IrqlLimit("IrqlPsPassive", PASSIVE_LEVEL): (
        "PsCreateSystemThread",
        "PsGetVersion",
        "PsRemoveCreateThreadNotifyRoutine",
        "PsRemoveLoadImageNotifyRoutine",
        "PsSetCreateProcessNotifyRoutine",
        "PsSetCreateProcessNotifyRoutineEx",
        "PsSetCreateProcessNotifyRoutineEx2",
        "PsSetCreateThreadNotifyRoutine",
        "PsSetCreateThreadNotifyRoutineEx",
        "PsSetLoadImageNotifyRoutine",
        "PsSetLoadImageNotifyRoutineEx",
        "PsTerminateSystemThread",
    ),
    IrqlLimit("IrqlPsApcLte", APC_LEVEL): ("PsLookupProcessByProcessId", "PsLookupThreadByThreadId"),
    IrqlLimit("IrqlObPassive", PASSIVE_LEVEL): (
        *("ObOpenObjectByPointer", "ObOpenObjectByPointerWithTag"),
        *("ObReferenceObjectByHandle", "ObReferenceObjectByHandleWithTag"),
    ),
    IrqlLimit("IrqlZwPassive", PASSIVE_LEVEL): (
        *("ZwClose", "ZwCreateKey", "ZwDeleteKey", "ZwEnumerateKey", "ZwEnumerateValueKey", "ZwFlushKey"),
        *("ZwOpenKey", "ZwQueryKey", "ZwQueryValueKey", "ZwSetValueKey"),
        *("ZwTerminateProcess", "ZwWaitForSingleObject"),  # not named by the rule, but by their own pages
    ),
    IrqlLimit("IrqlRtlPassive", PASSIVE_LEVEL): (
        *("RtlCheckRegistryKey", "RtlCreateRegistryKey", "RtlDeleteRegistryValue", "RtlQueryRegistryValues"),
        "RtlWriteRegistryValue",
    ),
    IrqlLimit("IrqlNtifsApcPassive", PASSIVE_LEVEL): ("ZwCreateFile", "ZwWriteFile"),
    IrqlLimit("IrqlExPassive", PASSIVE_LEVEL): ("ExIsProcessorFeaturePresent", "ExUuidCreate"),
    IrqlLimit("IrqlExPassive", APC_LEVEL): ("ExRaiseStatus",),
    IrqlLimit("IrqlExApcLte1", APC_LEVEL): ("ExAcquireFastMutex", "ExTryToAcquireFastMutex"),
    IrqlLimit("IrqlIoPassive1", PASSIVE_LEVEL): ("IoCreateDevice",),
    IrqlLimit("IrqlIoPassive4", PASSIVE_LEVEL): (
        "IoCreateSymbolicLink",
        "IoCreateUnprotectedSymbolicLink",
        "IoDeleteSymbolicLink",
    ),
    IrqlLimit("IrqlIoPassive5", PASSIVE_LEVEL): (
        "IoRegisterShutdownNotification",
        "IoUnregisterShutdownNotification",
    ),
    IrqlLimit("IrqlIoApcLte", APC_LEVEL): ("IoDeleteDevice",),
    IrqlLimit("IrqlFltPassive", PASSIVE_LEVEL): (
        *("FltCloseClientPort", "FltCloseCommunicationPort", "FltCreateCommunicationPort"),
    ),
    IrqlLimit("IrqlFltApcLte", APC_LEVEL): (
        *("FltAcquirePushLockExclusive", "FltAcquirePushLockExclusiveEx", "FltAcquirePushLockShared"),
        *("FltAcquirePushLockSharedEx", "FltAcquireResourceExclusive", "FltAcquireResourceShared"),
        *("FltAllocateContext", "FltGetInstanceContext", "FltGetVolumeContext", "FltSetInstanceContext"),
        *("FltBuildDefaultSecurityDescriptor", "FltRegisterFilter", "FltSendMessage", "FltStartFiltering"),
        *("FltSetVolumeContext", "FltUnregisterFilter"),
        *("FltGetFileNameInformation", "FltGetFileNameInformationUnsafe", "FltParseFileNameInformation"),
        *("FltParseFileName", "FltReferenceFileNameInformation", "FltReleaseFileNameInformation"),
    ),
}

IRQL_LIMITS: Final[Mapping[str, IrqlLimit]] = {
    name: limit for limit, names in _ROUTINES.items() for name in names
}
"""Export → the limit of its caller."""
UNICODE_FORMATS: Final = IrqlLimit("IrqlUnicodeFormats", PASSIVE_LEVEL)
"""That of a format which turns UTF-16 into the ANSI code page, or back."""


class CallbackLimit(NamedTuple):
    """In which callbacks one export may not be called."""

    rule: str
    groups: frozenset[str]


_NO_REGISTRY: Final = CallbackLimit("CallbackCallsRegistry", frozenset(GROUPS))
_NO_MEMORY: Final = CallbackLimit("CallbackCallsMemory", frozenset({"image"}))
NOT_IN_CALLBACKS: Final[Mapping[str, CallbackLimit]] = {
    **{name: _NO_REGISTRY for name in IRQL_LIMITS if name.startswith("Zw") and "Key" in name},
    **{name: _NO_REGISTRY for name in IRQL_LIMITS if "Registry" in name},
    **dict.fromkeys(("ZwAllocateVirtualMemory", "ZwFreeVirtualMemory"), _NO_MEMORY),
}
"""Export → where it may not be called."""

_WORDS: Final = ("PASSIVE_LEVEL", "APC_LEVEL", "DISPATCH_LEVEL")


def report_irql(system: System, limit: IrqlLimit, argument: str = "") -> None:
    """The export that is being served was called above its limit.

    :param argument: what of the call's arguments sets the limit.
    """
    site = system.call_site()
    if site is None:
        return
    irql, place = system.cpu.irql, system.place(site.address)
    what = f"{site.routine} with {argument}" if argument else site.routine
    message = f"{site.driver} calls {what} at IRQL {_irql(irql)}, above {_WORDS[limit.highest]}, at {place}"
    system.broken_rules.add(limit.rule, site.driver, place, message)


def report_in_callback(system: System, rule: str, group: str) -> None:
    """The export that is being served was called in a notify routine of that group, against that rule."""
    site = system.call_site()
    if site is not None:
        place = system.place(site.address)
        message = f"{site.driver} calls {site.routine} in its {group} callback, at {place}"
        system.broken_rules.add(rule, site.driver, place, message)


def report_with_apcs(system: System) -> None:
    """The export that is being served acquires an ERESOURCE, and its caller can be interrupted by an APC."""
    site = system.call_site()
    if site is not None:
        place = system.place(site.address)
        message = f"{site.driver} calls {site.routine} with normal kernel APCs enabled, at {place}"
        system.broken_rules.add("ResourceApcsDisabled", site.driver, place, message)


def report_held(system: System, execution: Execution) -> None:
    """A notify routine has returned: who took an ERESOURCE in it has to release it there."""
    driver = system.module_at(execution.routine)
    if driver is None or execution.callback is None or execution.callback.group not in GROUPS:
        return
    name, place = driver.module.name, system.place(execution.routine)
    for lock in execution.holds:
        if lock in system.resources:
            since = system.locks.since(lock, execution)
            message = f"{name} returns with the ERESOURCE that it took at {since}, by the routine at {place}"
            system.broken_rules.add("ExclusiveResourceAccess", name, since, message)


def _irql(irql: int) -> str:
    return _WORDS[irql] if irql < len(_WORDS) else str(irql)
