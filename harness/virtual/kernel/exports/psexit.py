"""Processes that drivers end, and what processes and threads have ended with.

Sources: Microsoft, *ZwTerminateProcess* (ntddk.h), *PsGetProcessExitStatus* (ntddk.h), *TerminateProcess*;
*Bug Check 0x20: KERNEL_APC_PENDING_DURING_EXIT*, *0x5: INVALID_PROCESS_ATTACH_ATTEMPT*, *0xEF:
CRITICAL_PROCESS_DIED*. That the thread which ends its own process ends at once, inside the call, and stops
the machine where it is attached to a process or holds off APCs, is inferred from ReactOS
(ntoskrnl/ps/kill.c).
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.exports.psquery import handle_to
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.objects import STILL_ACTIVE, ProcessObject, ThreadObject
from harness.virtual.kernel.system import SYSTEM_CONTEXT, System
from harness.virtual.windows.status import (
    STATUS_INVALID_HANDLE,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_PROCESS_IS_TERMINATING,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_INVALID_PROCESS_ATTACH_ATTEMPT: Final = 0x05
_KERNEL_APC_PENDING_DURING_EXIT: Final = 0x20
_CRITICAL_PROCESS_DIED: Final = 0xEF
_CRITICAL: Final = frozenset({"csrss.exe", "services.exe", "smss.exe", "wininit.exe", "winlogon.exe"})


@export("PsGetProcessExitStatus", 1)
def ps_get_process_exit_status(system: System, process: int) -> int:
    found = system.objects.at(process)
    return found.exit_status if isinstance(found, ProcessObject) else STILL_ACTIVE


@export("PsGetThreadExitStatus", 1)
def ps_get_thread_exit_status(system: System, thread: int) -> int:
    """STATUS_PENDING until the thread has ended."""
    found = system.objects.at(thread)
    return found.exit_status if isinstance(found, ThreadObject) and found.exiting else STILL_ACTIVE


@export("ZwTerminateProcess", 2)
def zw_terminate_process(system: System, handle: int, status: int) -> int:
    """Its threads end one after the other, each with its callbacks, after this has returned. The access that
    the handle was opened with does not count: a caller in kernel mode is not asked for it.

    NULL, for the process of the current address space but not for the thread that calls, is served where that
    thread is attached to it.
    """
    process = handle_to(system, handle) if handle else system.objects.at(system.current_process())
    if process is None:
        return STATUS_INVALID_HANDLE
    if not isinstance(process, ProcessObject):
        return STATUS_OBJECT_TYPE_MISMATCH
    own = process.pid == system.context.pid
    if process.pid == SYSTEM_CONTEXT.pid:
        system.lacks("ZwTerminateProcess(the System process)")
    if process.exiting:
        return STATUS_PROCESS_IS_TERMINATING
    if not handle and own:
        system.lacks("ZwTerminateProcess(every thread but the one that calls)")
    if handle and process.address == system.current_process():
        _end_own_process(system, process)
    if process.name.lower() in _CRITICAL:
        raise BugcheckRaised(_CRITICAL_PROCESS_DIED, process.address)
    try:
        ended = system.threads.terminate_process(process.pid, status & 0xFFFF_FFFF)
    except LookupError:
        system.lacks(f"ZwTerminateProcess({process.name})")
    return STATUS_SUCCESS if ended else STATUS_PROCESS_IS_TERMINATING


def _end_own_process(system: System, process: ProcessObject) -> None:
    """The thread that calls is to end inside the call.

    :raises BugcheckRaised: as it may not here.
    """
    execution, thread = system.current, system.current_thread()
    if execution is not None and execution.attached_to:
        own = system.objects.process(system.context.pid).address
        raise BugcheckRaised(_INVALID_PROCESS_ATTACH_ATTEMPT, own, process.address, 1, thread)
    if execution is not None and execution.in_critical_region:
        raise BugcheckRaised(_KERNEL_APC_PENDING_DURING_EXIT, 0, 0xFFFF, system.cpu.irql, 1)
    system.lacks("ZwTerminateProcess(the process of the thread that calls)")
