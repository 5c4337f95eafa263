"""ETHREAD: the objects behind PsGetCurrentThread, KPRCB.CurrentThread and a process's thread lists."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from harness.virtual.cpu.memory import Memory
from harness.virtual.interfaces import NewThread
from harness.virtual.kernel.structures import linkedlist
from harness.virtual.kernel.structures.slots import ETHREAD_REGION, ObjectSlots
from harness.virtual.windows.symbols18362 import EPROCESS, ETHREAD

__all__ = ["NORMAL_PRIORITY", "Ethread"]

_THREAD_OBJECT: Final = 6
"""KOBJECTS value for DISPATCHER_HEADER.Type."""
NORMAL_PRIORITY: Final = 8
"""Of a process of the normal class, and its threads."""
_RUNNING, _TERMINATED, _WAITING = 2, 4, 5
"""KTHREAD_STATE."""

_TEMPLATE: Final = ETHREAD.pack(
    {
        "Header.Type": _THREAD_OBJECT,
        "State": _WAITING,
        "Priority": NORMAL_PRIORITY,
        "BasePriority": NORMAL_PRIORITY,
    }
)
_OWNERS: Final = (ETHREAD.offset("ApcState.Process"), ETHREAD.offset("Process"))
_CREATE_TIME: Final = ETHREAD.offset("CreateTime")
_CLIENT_ID: Final = ETHREAD.offset("Cid")
_POINTER: Final = struct.Struct("<Q")
_POINTERS: Final = struct.Struct("<QQ")
_NUMBER: Final = struct.Struct("<I")
_TEB: Final = ETHREAD.offset("Teb")
_WAIT_LIST: Final = ETHREAD.offset("Header.WaitListHead")
_PROCESSOR: Final = ETHREAD.offset("NextProcessor")
_STATE: Final = ETHREAD.offset("State")
_KERNEL_LINKS: Final = ETHREAD.offset("Tcb.ThreadListEntry")
_EXECUTIVE_LINKS: Final = ETHREAD.offset("ThreadListEntry")
_KERNEL_HEAD: Final = EPROCESS.offset("Pcb.ThreadListHead")
_EXECUTIVE_HEAD: Final = EPROCESS.offset("ThreadListHead")


class Ethread:
    """Writes every ETHREAD and the rings of its process. A thread is its ETHREAD's address here."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._slots = ObjectSlots(memory, ETHREAD_REGION)

    def create(self, process: int, pid: int, tid: int, *, create_time: int, processor: int) -> int:
        """A thread that waits, last in both lists of ``process`` (its EPROCESS).

        :param create_time: FILETIME.
        :param processor: the one it is to run on first.
        """
        memory = self._memory
        content = bytearray(_TEMPLATE)
        for offset in _OWNERS:
            _POINTER.pack_into(content, offset, process)
        _NUMBER.pack_into(content, _PROCESSOR, processor)
        _POINTER.pack_into(content, _CREATE_TIME, create_time)
        _POINTERS.pack_into(content, _CLIENT_ID, pid, tid)
        address = self._slots.allocate()
        _POINTERS.pack_into(content, _WAIT_LIST, address + _WAIT_LIST, address + _WAIT_LIST)
        memory.store(address, content)
        linkedlist.insert_tail(memory, process + _KERNEL_HEAD, address + _KERNEL_LINKS)
        linkedlist.insert_tail(memory, process + _EXECUTIVE_HEAD, address + _EXECUTIVE_LINKS)
        return address

    def create_several(self, process: int, pid: int, threads: Sequence[NewThread]) -> list[int]:
        """The same for several threads of a process that has none, in their order."""
        memory = self._memory
        addresses = [self._slots.allocate() for _ in threads]
        content = bytearray(_TEMPLATE)
        for offset in _OWNERS:
            _POINTER.pack_into(content, offset, process)
        rings = ((process + _KERNEL_HEAD, _KERNEL_LINKS), (process + _EXECUTIVE_HEAD, _EXECUTIVE_LINKS))
        for number, (address, new) in enumerate(zip(addresses, threads, strict=True)):
            _NUMBER.pack_into(content, _PROCESSOR, new.processor)
            _POINTER.pack_into(content, _CREATE_TIME, new.created)
            _POINTERS.pack_into(content, _CLIENT_ID, pid, new.tid)
            _POINTERS.pack_into(content, _WAIT_LIST, address + _WAIT_LIST, address + _WAIT_LIST)
            for head, links in rings:
                after = addresses[number + 1] + links if number + 1 < len(addresses) else head
                before = addresses[number - 1] + links if number else head
                _POINTERS.pack_into(content, links, after, before)
            memory.store(address, content)
        if addresses:
            for head, links in rings:
                memory.store(head, _POINTERS.pack(addresses[0] + links, addresses[-1] + links))
        return addresses

    def attach(self, thread: int, process: int) -> None:
        """It is in the address space of ``process`` (its EPROCESS): its own, or one that it attached to."""
        self._memory.put_u64(thread + _OWNERS[0], process)

    def set_teb(self, thread: int, teb: int) -> None:
        """Its TEB, a user-mode address."""
        self._memory.put_u64(thread + _TEB, teb)

    def run(self, thread: int, processor: int) -> None:
        """It is the one that ``processor`` executes."""
        self._memory.put_u8(thread + _STATE, _RUNNING)
        self._memory.put_u32(thread + _PROCESSOR, processor)

    def wait(self, thread: int) -> None:
        """Its processor executes another one."""
        self._memory.put_u8(thread + _STATE, _WAITING)

    def terminate(self, thread: int) -> None:
        """KeTerminateThread: it runs no more, and the kernel's list of its process forgets it.

        :raises BugcheckRaised: a driver has broken the ring.
        """
        self._memory.put_u8(thread + _STATE, _TERMINATED)
        linkedlist.remove(self._memory, thread + _KERNEL_LINKS)

    def delete(self, thread: int) -> None:
        """PspThreadDelete: the last reference to a terminated thread is gone.

        :raises BugcheckRaised: a driver has broken the ring.
        """
        linkedlist.remove(self._memory, thread + _EXECUTIVE_LINKS)
        self._slots.free(thread)
