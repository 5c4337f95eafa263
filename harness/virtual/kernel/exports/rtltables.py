"""Generic tables, splayed and balanced: elements that a driver's routine compares, allocates and frees.

How the trees lie in memory is nobody's to know but these routines', so there is none: a table's order is kept
beside it. Sources: Microsoft, *RtlInitializeGenericTable*, *RtlInsertElementGenericTable*,
*RtlEnumerateGenericTableWithoutSplaying* and their relatives with Avl (ntddk.h).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from harness.virtual.cpu.traps import Continued
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.generictables import GenericTable
from harness.virtual.kernel.system import System

__all__: list[str] = []

_LESS, _GREATER = 0, 1
"""GenericLessThan, GenericGreaterThan; GenericEqual is what remains."""
_WHAT: Final = "a generic table's routine"


class _Layout(NamedTuple):
    """Of a table and its elements."""

    suffix: str
    size: int
    elements: int
    """Offset of NumberGenericTableElements."""
    routines: int
    """Offset of CompareRoutine; AllocateRoutine, FreeRoutine and TableContext follow."""
    header: int
    """Bytes before an element's data."""
    by_insertion: bool
    """RtlGetElementGenericTable counts in the order of insertion."""


_SPLAY: Final = _Layout("", 0x48, 0x24, 0x28, 0x28, by_insertion=True)
_AVL: Final = _Layout("Avl", 0x68, 0x2C, 0x48, 0x20, by_insertion=False)


def _table(system: System, table: int) -> GenericTable:
    return system.generic_tables.setdefault(table, GenericTable())


def _call(system: System, routine_at: int, *arguments: int) -> Program[int]:
    assert system.current is not None
    context, irql = system.current.context, system.cpu.irql
    return (yield from system.enter(system.memory.u64(routine_at), arguments, context, irql, what=_WHAT))


def _search(system: System, layout: _Layout, table: int, buffer: int) -> Program[tuple[int, bool]]:
    """Where in the order the element is, or would be, and whether it is there."""
    ordered = _table(system, table).ordered
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        element = ordered[middle] + layout.header
        how = yield from _call(system, table + layout.routines, table, buffer, element)
        if how & 0xFFFF_FFFF == _LESS:
            high = middle
        elif how & 0xFFFF_FFFF == _GREATER:
            low = middle + 1
        else:
            return middle, True
    return low, False


def _insert(system: System, layout: _Layout, table: int, buffer: int, size: int, new_at: int) -> Program[int]:
    place, there = yield from _search(system, layout, table, buffer)
    known = _table(system, table)
    element = known.ordered[place] if there else 0
    if not there:
        allocate = table + layout.routines + 8
        element = yield from _call(system, allocate, table, size + layout.header)
        if element:
            data = system.memory.load(buffer, size)
            system.memory.store(element, bytes(layout.header) + data)
            known.ordered.insert(place, element)
            known.inserted.append(element)
            known.next += place < known.next
            system.memory.put_u32(table + layout.elements, len(known.ordered))
    if new_at:
        system.memory.put_u8(new_at, int(bool(element) and not there))
    return element + layout.header if element else 0


def _delete(system: System, layout: _Layout, table: int, buffer: int) -> Program[int]:
    place, there = yield from _search(system, layout, table, buffer)
    if not there:
        return 0
    known = _table(system, table)
    element = known.ordered.pop(place)
    known.inserted.remove(element)
    known.next -= place < known.next
    system.memory.put_u32(table + layout.elements, len(known.ordered))
    yield from _call(system, table + layout.routines + 16, table, element)
    return 1


def _lookup(system: System, layout: _Layout, table: int, buffer: int) -> Program[int]:
    place, there = yield from _search(system, layout, table, buffer)
    return _table(system, table).ordered[place] + layout.header if there else 0


def _declare(layout: _Layout) -> None:
    """The routines of one kind of table."""

    def named(name: str, arguments: int) -> Callable[[Callable[..., int | None]], object]:
        return export(f"Rtl{name}GenericTable{layout.suffix}", arguments)

    @named("Initialize", 5)
    def initialize(system: System, table: int, compare: int, allocate: int, free: int, context: int) -> None:
        routines = struct.pack("<4Q", compare, allocate, free, context)
        system.memory.store(table, bytes(layout.size))
        system.memory.store(table + layout.routines, routines)
        system.generic_tables[table] = GenericTable()

    @named("InsertElement", 4)
    def insert(system: System, table: int, buffer: int, size: int, new_at: int) -> int:
        raise Continued(_insert(system, layout, table, buffer, size & 0xFFFF_FFFF, new_at))

    @named("DeleteElement", 2)
    def delete(system: System, table: int, buffer: int) -> int:
        raise Continued(_delete(system, layout, table, buffer))

    @named("LookupElement", 2)
    def lookup(system: System, table: int, buffer: int) -> int:
        raise Continued(_lookup(system, layout, table, buffer))

    @named("GetElement", 2)
    def get(system: System, table: int, index: int) -> int:
        known, index = _table(system, table), index & 0xFFFF_FFFF
        elements = known.inserted if layout.by_insertion else known.ordered
        return elements[index] + layout.header if index < len(elements) else 0

    @named("Enumerate", 2)
    def enumerate_all(system: System, table: int, restart: int) -> int:
        known = _table(system, table)
        known.next = 0 if restart & 0xFF else known.next
        if known.next >= len(known.ordered):
            return 0
        known.next += 1
        return known.ordered[known.next - 1] + layout.header

    @export(f"RtlEnumerateGenericTableWithoutSplaying{layout.suffix}", 2)
    def enumerate_from(system: System, table: int, restart_at: int) -> int:
        ordered, last = _table(system, table).ordered, system.memory.u64(restart_at)
        place = ordered.index(last) + 1 if last in ordered else 0
        if place >= len(ordered) or (last and last not in ordered):
            return 0
        system.memory.put_u64(restart_at, ordered[place])
        return ordered[place] + layout.header

    @export(f"RtlNumberGenericTableElements{layout.suffix}", 1)
    def number(system: System, table: int) -> int:
        return len(_table(system, table).ordered)

    @export(f"RtlIsGenericTableEmpty{layout.suffix}", 1)
    def is_empty(system: System, table: int) -> int:
        return int(not _table(system, table).ordered)


_declare(_SPLAY)
_declare(_AVL)
