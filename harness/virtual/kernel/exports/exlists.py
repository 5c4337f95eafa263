"""Interlocked lists and values.

Sources: Microsoft, *ExInterlockedInsertHeadList* and its relatives, *ExpInterlockedPopEntrySList*
(wdm.h). The layout of an x64 SLIST_HEADER: depth and sequence in the first word, the first entry above
the low four bits of the second.
"""

from __future__ import annotations

from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System

__all__: list[str] = []

_DEPTH = 0xFFFF


@export("ExInterlockedInsertHeadList", 3)
def ex_interlocked_insert_head_list(system: System, head: int, entry: int, _lock: int) -> int:
    memory = system.memory
    first = memory.u64(head)
    memory.put_u64(entry, first)
    memory.put_u64(entry + 8, head)
    memory.put_u64(first + 8, entry)
    memory.put_u64(head, entry)
    return 0 if first == head else first


@export("ExInterlockedInsertTailList", 3)
def ex_interlocked_insert_tail_list(system: System, head: int, entry: int, _lock: int) -> int:
    memory = system.memory
    last = memory.u64(head + 8)
    memory.put_u64(entry, head)
    memory.put_u64(entry + 8, last)
    memory.put_u64(last, entry)
    memory.put_u64(head + 8, entry)
    return 0 if last == head else last


@export("ExInterlockedRemoveHeadList", 2)
def ex_interlocked_remove_head_list(system: System, head: int, _lock: int) -> int:
    memory = system.memory
    first = memory.u64(head)
    if first == head:
        return 0
    following = memory.u64(first)
    memory.put_u64(head, following)
    memory.put_u64(following + 8, head)
    return first


@export("ExInterlockedPushEntryList", 3)
def ex_interlocked_push_entry_list(system: System, head: int, entry: int, _lock: int) -> int:
    first = system.memory.u64(head)
    system.memory.put_u64(entry, first)
    system.memory.put_u64(head, entry)
    return first


@export("ExInterlockedPopEntryList", 2)
def ex_interlocked_pop_entry_list(system: System, head: int, _lock: int) -> int:
    first = system.memory.u64(head)
    if first:
        system.memory.put_u64(head, system.memory.u64(first))
    return first


@export("ExInterlockedAddLargeInteger", 3)
def ex_interlocked_add_large_integer(system: System, addend: int, increment: int, _lock: int) -> int:
    old = system.memory.u64(addend)
    system.memory.put_u64(addend, old + increment)
    return old


@export("ExInterlockedAddUlong", 3)
def ex_interlocked_add_ulong(system: System, addend: int, increment: int, _lock: int) -> int:
    old = system.memory.u32(addend)
    system.memory.put_u32(addend, old + increment)
    return old


def _set_slist(system: System, head: int, first: int, change: int) -> None:
    word = system.memory.u64(head)
    depth = (word + change) & _DEPTH
    sequence = (word >> 16) + 1
    system.memory.put_u64(head, sequence << 16 | depth)
    system.memory.put_u64(head + 8, first)


@export("InitializeSListHead", "RtlInitializeSListHead", "ExInitializeSListHead", 1)
def initialize_slist_head(system: System, head: int) -> None:
    system.memory.store(head, bytes(16))


@export("ExpInterlockedPushEntrySList", "InterlockedPushEntrySList", 2)
def interlocked_push_entry_slist(system: System, head: int, entry: int) -> int:
    first = system.memory.u64(head + 8) & ~0xF
    system.memory.put_u64(entry, first)
    _set_slist(system, head, entry, +1)
    return first


@export("ExpInterlockedPopEntrySList", "InterlockedPopEntrySList", 1)
def interlocked_pop_entry_slist(system: System, head: int) -> int:
    first = system.memory.u64(head + 8) & ~0xF
    if first:
        _set_slist(system, head, system.memory.u64(first), -1)
    return first


@export("ExpInterlockedFlushSList", "InterlockedFlushSList", 1)
def interlocked_flush_slist(system: System, head: int) -> int:
    first = system.memory.u64(head + 8) & ~0xF
    depth = system.memory.u64(head) & _DEPTH
    _set_slist(system, head, 0, -depth)
    return first


@export("ExQueryDepthSList", 1)
def ex_query_depth_slist(system: System, head: int) -> int:
    return system.memory.u64(head) & _DEPTH
