"""Handles to processes and threads by their ids, and what is asked of them and of the system.

A class of information that Windows has and this target has not ends the run, as a missing import does.
Sources: Microsoft, *ZwOpenProcess* (ntddk.h), *ZwQueryInformationProcess*, *ZwQuerySystemInformation*;
structures of winternl.h and, for modules and processes, of build 18362.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from harness.virtual.kernel.exports.handles import report_closed_handle
from harness.virtual.kernel.exports.ob import open_for_driver
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.objects import ProcessObject, ThreadObject
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_INFO_LENGTH_MISMATCH,
    STATUS_INVALID_CID,
    STATUS_INVALID_HANDLE,
    STATUS_INVALID_INFO_CLASS,
    STATUS_INVALID_PARAMETER_MIX,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
)

__all__ = ["handle_to"]

_CURRENT_PROCESS, _CURRENT_THREAD = (1 << 64) - 1, (1 << 64) - 2
_OBJECT_NAME, _ATTRIBUTES = 0x10, 0x18
"""Offsets in OBJECT_ATTRIBUTES."""
_NORMAL_PRIORITY: Final = 8
_LAST_PROCESS_CLASS: Final = 0x64
_LAST_SYSTEM_CLASS: Final = 0xD0
"""Classes of build 18362, about: what lies above is none."""
_MODULE: Final = struct.Struct("<QQQIIHHHH256s")
"""RTL_PROCESS_MODULE_INFORMATION."""
_PROCESS: Final = struct.Struct("<II48sHHIQi4xQQII")
"""The beginning of SYSTEM_PROCESS_INFORMATION."""
_PROCESS_SIZE: Final = 0x100
_THREAD: Final = struct.Struct("<QQQI4xQQQiiIII4x")
"""SYSTEM_THREAD_INFORMATION."""
_WAITING: Final = 5
_KERNEL_DEBUGGER: Final = b"\x01\x00"
"""SYSTEM_KERNEL_DEBUGGER_INFORMATION: enabled, and not absent."""


def handle_to(system: System, handle: int) -> ProcessObject | ThreadObject | None:
    """What a handle stands for, pseudo-handles included; None: it is no handle."""
    if handle == _CURRENT_THREAD:
        return system.objects.thread(system.context.pid, system.context.tid)
    if handle == _CURRENT_PROCESS:
        return system.objects.at(system.current_process())
    item = system.handles.get(handle)
    if item is None:
        report_closed_handle(system, handle)
    return item if isinstance(item, ProcessObject | ThreadObject) else None


@export("ZwOpenProcess", 4)
def zw_open_process(system: System, result: int, access: int, attributes: int, client_id: int) -> int:
    system.memory.u64(result)
    named = system.memory.u64(attributes + _OBJECT_NAME)
    if not client_id or named:
        return STATUS_INVALID_PARAMETER_MIX
    pid, tid = system.memory.u64(client_id), system.memory.u64(client_id + 8)
    process = system.objects.find_process(pid)
    thread = system.objects.find_thread(tid) if tid else None
    if process is None or (tid and (thread is None or thread.pid != pid)):
        return STATUS_INVALID_CID
    flags = system.memory.u32(attributes + _ATTRIBUTES)
    return open_for_driver(system, process, access, flags, result)


@export("ZwOpenThread", 4)
def zw_open_thread(system: System, result: int, access: int, attributes: int, client_id: int) -> int:
    system.memory.u64(result)
    named = system.memory.u64(attributes + _OBJECT_NAME)
    if not client_id or named:
        return STATUS_INVALID_PARAMETER_MIX
    pid, tid = system.memory.u64(client_id), system.memory.u64(client_id + 8)
    thread = system.objects.find_thread(tid)
    if thread is None or pid not in (0, thread.pid):
        return STATUS_INVALID_CID
    flags = system.memory.u32(attributes + _ATTRIBUTES)
    return open_for_driver(system, thread, access, flags, result)


# ZwQueryInformationProcess


def _basic(system: System, process: ProcessObject) -> bytes:
    affinity = (1 << system.processors) - 1
    return struct.pack(
        "<I4xQQi4xQQ",
        *(process.exit_status, process.peb, affinity, _NORMAL_PRIORITY, process.pid, process.parent_pid),
    )


def _nothing(size: int) -> Callable[[System, ProcessObject], bytes]:
    return lambda _system, _process: bytes(size)


_FIXED: Final[dict[int, Callable[[System, ProcessObject], bytes]]] = {
    0: _basic,
    7: _nothing(8),  # ProcessDebugPort: nobody debugs it
    26: lambda _system, process: struct.pack("<Q", process.peb32),
    29: _nothing(4),  # ProcessBreakOnTermination
    30: _nothing(8),  # ProcessDebugObjectHandle
}
"""By class: information of a fixed size."""
_STRINGS: Final[dict[int, Callable[[ProcessObject], str]]] = {
    27: lambda process: process.image_path or "",
    43: lambda process: process.image_path or "",
    60: lambda process: process.command_line or "",
}
"""By class: a UNICODE_STRING and its characters. The Win32 name is the native one here."""


@export("ZwQueryInformationProcess", 5)
def zw_query_information_process(
    system: System, handle: int, kind: int, buffer: int, size: int, needed: int
) -> int:
    kind, size = kind & 0xFFFF_FFFF, size & 0xFFFF_FFFF
    if kind not in _FIXED and kind not in _STRINGS:
        if kind > _LAST_PROCESS_CLASS:
            return STATUS_INVALID_INFO_CLASS
        system.lacks(f"ZwQueryInformationProcess(class {kind})")
    process = handle_to(system, handle)
    if process is None:
        return STATUS_INVALID_HANDLE
    if not isinstance(process, ProcessObject):
        return STATUS_OBJECT_TYPE_MISMATCH
    if kind in _FIXED:
        content = _FIXED[kind](system, process)
        if size != len(content):
            return STATUS_INFO_LENGTH_MISMATCH
    else:
        raw = _STRINGS[kind](process).encode("utf-16-le", "surrogatepass")
        content = system.heap.string_value(raw, buffer + 16) + raw + bytes(2)
    return _give(system, buffer, size, needed, content)


def _give(system: System, buffer: int, size: int, needed: int, content: bytes) -> int:
    """Store what was asked for, or say how much room it takes."""
    if needed:
        system.memory.put_u32(needed, len(content))
    if size < len(content):
        return STATUS_INFO_LENGTH_MISMATCH
    system.memory.store(buffer, content)
    return STATUS_SUCCESS


# ZwQuerySystemInformation


def _modules(system: System) -> bytes:
    content = struct.pack("<I4x", len(system.modules.images))
    for number, module in enumerate(system.modules.images.values()):
        path = module.path.encode("cp1252", "replace")[:255]
        name_at = path.rfind(b"\\") + 1
        content += _MODULE.pack(
            *(0, 0, module.base, module.size, 0x0800_4000, number, 0, 1, name_at),
            path,
        )
    return content


def _processes(system: System, buffer: int) -> bytes:
    """One record a process, each with its threads and its name behind it."""
    content, everybody = b"", system.objects.living()
    for number, (process, threads) in enumerate(everybody):
        at = buffer + len(content)
        name = process.name.encode("utf-16-le")
        name_at = at + _PROCESS_SIZE + _THREAD.size * len(threads)
        size = (_PROCESS_SIZE + _THREAD.size * len(threads) + len(name) + 2 + 7) & ~7
        record = _PROCESS.pack(
            *(0 if number == len(everybody) - 1 else size, len(threads)),
            struct.pack("<32xQ8x", process.create_time),
            *(len(name), len(name) + 2, 0, name_at, _NORMAL_PRIORITY),
            *(process.pid, process.parent_pid, 0, 0),
        ).ljust(_PROCESS_SIZE, b"\0")
        for thread in threads:
            record += _THREAD.pack(
                *(0, 0, process.create_time, 0, 0, process.pid, thread.tid),
                *(_NORMAL_PRIORITY, _NORMAL_PRIORITY, 0, _WAITING, 0),
            )
        content += (record + name).ljust(size, b"\0")
    return content


@export("ZwQuerySystemInformation", 4)
def zw_query_system_information(system: System, kind: int, buffer: int, size: int, needed: int) -> int:
    kind, size = kind & 0xFFFF_FFFF, size & 0xFFFF_FFFF
    if kind == 5:
        content = _processes(system, buffer)
    elif kind == 11:
        content = _modules(system)
    elif kind == 0x23:
        content = _KERNEL_DEBUGGER
    elif kind > _LAST_SYSTEM_CLASS:
        return STATUS_INVALID_INFO_CLASS
    else:
        system.lacks(f"ZwQuerySystemInformation(class {kind})")
    return _give(system, buffer, size, needed, content)
