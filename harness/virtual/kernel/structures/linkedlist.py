"""LIST_ENTRY rings in the target's memory, with the checks that Windows makes before it changes one.

The links in memory are the list: what a driver does to them is what the next change finds. A ring that is
broken ends as RtlpCheckListEntry ends it, with the fail-fast code for a corrupt list.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.cpu.memory import Memory
from harness.virtual.cpu.traps import BugcheckRaised, MemoryFault

__all__ = ["initialize", "insert_tail", "remove"]

_LINKS: Final = struct.Struct("<QQ")
"""Flink, Blink."""
_BLINK: Final = 8
_KERNEL_SECURITY_CHECK_FAILURE: Final = 0x139
_FAST_FAIL_CORRUPT_LIST_ENTRY: Final = 3


def initialize(memory: Memory, head: int) -> None:
    """InitializeListHead."""
    memory.store(head, _LINKS.pack(head, head))


def insert_tail(memory: Memory, head: int, entry: int) -> None:
    """InsertTailList.

    :raises BugcheckRaised: 0x139 when the ring is broken there.
    """
    try:
        last = memory.u64(head + _BLINK)
        if memory.u64(last) != head:
            raise _corrupt(head)
        memory.store(entry, _LINKS.pack(head, last))
        memory.put_u64(last, entry)
        memory.put_u64(head + _BLINK, entry)
    except MemoryFault:
        raise _corrupt(head) from None


def remove(memory: Memory, entry: int) -> None:
    """RemoveEntryList; ``entry`` keeps its own links, as in Windows.

    :raises BugcheckRaised: 0x139 when the ring is broken there.
    """
    try:
        following, previous = _LINKS.unpack(memory.load(entry, _LINKS.size))
        if memory.u64(following + _BLINK) != entry or memory.u64(previous) != entry:
            raise _corrupt(entry)
        memory.put_u64(previous, following)
        memory.put_u64(following + _BLINK, previous)
    except MemoryFault:
        raise _corrupt(entry) from None


def _corrupt(entry: int) -> BugcheckRaised:
    return BugcheckRaised(_KERNEL_SECURITY_CHECK_FAILURE, _FAST_FAIL_CORRUPT_LIST_ENTRY, 0, entry, 0)
