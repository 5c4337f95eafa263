"""The standing rules: what the virtual target holds every driver to without being asked.

They are about what a driver does to the kernel, whatever it prints; what its lines are held to are the
lifecycle rules (:mod:`harness.scenario.rules`). Where Driver Verifier or its DDI compliance checking has a
name for a rule, it is that one. A rule that is switched off (``--without-rule NAME``, or ``rules: {off:
[NAME]}`` in a scenario) is not judged; the target notices it all the same, and the trace holds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, NamedTuple

from harness.errors import UsageError

__all__ = ["STANDING_RULES", "BrokenRule", "StandingRule", "check_standing_rules"]


class BrokenRule(NamedTuple):
    """What the target noticed once."""

    rule: str
    """A key of :data:`STANDING_RULES`."""
    driver: str
    """File name of the driver that broke it."""
    message: str
    """What it did, and where: a place of a driver is written ``driver.sys+0x1234``."""


@dataclass(frozen=True)
class StandingRule:
    """One rule."""

    name: str
    sentence: str
    source: str
    """Pages of Microsoft's driver documentation, by name."""
    in_verifier: str = ""
    """What of Driver Verifier reports it on Windows; empty: nothing does."""


_DDI: Final = "DDI compliance checking"
_IO: Final = "I/O Verification"
_UNLOAD: Final = "DRIVER_UNLOAD: the routine gives back what the driver has"

STANDING_RULES: Final[dict[str, StandingRule]] = {
    rule.name: rule
    for rule in (
        StandingRule(
            "UnloadCallbacks",
            "A driver that is gone has no callback registered.",
            "PCREATE_PROCESS_NOTIFY_ROUTINE, PCREATE_THREAD_NOTIFY_ROUTINE, PLOAD_IMAGE_NOTIFY_ROUTINE: a"
            " driver removes its callbacks before it unloads; ObUnRegisterCallbacks, CmUnRegisterCallback",
        ),
        StandingRule(
            "UnloadReferences",
            "A driver that is gone has given back every reference that it took to an object.",
            "PsLookupProcessByProcessId, PsLookupThreadByThreadId, ObReferenceObjectByHandle,"
            " PsReferencePrimaryToken",
        ),
        StandingRule(
            "PoolTracking",
            "A driver that is gone has freed all of its pool.",
            "Pool Tracking; Bug Check 0xC4 (0x62)",
            "Pool Tracking",
        ),
        StandingRule(
            "UnloadHandles",
            "A driver that is gone has closed the kernel handles that it opened.",
            "ZwClose; PsCreateSystemThread, ObOpenObjectByPointer: the handle is the caller's to close",
        ),
        StandingRule(
            "UnloadWorkItems",
            "A driver that is gone has no work item queued, running or allocated.",
            "ExQueueWorkItem, IoAllocateWorkItem, IoFreeWorkItem; Miscellaneous Checks",
            "Miscellaneous Checks, in freed pool",
        ),
        StandingRule(
            "UnloadTimers",
            "A driver that is gone has no timer set, and none that it allocated.",
            "KeCancelTimer, ExDeleteTimer; Bug Check 0xC7: TIMER_OR_DPC_INVALID",
            "its check of unloaded images (0xC7)",
        ),
        StandingRule(
            "UnloadDpcs",
            "A driver that is gone has no DPC queued.",
            "KeRemoveQueueDpc, KeFlushQueuedDpcs; Bug Check 0xC7: TIMER_OR_DPC_INVALID",
            "its check of unloaded images (0xC7)",
        ),
        StandingRule(
            "UnloadThreads",
            "A driver that is gone has no system thread that runs.",
            "PsCreateSystemThread, PsTerminateSystemThread; DRIVER_UNLOAD waits for the threads to end",
        ),
        StandingRule(
            "UnloadDevices", "A driver that is gone has deleted its devices.", f"IoDeleteDevice; {_UNLOAD}"
        ),
        StandingRule(
            "UnloadSymbolicLinks",
            "A driver that is gone has deleted its symbolic links.",
            f"IoDeleteSymbolicLink; {_UNLOAD}",
        ),
        StandingRule(
            "UnloadResources",
            "A driver that is gone has deleted its ERESOURCEs, which the kernel keeps in a list.",
            "ExInitializeResourceLite, ExDeleteResourceLite; Miscellaneous Checks",
            "Miscellaneous Checks, in freed pool",
        ),
        StandingRule(
            "UnloadLookasideLists",
            "A driver that is gone has deleted its lookaside lists, which the kernel keeps in a list.",
            "ExInitializeLookasideListEx, ExDeleteLookasideListEx, their older forms; Miscellaneous Checks",
            "Miscellaneous Checks, in freed pool",
        ),
        StandingRule(
            "UnloadProviders",
            "A driver that is gone has unregistered its ETW providers.",
            "EtwRegister, EtwUnregister; Miscellaneous Checks",
            "Miscellaneous Checks",
        ),
        StandingRule(
            "UnloadFilters",
            "A driver that is gone has unregistered its minifilter: otherwise the next operation on a file"
            " calls what is gone.",
            "FltUnregisterFilter; Writing a FilterUnloadCallback Routine",
        ),
        StandingRule(
            "UnloadContexts",
            "A driver that is gone has released the contexts that it allocated or asked for.",
            "FltAllocateContext, FltGetInstanceContext, FltReleaseContext; File System Filter Verification",
            "File System Filter Verification, of minifilters",
        ),
        StandingRule(
            "UnloadFilterObjects",
            "A driver that is gone has given back its references to filters and volumes.",
            "FltObjectReference, FltGetVolumeFromInstance, FltObjectDereference; File System Filter"
            " Verification",
            "File System Filter Verification, of minifilters",
        ),
        StandingRule(
            "UnloadFileNames",
            "A driver that is gone has released the file name information that the filter manager lent it.",
            "FltGetFileNameInformation, FltGetFileNameInformationUnsafe, FltReleaseFileNameInformation; File"
            " System Filter Verification",
            "File System Filter Verification, of minifilters",
        ),
        StandingRule(
            "KernelHandles",
            "A kernel handle that was closed is not closed again, nor used.",
            "ZwClose; Miscellaneous Checks; Bug Check 0x93: INVALID_KERNEL_HANDLE",
            "Miscellaneous Checks",
        ),
        StandingRule(
            "CallbackRefused",
            "A callback that is registered is taken.",
            "PsSetCreateProcessNotifyRoutineEx, PsSetLoadImageNotifyRoutine, ObRegisterCallbacks ...:"
            " the statuses; STATUS_ACCESS_DENIED without /INTEGRITYCHECK",
        ),
        StandingRule(
            "CallbackRemovesItself",
            "A callback does not remove itself: the removal waits for it to return.",
            "PsRemoveCreateThreadNotifyRoutine, PsRemoveLoadImageNotifyRoutine",
        ),
        StandingRule(
            "CallbackWaitsLong",
            "A notify routine does not wait for a second or longer: what it reports waits for it.",
            "Windows Kernel-Mode Process and Thread Manager, best practices: no blocking calls",
        ),
        StandingRule(
            "CallbackKeepsArguments",
            "What a callback is handed, a name or a structure, is not used after it has returned.",
            "PCREATE_PROCESS_NOTIFY_ROUTINE_EX, PLOAD_IMAGE_NOTIFY_ROUTINE, EX_CALLBACK_FUNCTION: what"
            " they point to is a parameter of the call, and nothing lets a driver keep it",
        ),
        StandingRule(
            "CallbackCallsRegistry",
            "A process, thread or image notify routine does not call the registry.",
            "Windows Kernel-Mode Process and Thread Manager, best practices: no registry calls",
        ),
        StandingRule(
            "CallbackCallsMemory",
            "An image notify routine does not allocate or free memory of a process: up to Windows 7 a lock is"
            " held then, and it never returns.",
            "PLOAD_IMAGE_NOTIFY_ROUTINE: no routines that map, allocate, query or free user-space memory",
        ),
        StandingRule(
            "SpecialPool",
            "Pool that was freed is not touched, nor what lies behind an allocation.",
            "Special Pool; Bug Check 0xD5: DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL, 0xD6:"
            " DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION",
            "Special Pool",
        ),
        StandingRule(
            "UnreferencedObjects",
            "A process or thread object to which the driver holds no reference is not used once it is gone.",
            "Life Cycle of an Object: it is freed with its last reference; PsLookupProcessByProcessId",
        ),
        StandingRule(
            "NullCheck",
            "A pointer that is NULL is not used.",
            "NullCheck rule (wdm), of Static Driver Verifier; what allocates returns NULL where it cannot",
        ),
        StandingRule(
            "StopsWindows",
            "No call of a driver stops Windows, no check in its code, no return from another address space.",
            "Bug Check Code Reference: the page of the bugcheck",
            "Windows itself, by the bugcheck",
        ),
        StandingRule(
            "MarkIrpPending",
            "A dispatch routine that marks a request pending answers STATUS_PENDING.",
            "MarkIrpPending rule (wdm); IoMarkIrpPending; Bug Check 0xC9 (0x23E)",
            _IO,
        ),
        StandingRule(
            "MarkIrpPending2",
            "A dispatch routine that answers STATUS_PENDING marked the request pending.",
            "MarkIrpPending2 rule (wdm); IoMarkIrpPending; Bug Check 0xC9 (0x23D)",
            _IO,
        ),
        StandingRule(
            "IrpProcessingComplete",
            "A dispatch routine completes a request, or marks it pending.",
            "IrpProcessingComplete rule (wdm); Bug Check 0xC9 (0x226)",
            _IO,
        ),
        StandingRule(
            "DispatchStatus",
            "A dispatch routine answers the status with which it completed the request.",
            "Completing IRPs in dispatch routines; Bug Check 0xC9 (0x224)",
            _IO,
        ),
        StandingRule(
            "IrpInformation",
            "A completed request gives back no more bytes than the buffer of who sent it has.",
            "Failure to Initialize Output Buffers; Buffer Descriptions for I/O Control Codes",
        ),
        StandingRule(
            "DeadlockDetection",
            "Locks are taken in one order.",
            "Deadlock Detection; Bug Check 0xC4 (0x1001)",
            "Deadlock Detection",
        ),
        StandingRule(
            "IrqlReturn",
            "A routine returns at the IRQL at which it was called.",
            "IrqlReturn rule (wdm)",
            _DDI,
        ),
        StandingRule(
            "CriticalRegions",
            "A routine leaves the critical regions that it entered, and no others.",
            "CriticalRegions rule (wdm); Bug Check 0x1: APC_INDEX_MISMATCH",
            _DDI,
        ),
        StandingRule(
            "ResourceApcsDisabled",
            "An ERESOURCE is acquired with normal kernel APCs disabled.",
            "ExAcquireResourceExclusiveLite, ExAcquireResourceSharedLite; Bug Check 0xC4 (0x37)",
            "Bug Check 0xC4",
        ),
        StandingRule(
            "ExclusiveResourceAccess",
            "A notify routine releases the ERESOURCEs that it acquired.",
            "ExclusiveResourceAccess rule (wdm); ExReleaseResourceLite",
        ),
        StandingRule(
            "GuardedRegions",
            "A routine leaves the guarded regions that it entered, and no others.",
            "GuardedRegions rule (wdm); Bug Check 0x1: APC_INDEX_MISMATCH",
            _DDI,
        ),
        StandingRule(
            "IrqlPsPassive",
            "Notify routines are registered and removed, and system threads made, at PASSIVE_LEVEL.",
            "IrqlPsPassive rule (wdm), and the pages of the routines' Ex and remove forms",
            _DDI,
        ),
        StandingRule(
            "IrqlPsApcLte",
            "Processes and threads are looked up at APC_LEVEL or below.",
            "PsLookupProcessByProcessId, PsLookupThreadByThreadId",
        ),
        StandingRule(
            "IrqlObPassive",
            "Handles are made of objects, and objects of handles, at PASSIVE_LEVEL.",
            "IrqlObPassive rule (wdm); ObOpenObjectByPointer",
            _DDI,
        ),
        StandingRule(
            "IrqlZwPassive",
            "Handles are closed and waited for, processes ended and the registry called at PASSIVE_LEVEL.",
            "IrqlZwPassive rule (wdm); ZwTerminateProcess, ZwWaitForSingleObject",
            _DDI,
        ),
        StandingRule(
            "IrqlRtlPassive",
            "The run-time library's routines for the registry are called at PASSIVE_LEVEL.",
            "IrqlRtlPassive rule (wdm); RtlQueryRegistryValues, RtlWriteRegistryValue",
            _DDI,
        ),
        StandingRule(
            "IrqlNtifsApcPassive",
            "Files are opened and written at PASSIVE_LEVEL.",
            "IrqlNtifsApcPassive rule (wdm); ZwCreateFile, ZwWriteFile",
            "DDI compliance checking, additional IRQL rules",
        ),
        StandingRule(
            "IrqlExPassive",
            "ExUuidCreate and ExIsProcessorFeaturePresent are called at PASSIVE_LEVEL, ExRaiseStatus at"
            " APC_LEVEL or below.",
            "IrqlExPassive rule (wdm)",
            _DDI,
        ),
        StandingRule(
            "IrqlExApcLte1",
            "Fast mutexes are acquired at APC_LEVEL or below.",
            "IrqlExApcLte1 rule (wdm)",
            _DDI,
        ),
        StandingRule(
            "IrqlIoPassive1", "Devices are created at PASSIVE_LEVEL.", "IrqlIoPassive1 rule (wdm)", _DDI
        ),
        StandingRule(
            "IrqlIoPassive4",
            "Symbolic links are made and deleted at PASSIVE_LEVEL.",
            "IrqlIoPassive4 rule (wdm); IoCreateSymbolicLink",
            _DDI,
        ),
        StandingRule(
            "IrqlIoPassive5",
            "Shutdown notifications are registered and removed at PASSIVE_LEVEL.",
            "IrqlIoPassive5 rule (wdm)",
            _DDI,
        ),
        StandingRule(
            "IrqlUnicodeFormats",
            "Text is converted between Unicode and the ANSI code page at PASSIVE_LEVEL.",
            "DbgPrint, DbgPrintEx: Unicode format codes can be used only at PASSIVE_LEVEL",
        ),
        StandingRule(
            "IrqlFltPassive",
            "Communication ports are created and closed at PASSIVE_LEVEL.",
            "FltCreateCommunicationPort, FltCloseCommunicationPort, FltCloseClientPort",
        ),
        StandingRule(
            "IrqlFltApcLte",
            "Minifilters are registered, file names asked for and the filter manager's locks taken at"
            " APC_LEVEL or below.",
            "FltRegisterFilter, FltStartFiltering, FltUnregisterFilter, FltAcquirePushLockExclusive,"
            " FltGetFileNameInformation, FltGetFileNameInformationUnsafe, FltParseFileNameInformation,"
            " FltReleaseFileNameInformation",
        ),
        StandingRule(
            "IrqlIoApcLte", "Devices are deleted at APC_LEVEL or below.", "IrqlIoApcLte rule (wdm)", _DDI
        ),
    )
}
"""Name → rule."""


def check_standing_rules(names: Iterable[str]) -> frozenset[str]:
    """The names, each of which is a rule's.

    :raises UsageError: one is not.
    """
    given = frozenset(names)
    for name in sorted(given - STANDING_RULES.keys()):
        close = get_close_matches(name, STANDING_RULES, n=1)
        hint = f"did you mean {close[0]}?" if close else "docs/verdicts.md has the standing rules"
        raise UsageError(f"there is no standing rule {name!r}", hint=hint)
    return given
