"""What is asked of a thread by its handle.

A class of information that Windows has and this target has not ends the run, as a missing import does.
Sources: Microsoft, *NtQueryInformationThread* (winternl.h), THREADINFOCLASS (ntddk.h); the layout of
THREAD_BASIC_INFORMATION for 64 bits: client id, affinity mask, priorities.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from harness.virtual.kernel.exports.psquery import handle_to
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.objects import STILL_ACTIVE, ThreadObject
from harness.virtual.kernel.structures.thread import NORMAL_PRIORITY
from harness.virtual.kernel.system import SYSTEM_CONTEXT, System
from harness.virtual.windows.status import (
    STATUS_INFO_LENGTH_MISMATCH,
    STATUS_INVALID_HANDLE,
    STATUS_INVALID_INFO_CLASS,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_LAST_CLASS: Final = 0x31
"""Of build 18362, about: what lies above is none."""


def _basic(system: System, thread: ThreadObject) -> bytes:
    status = thread.exit_status if thread.exiting else STILL_ACTIVE
    affinity = (1 << system.processors) - 1
    return struct.pack(
        "<I4xQQQQii",
        *(status, thread.teb, thread.pid, thread.tid, affinity, NORMAL_PRIORITY, NORMAL_PRIORITY),
    )


def _start_address(system: System, thread: ThreadObject) -> bytes:
    if not thread.start_address and not thread.exiting:
        thread.start_address = system.threads.start_address(thread.pid, thread.tid)
    address = thread.start_address
    if not address and thread.pid == SYSTEM_CONTEXT.pid:
        address = system.image.entry_point
    return struct.pack("<Q", address)


def _is_last(system: System, thread: ThreadObject) -> bytes:
    process = system.objects.find_process(thread.pid)
    return struct.pack("<I", process is None or process.active_threads <= 1)


_CLASSES: Final[dict[int, Callable[[System, ThreadObject], bytes]]] = {
    0: _basic,
    9: _start_address,  # ThreadQuerySetWin32StartAddress
    12: _is_last,  # ThreadAmILastThread
    17: lambda _system, _thread: b"\0",  # ThreadHideFromDebugger
    18: lambda _system, _thread: bytes(4),  # ThreadBreakOnTermination
    20: lambda _system, thread: struct.pack("<I", thread.exiting),  # ThreadIsTerminated
}


@export("ZwQueryInformationThread", "NtQueryInformationThread", 5)
def zw_query_information_thread(
    system: System, handle: int, kind: int, buffer: int, size: int, needed: int
) -> int:
    kind, size = kind & 0xFFFF_FFFF, size & 0xFFFF_FFFF
    ask = _CLASSES.get(kind)
    if ask is None:
        if kind > _LAST_CLASS:
            return STATUS_INVALID_INFO_CLASS
        system.lacks(f"ZwQueryInformationThread(class {kind})")
    thread = handle_to(system, handle)
    if thread is None:
        return STATUS_INVALID_HANDLE
    if not isinstance(thread, ThreadObject):
        return STATUS_OBJECT_TYPE_MISMATCH
    content = ask(system, thread)
    if size != len(content):
        return STATUS_INFO_LENGTH_MISMATCH
    system.memory.store(buffer, content)
    if needed:
        system.memory.put_u32(needed, len(content))
    return STATUS_SUCCESS
