"""The kernel's lists in the virtual target's memory: loaded modules, processes, threads.

A debugger walks real structures: ``PsLoadedModuleList`` with its KLDR_DATA_TABLE_ENTRY entries and
``PsActiveProcessHead`` with EPROCESS and ETHREAD objects. They are written anew from the model whenever a
debugger looks; an object keeps its address for as long as it lives.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from harness.virtual.interfaces import ImageModule, KernelMemory
from harness.virtual.windows.layout import unicode_string
from harness.virtual.windows.symbols18362 import EPROCESS, ETHREAD, KLDR_DATA_TABLE_ENTRY

__all__ = [
    "READ_AHEAD",
    "ModuleList",
    "ObjectLists",
    "ProcessFacts",
    "SlotPool",
    "ThreadFacts",
]

READ_AHEAD = 128
"""DbgEng pads small reads to 128 bytes and takes a short read for a failure: so much follows everything."""

_T = TypeVar("_T")

_PAGE = 0x1000
_GROWTH = 0x10000
"""Slots are mapped this many bytes at a time."""
_PROCESS_OBJECT = 3
_THREAD_OBJECT = 6
"""KOBJECTS values for DISPATCHER_HEADER.Type."""
_NORMAL_PRIORITY = 8
_PRIORITY_CLASS_NORMAL = 2


class ThreadFacts(NamedTuple):
    """A thread as the model knows it."""

    address: int
    """Of its ETHREAD."""
    tid: int
    start_address: int
    create_time: int
    """FILETIME."""
    state: int
    """KTHREAD_STATE: 0 initialized, 1 ready, 2 running, 5 waiting."""
    cpu: int


class ProcessFacts(NamedTuple):
    """A process as the model knows it."""

    address: int
    """Of its EPROCESS."""
    pid: int
    parent_pid: int
    name: str
    create_time: int
    """FILETIME."""
    image_base: int
    threads: tuple[ThreadFacts, ...]


class SlotPool:
    """Slots of one size in consecutive pages, mapped as they are needed and reused when freed.

    :param size: bytes a slot; what is stored must leave :data:`READ_AHEAD` bytes of it unused.
    """

    def __init__(self, memory: KernelMemory, base: int, *, size: int) -> None:
        self._memory = memory
        self._base = base
        self._size = size
        self._mapped = base
        self._next = base
        self._free: list[int] = []
        self._used: dict[Hashable, int] = {}

    def address(self, key: Hashable) -> int:
        """The slot of ``key``, taken now if it has none."""
        slot = self._used.get(key)
        if slot is None:
            slot = self._used[key] = self._free.pop() if self._free else self._grow()
        return slot

    def find(self, key: Hashable) -> int | None:
        """The slot of ``key``, None if it has none."""
        return self._used.get(key)

    def keep(self, keys: Iterable[Hashable]) -> None:
        """Free the slots of all keys but these."""
        for gone in self._used.keys() - set(keys):
            self._free.append(self._used.pop(gone))

    def _grow(self) -> int:
        slot = self._next
        self._next += self._size
        needed = -(-self._next // _GROWTH) * _GROWTH
        if needed > self._mapped:
            self._memory.map(self._mapped, needed - self._mapped)
            self._mapped = needed
        return slot


class ModuleList:
    """PsLoadedModuleList.

    :param head: address of its LIST_ENTRY.
    :param pool_base: where the entries are put, page aligned.
    """

    SLOT = 0x800
    _BASE_NAME = 0x180
    _FULL_NAME = 0x3A0
    _MAX_NAME = 0x200

    def __init__(self, memory: KernelMemory, head: int, pool_base: int) -> None:
        self._memory = memory
        self._head = head
        self._slots = SlotPool(memory, pool_base, size=self.SLOT)

    def refresh(self, modules: Sequence[ImageModule]) -> None:
        """Write the list: ``modules`` in load order, the kernel first."""
        self._slots.keep((module.base, module.name) for module in modules)
        entries = [self._slots.address((module.base, module.name)) for module in modules]
        for module, entry, links in _linked(modules, entries, self._head):
            self._memory.write(entry, self._entry(module, entry, links))
        self._memory.write(self._head, _head_links(entries, self._head))

    def _entry(self, module: ImageModule, entry: int, links: tuple[int, int]) -> bytes:
        limit = self._MAX_NAME // 2 - 1
        base_characters, base_name = unicode_string(module.name[:limit], entry + self._BASE_NAME)
        full_characters, full_name = unicode_string(module.path[:limit], entry + self._FULL_NAME)
        slot = bytearray(self.SLOT)
        slot[: KLDR_DATA_TABLE_ENTRY.size] = KLDR_DATA_TABLE_ENTRY.pack(
            {
                "InLoadOrderLinks": links,
                "DllBase": module.base,
                "EntryPoint": module.entry_point,
                "SizeOfImage": module.size,
                "FullDllName": full_name,
                "BaseDllName": base_name,
                "LoadCount": 1,
                "CheckSum": module.checksum,
            }
        )
        slot[self._BASE_NAME : self._BASE_NAME + len(base_characters)] = base_characters
        slot[self._FULL_NAME : self._FULL_NAME + len(full_characters)] = full_characters
        return bytes(slot)


class ObjectLists:
    """PsActiveProcessHead and what hangs on it.

    :param head: address of the list head.
    :param directory_table_base: CR3 of every process (the target has one address space).
    """

    def __init__(self, memory: KernelMemory, head: int, *, directory_table_base: int) -> None:
        self._memory = memory
        self._head = head
        self._cr3 = directory_table_base

    def refresh(self, processes: Sequence[ProcessFacts]) -> None:
        """Write every object and link them: ``processes`` in order of creation. The idle process (PID 0) has
        objects and stands in no list, as in Windows."""
        listed = [process for process in processes if process.pid]
        links_at = EPROCESS.offset("ActiveProcessLinks")
        nodes = [process.address + links_at for process in listed]
        for process, _, links in _linked(listed, nodes, self._head):
            self._write_process(process, links)
        for process in processes:
            if not process.pid:
                self._write_process(process, (process.address + links_at,) * 2)
        self._memory.write(self._head, _head_links(nodes, self._head))

    def _write_process(self, process: ProcessFacts, links: tuple[int, int]) -> None:
        address, threads = process.address, process.threads

        def chain(head_field: str, entry_field: str) -> tuple[list[tuple[int, int]], tuple[int, int]]:
            head = address + EPROCESS.offset(head_field)
            nodes = [thread.address + ETHREAD.offset(entry_field) for thread in threads]
            inner = [between for _, _, between in _linked(threads, nodes, head)]
            return inner, (nodes[0], nodes[-1]) if nodes else (head, head)

        kernel_links, kernel_head = chain("Pcb.ThreadListHead", "Tcb.ThreadListEntry")
        executive_links, executive_head = chain("ThreadListHead", "ThreadListEntry")
        waiters = address + EPROCESS.offset("Header.WaitListHead")
        profile = address + EPROCESS.offset("ProfileListHead")
        image = EPROCESS.pack(
            {
                "Header.Type": _PROCESS_OBJECT,
                "Header.WaitListHead": (waiters, waiters),
                "ProfileListHead": (profile, profile),
                "DirectoryTableBase": self._cr3,
                "Pcb.ThreadListHead": kernel_head,
                "BasePriority": _NORMAL_PRIORITY,
                "UniqueProcessId": process.pid,
                "ActiveProcessLinks": links,
                "CreateTime": process.create_time,
                "SectionBaseAddress": process.image_base,
                "InheritedFromUniqueProcessId": process.parent_pid,
                "ImageFileName": process.name.encode("ascii", "replace")[:14],
                "PriorityClass": _PRIORITY_CLASS_NORMAL,
                "ThreadListHead": executive_head,
                "ActiveThreads": len(threads),
            }
        )
        self._write(address, image)
        for thread, kernel, executive in zip(threads, kernel_links, executive_links, strict=True):
            self._write_thread(process, thread, kernel, executive)

    def _write_thread(
        self,
        process: ProcessFacts,
        thread: ThreadFacts,
        kernel_links: tuple[int, int],
        executive_links: tuple[int, int],
    ) -> None:
        address = thread.address
        waiters = address + ETHREAD.offset("Header.WaitListHead")
        image = ETHREAD.pack(
            {
                "Header.Type": _THREAD_OBJECT,
                "Header.WaitListHead": (waiters, waiters),
                "ApcState.Process": process.address,
                "NextProcessor": thread.cpu,
                "State": thread.state,
                "Process": process.address,
                "Tcb.ThreadListEntry": kernel_links,
                "CreateTime": thread.create_time,
                "StartAddress": thread.start_address,
                "Win32StartAddress": thread.start_address,
                "Cid": (process.pid, thread.tid),
                "ThreadListEntry": executive_links,
            }
        )
        self._write(address, image)

    def _write(self, address: int, image: bytes) -> None:
        """Objects have a page each (:mod:`harness.virtual.nt.objects`), backed when first looked at."""
        if not self._memory.write(address, image):
            self._memory.map(address, _PAGE)
            self._memory.write(address, image)


def _head_links(nodes: Sequence[int], head: int) -> bytes:
    first, last = (nodes[0], nodes[-1]) if nodes else (head, head)
    return first.to_bytes(8, "little") + last.to_bytes(8, "little")


def _linked(
    items: Sequence[_T], nodes: Sequence[int], head: int
) -> Iterable[tuple[_T, int, tuple[int, int]]]:
    """Each item with its node's address and the (Flink, Blink) that tie it into the ring of ``head``."""
    ring = [head, *nodes, head]
    for index, item in enumerate(items, start=1):
        yield item, ring[index], (ring[index + 1], ring[index - 1])
