"""System threads, and handles to them.

Sources: Microsoft, *PsCreateSystemThread*, *PsTerminateSystemThread*, *ObReferenceObjectByHandle*, *ZwClose*
(wdm.h).
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised, Continued, ThreadEnded
from harness.virtual.dispatcher.dispatcher import DispatchedThread
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.belongings import Belonging, CallSite
from harness.virtual.kernel.configuration import RegistryKey
from harness.virtual.kernel.execution import SYSTEM_THREAD
from harness.virtual.kernel.exports.cm import close_key
from harness.virtual.kernel.exports.handles import (
    attributes_site,
    report_closed_handle,
    take_other_reference,
    take_reference,
)
from harness.virtual.kernel.exports.psquery import handle_to
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.handletable import CommunicationPort, EventObject, SymbolicLink
from harness.virtual.kernel.objects import ProcessObject, ThreadObject
from harness.virtual.kernel.system import System
from harness.virtual.kernel.volume import OpenFile
from harness.virtual.windows.irql import APC_LEVEL
from harness.virtual.windows.status import (
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
)

__all__: list[str] = []

MAX_SYSTEM_THREADS: Final = 256
"""Threads of drivers that exist at a time; creating further ones fails."""
_IRQL_GT_ZERO_AT_SYSTEM_SERVICE: Final = 0x4A


@export("PsCreateSystemThread", 7)
def ps_create_system_thread(
    system: System,
    handle: int,
    _access: int,
    attributes: int,
    _process: int,
    client_id: int,
    routine: int,
    argument: int,
) -> int:
    system.memory.u64(handle)
    if sum(found.what == SYSTEM_THREAD for found in system.executions) >= MAX_SYSTEM_THREADS:
        return STATUS_INSUFFICIENT_RESOURCES
    sites = system.call_site(), attributes_site(system, attributes)
    raise Continued(_create(system, handle, client_id, routine, argument, sites))


def _create(
    system: System,
    handle: int,
    client_id: int,
    routine: int,
    argument: int,
    sites: tuple[CallSite | None, CallSite | None],
) -> Program[int]:
    """:param sites: the call for the thread, and for its handle."""
    site, handle_site = sites

    def body(thread: DispatchedThread) -> Program[None]:
        system.belongings.take(Belonging.THREAD, routine, site)
        running = system.dispatcher.running
        assert running is not None
        context = ThreadContext(thread.pid, thread.tid, running.cpu)
        yield from system.enter(routine, (argument,), context, 0, what=SYSTEM_THREAD, awaited=False)

    tid = yield from system.threads.create_system_thread(body)
    thread = system.objects.thread(4, tid)
    thread.start_address = routine
    system.memory.put_u64(handle, system.open_handle(thread, handle_site))
    if client_id:
        system.memory.put_u64(client_id, thread.pid)
        system.memory.put_u64(client_id + 8, tid)
    return STATUS_SUCCESS


@export("PsTerminateSystemThread", 1)
def ps_terminate_system_thread(system: System, status: int) -> int:
    if system.current is None or system.current.what != SYSTEM_THREAD:
        return STATUS_INVALID_PARAMETER
    if system.cpu.irql > APC_LEVEL:
        raise BugcheckRaised(_IRQL_GT_ZERO_AT_SYSTEM_SERVICE, system.caller(), system.cpu.irql)
    context = system.context
    system.objects.thread(context.pid, context.tid).exit_status = status & 0xFFFF_FFFF
    raise ThreadEnded(status & 0xFFFF_FFFF)


@export("ObReferenceObjectByHandle", 6)
def ob_reference_object_by_handle(
    system: System, handle: int, _access: int, kind: int, _mode: int, result: int, _information: int
) -> int:
    other = system.handles.get(handle)
    if isinstance(other, OpenFile):
        if kind and kind != system.memory.u64(system.symbol("IoFileObjectType")):
            return STATUS_OBJECT_TYPE_MISMATCH
        file = system.file_objects.of(other.file.path)
        system.memory.put_u64(result, take_other_reference(system, file))
        return STATUS_SUCCESS
    if isinstance(other, EventObject):
        if kind and kind != system.memory.u64(system.symbol("ExEventObjectType")):
            return STATUS_OBJECT_TYPE_MISMATCH
        system.memory.put_u64(result, take_other_reference(system, other.address))
        return STATUS_SUCCESS
    if isinstance(other, RegistryKey | SymbolicLink):
        what = "a registry key" if isinstance(other, RegistryKey) else "a symbolic link"
        system.lacks(f"ObReferenceObjectByHandle({what})")
    item = handle_to(system, handle)
    if item is None:
        return STATUS_INVALID_HANDLE
    wanted = "PsThreadType" if isinstance(item, ThreadObject) else "PsProcessType"
    if kind and kind != system.memory.u64(system.symbol(wanted)):
        return STATUS_OBJECT_TYPE_MISMATCH
    system.memory.put_u64(result, take_reference(system, item))
    return STATUS_SUCCESS


@export("ObReferenceObjectByHandleWithTag", 7)
def ob_reference_object_by_handle_with_tag(
    system: System, handle: int, access: int, kind: int, mode: int, _tag: int, result: int, information: int
) -> int:
    """References are counted whatever their tag."""
    return ob_reference_object_by_handle(system, handle, access, kind, mode, result, information)


@export("ZwClose", "NtClose", 1)
def zw_close(system: System, handle: int) -> int:
    item = system.handles.get(handle)
    if item is None:
        report_closed_handle(system, handle)
        return STATUS_INVALID_HANDLE
    if isinstance(item, RegistryKey):
        return close_key(system, item, lambda: _close(system, handle))
    return _close(system, handle)


@export("ObCloseHandle", 2)
def ob_close_handle(system: System, handle: int, _mode: int) -> int:
    return zw_close(system, handle)


def _close(system: System, handle: int) -> int:
    item = system.handles.pop(handle, None)
    if item is None:
        return STATUS_INVALID_HANDLE
    system.belongings.give_back(Belonging.HANDLE, handle)
    if isinstance(item, ProcessObject | ThreadObject):
        system.objects.dereference(item)
    elif isinstance(item, CommunicationPort):
        item.minifilter.ports -= 1
        system.waits.signalled(item.minifilter.address)
    elif isinstance(item, OpenFile) and item.delete_on_close:
        system.volume.delete(item.file.path)
    return STATUS_SUCCESS
