"""Process and thread support: the notify routines, identity, look-ups.

Sources: Microsoft, the ``PsSet...NotifyRoutine`` pages of ntddk.h, *PsLookupProcessByProcessId*
(ntifs.h). The statuses of registration are in :mod:`harness.virtual.kernel.callbacks`.
"""

from __future__ import annotations

from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.callbacks import Callback
from harness.virtual.kernel.execution import CallbackKey
from harness.virtual.kernel.exports.handles import take_reference
from harness.virtual.kernel.exports.registration import await_calls, has_forced_integrity, report_registration
from harness.virtual.kernel.exports.registry import data, export
from harness.virtual.kernel.objects import STILL_ACTIVE, ProcessObject, ThreadObject
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_ACCESS_DENIED,
    STATUS_INVALID_CID,
    STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS,
)
from harness.virtual.windows.symbols18362 import EPROCESS

__all__: list[str] = []

_CREATE_PROCESS_NOTIFY_SUBSYSTEMS = 0
_CREATE_THREAD_NOTIFY_NON_SYSTEM = 0
_CREATE_THREAD_NOTIFY_SUBSYSTEMS = 1

_PROTECTED = frozenset(
    {"system", "registry", "smss.exe", "csrss.exe", "wininit.exe", "services.exe", "msmpeng.exe"}
)

data("PsInitialSystemProcess")
data("PsProcessType")
data("PsThreadType")
data("PsJobType")


def _register(system: System, group: str, routine: int, *, extended: bool, allowed: bool = True) -> int:
    driver = system.module_at(routine)
    if driver is None or not allowed:
        # A routine outside every loaded image (manually mapped code) is refused on Windows 10.
        status = STATUS_ACCESS_DENIED
    else:
        status = system.callbacks.register(group, Callback(routine, extended, driver.module.name))
    report_registration(system, group, routine, status)
    if status == STATUS_SUCCESS:
        key = CallbackKey(group, routine)
        system.belongings.take_once_more(Belonging.CALLBACK, key, system.call_site())
    return status


def _remove(system: System, group: str, routine: int, *, extended: bool | None = None) -> int:
    """The NTSTATUS, once every call of the routine that is running has returned."""
    status = system.callbacks.remove(group, routine, extended=extended)
    if status != STATUS_SUCCESS:
        return status
    system.belongings.give_back(Belonging.CALLBACK, CallbackKey(group, routine))
    return await_calls(system, group, (routine,))


def _set_extended_process_routine(system: System, routine: int, remove: int) -> int:
    if remove & 0xFF:
        return _remove(system, "process", routine, extended=True)
    allowed = has_forced_integrity(system, routine)
    return _register(system, "process", routine, extended=True, allowed=allowed)


@export("PsSetCreateProcessNotifyRoutine", 2)
def ps_set_create_process_notify_routine(system: System, routine: int, remove: int) -> int:
    if remove & 0xFF:
        return _remove(system, "process", routine, extended=False)
    return _register(system, "process", routine, extended=False)


@export("PsSetCreateProcessNotifyRoutineEx", 2)
def ps_set_create_process_notify_routine_ex(system: System, routine: int, remove: int) -> int:
    return _set_extended_process_routine(system, routine, remove)


@export("PsSetCreateProcessNotifyRoutineEx2", 3)
def ps_set_create_process_notify_routine_ex2(system: System, kind: int, routine: int, remove: int) -> int:
    if kind & 0xFFFF_FFFF != _CREATE_PROCESS_NOTIFY_SUBSYSTEMS:
        return STATUS_INVALID_PARAMETER
    return _set_extended_process_routine(system, routine, remove)


@export("PsSetCreateThreadNotifyRoutine", 1)
def ps_set_create_thread_notify_routine(system: System, routine: int) -> int:
    return _register(system, "thread", routine, extended=False)


@export("PsSetCreateThreadNotifyRoutineEx", 2)
def ps_set_create_thread_notify_routine_ex(system: System, kind: int, routine: int) -> int:
    kind &= 0xFFFF_FFFF
    if kind not in (_CREATE_THREAD_NOTIFY_NON_SYSTEM, _CREATE_THREAD_NOTIFY_SUBSYSTEMS):
        return STATUS_INVALID_PARAMETER
    return _register(system, "thread", routine, extended=kind == _CREATE_THREAD_NOTIFY_NON_SYSTEM)


@export("PsRemoveCreateThreadNotifyRoutine", 1)
def ps_remove_create_thread_notify_routine(system: System, routine: int) -> int:
    return _remove(system, "thread", routine)


@export("PsSetLoadImageNotifyRoutine", 1)
def ps_set_load_image_notify_routine(system: System, routine: int) -> int:
    return _register(system, "image", routine, extended=False)


@export("PsSetLoadImageNotifyRoutineEx", 2)
def ps_set_load_image_notify_routine_ex(system: System, routine: int, flags: int) -> int:
    if flags & ~1:
        return STATUS_INVALID_PARAMETER
    return _register(system, "image", routine, extended=True)


@export("PsRemoveLoadImageNotifyRoutine", 1)
def ps_remove_load_image_notify_routine(system: System, routine: int) -> int:
    return _remove(system, "image", routine)


@export("PsGetCurrentProcessId", 0)
def ps_get_current_process_id(system: System) -> int:
    return system.context.pid


@export("PsGetCurrentThreadId", 0)
def ps_get_current_thread_id(system: System) -> int:
    return system.context.tid


@export("PsGetCurrentProcess", "IoGetCurrentProcess", 0)
def ps_get_current_process(system: System) -> int:
    """That of the address space that is current: the one that the thread attached to, if it did."""
    return system.current_process()


@export("PsGetCurrentThreadProcess", 0)
def ps_get_current_thread_process(system: System) -> int:
    return system.objects.process(system.context.pid).address


@export("PsGetCurrentThread", "KeGetCurrentThread", 0)
def ps_get_current_thread(system: System) -> int:
    return system.objects.thread(system.context.pid, system.context.tid).address


@export("PsGetCurrentThreadProcessId", 0)
def ps_get_current_thread_process_id(system: System) -> int:
    return system.context.pid


@export("PsGetProcessId", 1)
def ps_get_process_id(system: System, process: int) -> int:
    return system.memory.u64(process + EPROCESS.offset("UniqueProcessId"))


@export("PsGetProcessInheritedFromUniqueProcessId", 1)
def ps_get_process_parent(system: System, process: int) -> int:
    return system.memory.u64(process + EPROCESS.offset("InheritedFromUniqueProcessId"))


@export("PsGetProcessImageFileName", 1)
def ps_get_process_image_file_name(_system: System, process: int) -> int:
    return process + EPROCESS.offset("ImageFileName")


@export("PsGetProcessCreateTimeQuadPart", 1)
def ps_get_process_create_time(system: System, process: int) -> int:
    found = system.objects.at(process)
    return found.create_time if isinstance(found, ProcessObject) else 0


@export("PsGetProcessPeb", 1)
def ps_get_process_peb(system: System, process: int) -> int:
    found = system.objects.at(process)
    return found.peb if isinstance(found, ProcessObject) else 0


@export("PsGetProcessWow64Process", 1)
def ps_get_process_wow64_process(system: System, process: int) -> int:
    """The 32-bit PEB of a 32-bit process, NULL of others."""
    found = system.objects.at(process)
    return found.peb32 if isinstance(found, ProcessObject) else 0


@export("PsGetCurrentProcessWow64Process", 0)
def ps_get_current_process_wow64_process(system: System) -> int:
    return ps_get_process_wow64_process(system, system.current_process())


@export("PsGetThreadTeb", 1)
def ps_get_thread_teb(system: System, thread: int) -> int:
    found = system.objects.at(thread)
    return found.teb if isinstance(found, ThreadObject) else 0


@export("PsGetCurrentThreadTeb", 0)
def ps_get_current_thread_teb(system: System) -> int:
    return system.objects.thread(system.context.pid, system.context.tid).teb


@export("IoIs32bitProcess", 1)
def io_is_32_bit_process(system: System, _irp: int) -> int:
    """No request of a user-mode program reaches a driver here, so the current process counts whatever the IRP
    says; one of a system thread is none."""
    return int(ps_get_current_process_wow64_process(system) != 0)


@export("PsGetThreadId", 1)
def ps_get_thread_id(system: System, thread: int) -> int:
    found = system.objects.at(thread)
    return found.tid if isinstance(found, ThreadObject) else 0


@export("PsGetThreadProcessId", 1)
def ps_get_thread_process_id(system: System, thread: int) -> int:
    found = system.objects.at(thread)
    return found.pid if isinstance(found, ThreadObject) else 0


@export("PsGetThreadProcess", "IoThreadToProcess", 1)
def ps_get_thread_process(system: System, thread: int) -> int:
    found = system.objects.at(thread)
    return system.objects.process(found.pid).address if isinstance(found, ThreadObject) else 0


@export("PsIsSystemThread", 1)
def ps_is_system_thread(system: System, thread: int) -> int:
    found = system.objects.at(thread)
    return int(isinstance(found, ThreadObject) and found.pid == 4)


@export("PsIsSystemProcess", 1)
def ps_is_system_process(system: System, process: int) -> int:
    return int(process == system.objects.process(4).address)


@export("PsIsProtectedProcess", 1)
def ps_is_protected_process(system: System, process: int) -> int:
    """The System process, and those of Windows' own that are protected light in this build."""
    found = system.objects.at(process)
    return int(isinstance(found, ProcessObject) and found.name.lower() in _PROTECTED)


@export("PsGetProcessSectionBaseAddress", 1)
def ps_get_process_section_base_address(system: System, process: int) -> int:
    found = system.objects.at(process)
    return found.image_base if isinstance(found, ProcessObject) else 0


@export("PsGetProcessExitProcessCalled", 1)
def ps_get_process_exit_process_called(system: System, process: int) -> int:
    found = system.objects.at(process)
    return int(isinstance(found, ProcessObject) and found.exit_status != STILL_ACTIVE)


@export("PsIsThreadTerminating", 1)
def ps_is_thread_terminating(system: System, thread: int) -> int:
    found = system.objects.at(thread)
    return int(isinstance(found, ThreadObject) and (found.exiting or found.apcs_run_down))


@export("PsIsProcessBeingDebugged", "PsGetProcessDebugPort", 1)
def ps_is_process_being_debugged(_system: System, _process: int) -> int:
    """No process here has a user-mode debugger."""
    return 0


@export("PsGetProcessJob", 1)
def ps_get_process_job(_system: System, _process: int) -> int:
    """No process here is in a job."""
    return 0


@export("PsLookupProcessByProcessId", 2)
def ps_lookup_process_by_process_id(system: System, pid: int, result: int) -> int:
    process = system.objects.find_process(pid)
    if process is None:
        return STATUS_INVALID_PARAMETER
    system.memory.put_u64(result, take_reference(system, process))
    return STATUS_SUCCESS


@export("PsLookupThreadByThreadId", 2)
def ps_lookup_thread_by_thread_id(system: System, tid: int, result: int) -> int:
    thread = system.objects.find_thread(tid)
    if thread is None:
        return STATUS_INVALID_PARAMETER
    system.memory.put_u64(result, take_reference(system, thread))
    return STATUS_SUCCESS


@export("PsLookupProcessThreadByCid", 3)
def ps_lookup_process_thread_by_cid(system: System, cid: int, process_result: int, thread_result: int) -> int:
    pid, tid = system.memory.u64(cid), system.memory.u64(cid + 8)
    thread, process = system.objects.find_thread(tid), system.objects.find_process(pid)
    if thread is None or process is None or thread.pid != pid:
        return STATUS_INVALID_CID
    system.memory.put_u64(thread_result, take_reference(system, thread))
    if process_result:
        system.memory.put_u64(process_result, take_reference(system, process))
    return STATUS_SUCCESS


@export("PsGetVersion", 4)
def ps_get_version(system: System, major: int, minor: int, build: int, service_pack: int) -> int:
    for address, value in ((major, 10), (minor, 0), (build, 18362)):
        if address:
            system.memory.put_u32(address, value)
    if service_pack:
        system.memory.store(service_pack, bytes(16))
    return 1
