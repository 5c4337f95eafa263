"""Attaching to a process, and copying between the address spaces of two.

Sources: Microsoft, *KeStackAttachProcess*, *KeUnstackDetachProcess* (ntifs.h); *Bug Check 0x5:
INVALID_PROCESS_ATTACH_ATTEMPT*, *Bug Check 0x6: INVALID_PROCESS_DETACH_ATTEMPT*; ReactOS,
ntoskrnl/ke/procobj.c and ntoskrnl/mm/ARM3/virtual.c for what Microsoft does not document.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.memory import PAGE, is_kernel_address
from harness.virtual.cpu.traps import BugcheckRaised, MemoryFault
from harness.virtual.kernel.execution import DPC
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.objects import ProcessObject
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_ACCESS_VIOLATION,
    STATUS_PARTIAL_COPY,
    STATUS_PROCESS_IS_TERMINATING,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_INVALID_PROCESS_ATTACH_ATTEMPT: Final = 0x5
_INVALID_PROCESS_DETACH_ATTEMPT: Final = 0x6
_APC_STATE_SIZE: Final = 0x30
_APC_STATE_PROCESS: Final = 0x20
_NOT_SWITCHED: Final = 1
"""KAPC_STATE.Process where the thread was in that address space already."""
_USER_MODE: Final = 1


def _is_process(system: System, process: int) -> bool:
    return isinstance(system.objects.at(process), ProcessObject)


def _switch(system: System, process: int) -> None:
    """The current execution is in that address space from now on; 0: in that of its own process."""
    assert system.current is not None
    system.current.attached_to = process
    system.objects.attach(system.context, process)
    system.user_space.hide()


def _demand_attachable(system: System, process: int) -> None:
    execution = system.current
    in_dpc = execution is not None and execution.what == DPC
    if in_dpc or not _is_process(system, process):
        index = int(execution is not None and execution.attached_to != 0)
        now = system.current_process()
        raise BugcheckRaised(_INVALID_PROCESS_ATTACH_ATTEMPT, process, now, index, int(in_dpc))


@export("KeStackAttachProcess", 2)
def ke_stack_attach_process(system: System, process: int, apc_state: int) -> None:
    _demand_attachable(system, process)
    system.memory.store(apc_state, bytes(_APC_STATE_SIZE))
    execution = system.current
    if execution is None or process == system.current_process():
        system.memory.put_u64(apc_state + _APC_STATE_PROCESS, _NOT_SWITCHED)
        return
    system.memory.put_u64(apc_state + _APC_STATE_PROCESS, execution.attached_to)
    _switch(system, process)


@export("KeUnstackDetachProcess", 1)
def ke_unstack_detach_process(system: System, apc_state: int) -> None:
    before = system.memory.u64(apc_state + _APC_STATE_PROCESS)
    if before == _NOT_SWITCHED:
        return
    execution = system.current
    if execution is None or not execution.attached_to or (before and not _is_process(system, before)):
        raise BugcheckRaised(_INVALID_PROCESS_DETACH_ATTEMPT)
    _switch(system, before)


@export("KeAttachProcess", 1)
def ke_attach_process(system: System, process: int) -> None:
    """The older routine, which does not nest."""
    _demand_attachable(system, process)
    now = system.current_process()
    if process == now or system.current is None:
        return
    if system.current.attached_to:
        raise BugcheckRaised(_INVALID_PROCESS_ATTACH_ATTEMPT, process, now, 1, 0)
    _switch(system, process)


@export("KeDetachProcess", 0)
def ke_detach_process(system: System) -> None:
    """Without an attached process it does nothing."""
    if system.current is not None and system.current.attached_to:
        _switch(system, 0)


@export("MmCopyVirtualMemory", 7)
def mm_copy_virtual_memory(
    system: System,
    source: int,
    source_address: int,
    target: int,
    target_address: int,
    size: int,
    mode: int,
    result: int,
) -> int:
    """Undocumented. User-mode memory of a process here is what is known of it: images, which cannot be
    written (a copy there ends with STATUS_PARTIAL_COPY), PEB, TEBs, buffers of requests, and allocations."""
    processes = [system.objects.at(source), system.objects.at(target)]
    spaces = [item for item in processes if isinstance(item, ProcessObject)]
    if len(spaces) != len(processes):
        raise MemoryFault(source if processes[0] is None else target, "read", present=False)
    if any(process.exiting for process in spaces):
        return STATUS_PROCESS_IS_TERMINATING
    ends = (source_address + size, target_address + size)
    if mode & 1 == _USER_MODE and any(is_kernel_address(end) or end >> 64 for end in ends):
        return STATUS_ACCESS_VIOLATION
    copied = _copy(system, (spaces[0], source_address), (spaces[1], target_address), size)
    system.memory.put_u64(result, copied)
    return STATUS_SUCCESS if copied == size else STATUS_PARTIAL_COPY


def _copy(
    system: System, source: tuple[ProcessObject, int], target: tuple[ProcessObject, int], size: int
) -> int:
    """How many bytes were copied, a page at a time, before one could not be accessed.

    :raises MemoryFault: one of the kernel's.
    """
    (reader, read_at), (writer, write_at) = source, target
    copied = 0
    while copied < size:
        room = min(PAGE - (read_at + copied) % PAGE, PAGE - (write_at + copied) % PAGE, size - copied)
        try:
            with system.looking_into(reader.pid):
                chunk = system.memory.load(read_at + copied, room)
            with system.looking_into(writer.pid):
                system.memory.store(write_at + copied, chunk)
        except MemoryFault as fault:
            if is_kernel_address(fault.address):
                raise
            break
        copied += room
    return copied
