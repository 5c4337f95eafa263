"""KLDR_DATA_TABLE_ENTRY: the ring of PsLoadedModuleList, which DRIVER_OBJECT.DriverSection points into."""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.cpu.memory import Memory
from harness.virtual.interfaces import ImageModule
from harness.virtual.kernel.heap import KernelHeap
from harness.virtual.kernel.structures import linkedlist
from harness.virtual.windows.symbols18362 import KLDR_DATA_TABLE_ENTRY

__all__ = ["ENTRY_FLAGS", "INTEGRITY_FORCED", "LoadedModules"]

INTEGRITY_FORCED: Final = 0x20
"""Flag of an image that was linked with /INTEGRITYCHECK."""
ENTRY_FLAGS: Final = KLDR_DATA_TABLE_ENTRY.offset("Flags")
_ENTRY_PROCESSED: Final = 0x4000


class LoadedModules:
    """Writes every entry and its names, and links them in load order.

    :param head: address of PsLoadedModuleList.
    """

    def __init__(self, memory: Memory, heap: KernelHeap, head: int) -> None:
        self._memory = memory
        self._heap = heap
        self._head = head
        self._names: dict[int, tuple[int, int]] = {}
        self.images: dict[int, ImageModule] = {}
        """By the address of its entry, in load order."""
        linkedlist.initialize(memory, head)

    def add(self, module: ImageModule, *, timestamp: int, integrity_forced: bool = False) -> int:
        """The entry's address.

        :param timestamp: of the image's file header.
        """
        heap, memory = self._heap, self._memory
        full, base = heap.unicode_string(module.path), heap.unicode_string(module.name)
        entry = heap.put(
            KLDR_DATA_TABLE_ENTRY.pack(
                {
                    "DllBase": module.base,
                    "EntryPoint": module.entry_point,
                    "SizeOfImage": module.size,
                    "FullDllName": struct.unpack("<HHIQ", memory.load(full, 16)),
                    "BaseDllName": struct.unpack("<HHIQ", memory.load(base, 16)),
                    "Flags": _ENTRY_PROCESSED | (INTEGRITY_FORCED if integrity_forced else 0),
                    "LoadCount": 1,
                    "CheckSum": module.checksum,
                    "TimeDateStamp": timestamp,
                }
            )
        )
        self._names[entry] = (full, base)
        self.images[entry] = module
        linkedlist.insert_tail(memory, self._head, entry)
        return entry

    def remove(self, entry: int) -> None:
        """The image is unloaded.

        :raises BugcheckRaised: a driver has broken the ring.
        """
        linkedlist.remove(self._memory, entry)
        del self.images[entry]
        for block in (entry, *self._names.pop(entry)):
            self._heap.free(block)
