"""EPROCESS: the objects behind PsInitialSystemProcess, PsGetCurrentProcess and PsActiveProcessHead."""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.memory import Memory
from harness.virtual.cpu.registers import SYSTEM_REGISTERS
from harness.virtual.kernel.structures import linkedlist
from harness.virtual.kernel.structures.slots import EPROCESS_REGION, ObjectSlots
from harness.virtual.windows.symbols18362 import EPROCESS

__all__ = ["IMAGE_FILE_NAME_SIZE", "Eprocess"]

IMAGE_FILE_NAME_SIZE: Final = 15
"""EPROCESS.ImageFileName, its NUL included."""
_PROCESS_OBJECT: Final = 3
"""KOBJECTS value for DISPATCHER_HEADER.Type."""
_NORMAL_PRIORITY: Final = 8
_PRIORITY_CLASS_NORMAL: Final = 2

_TEMPLATE: Final = EPROCESS.pack(
    {
        "Header.Type": _PROCESS_OBJECT,
        "DirectoryTableBase": SYSTEM_REGISTERS["cr3"],
        "BasePriority": _NORMAL_PRIORITY,
        "PriorityClass": _PRIORITY_CLASS_NORMAL,
    }
)
_PID: Final = EPROCESS.offset("UniqueProcessId")
_LINKS: Final = EPROCESS.offset("ActiveProcessLinks")
_LIST_HEADS: Final = tuple(
    EPROCESS.offset(field)
    for field in ("Header.WaitListHead", "ProfileListHead", "Pcb.ThreadListHead", "ThreadListHead")
)
_PARENT: Final = EPROCESS.offset("InheritedFromUniqueProcessId")
_CREATE_TIME: Final = EPROCESS.offset("CreateTime")
_IMAGE_BASE: Final = EPROCESS.offset("SectionBaseAddress")
_PEB: Final = EPROCESS.offset("Peb")
_WOW64_PROCESS: Final = EPROCESS.offset("WoW64Process")
_NAME: Final = EPROCESS.offset("ImageFileName")
_THREADS: Final = EPROCESS.offset("ActiveThreads")


class Eprocess:
    """Writes every EPROCESS and the ring of PsActiveProcessHead. A process is its EPROCESS's address here.

    :param head: address of PsActiveProcessHead.
    """

    def __init__(self, memory: Memory, head: int) -> None:
        self._memory = memory
        self._head = head
        self._slots = ObjectSlots(memory, EPROCESS_REGION)
        linkedlist.initialize(memory, head)

    def create(self, pid: int, *, listed: bool = True) -> int:
        """A process without threads, last of the active ones.

        :param listed: False for the idle process, which stands in no list.
        """
        address = self._slots.allocate()
        self._memory.store(address, _TEMPLATE)
        self._memory.put_u64(address + _PID, pid)
        for offset in _LIST_HEADS:
            linkedlist.initialize(self._memory, address + offset)
        if listed:
            linkedlist.insert_tail(self._memory, self._head, address + _LINKS)
        return address

    def set_origin(self, process: int, parent_pid: int, create_time: int) -> None:
        """Who created it, and when (FILETIME)."""
        self._memory.put_u64(process + _PARENT, parent_pid)
        self._memory.put_u64(process + _CREATE_TIME, create_time)

    def set_name(self, process: int, name: str) -> None:
        """Base name of the executable: 14 characters at most are kept."""
        raw = name.encode("ascii", "replace")[: IMAGE_FILE_NAME_SIZE - 1].ljust(IMAGE_FILE_NAME_SIZE, b"\0")
        self._memory.store(process + _NAME, raw)

    def set_image_base(self, process: int, base: int) -> None:
        """Where its executable is mapped."""
        self._memory.put_u64(process + _IMAGE_BASE, base)

    def set_user_blocks(self, process: int, peb: int, wow64_process: int) -> None:
        """Its PEB, and its EWOW64PROCESS."""
        self._memory.put_u64(process + _PEB, peb)
        self._memory.put_u64(process + _WOW64_PROCESS, wow64_process)

    def set_active_threads(self, process: int, count: int) -> None:
        """So many of its threads have not exited."""
        self._memory.put_u32(process + _THREADS, count)

    def delete(self, process: int) -> None:
        """PspProcessDelete: the last reference is gone.

        :raises BugcheckRaised: a driver has broken the ring.
        """
        linkedlist.remove(self._memory, process + _LINKS)
        self._slots.free(process)
