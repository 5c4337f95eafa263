"""An index from an event to the patterns that it may fit, whose cost does not grow with their number.

Entries are grouped by kind and by which fields the pattern compares with exactly one value, a constant or a
variable that is bound. One look into a table a group finds all entries of it that an event may fit. What is
found may still not fit: globs, lists of values and negations are not indexed. What is not found never fits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from operator import attrgetter
from typing import Any, Generic, TypeAlias, TypeVar

from harness.events import Event
from harness.order.patterns import LAST_COMPONENT, Bindings, CompiledPattern, Value, field_of, folded
from harness.scenario.fields import all_fields

__all__ = ["PatternIndex"]

Entry = TypeVar("Entry", bound=Hashable)
_Keys: TypeAlias = tuple[str, ...]
_Table: TypeAlias = dict[Any, dict[Entry, None]]

_FOLDED = frozenset(name for name, kind in all_fields().items() if kind is not int)
"""Fields that an index keeps otherwise than an event does: texts without letter case, truth values."""


class PatternIndex(Generic[Entry]):
    """Entries, each under patterns with bindings; finds those whose pattern an event may fit."""

    def __init__(self) -> None:
        self._tables: dict[type[Event], dict[_Keys, tuple[Callable[[Event], Any], _Table[Entry]]]] = {}

    def add(self, pattern: CompiledPattern, bindings: Bindings, entry: Entry) -> None:
        """Keep ``entry`` for events that may fit ``pattern`` under ``bindings``."""
        keys, values = _exact(pattern, bindings)
        for kind in pattern.types:
            groups = self._tables.setdefault(kind, {})
            if keys not in groups:
                groups[keys] = (_reader(kind, keys), {})
            groups[keys][1].setdefault(values, {})[entry] = None

    def remove(self, pattern: CompiledPattern, bindings: Bindings, entry: Entry) -> None:
        """Forget what :meth:`add` kept for the same arguments, if it still does."""
        keys, values = _exact(pattern, bindings)
        for kind in pattern.types:
            groups = self._tables.get(kind, {})
            if keys not in groups:
                continue
            table = groups[keys][1]
            entries = table.get(values, {})
            entries.pop(entry, None)
            if not entries:
                table.pop(values, None)
            if not table:
                del groups[keys]
            if not groups:
                del self._tables[kind]

    def find(self, event: Event) -> list[Entry]:
        """The entries whose pattern ``event`` may fit; one that was added twice may be there twice."""
        groups = self._tables.get(type(event))
        if groups is None:
            return []
        found: list[Entry] = []
        for read, table in groups.values():
            entries = table.get(read(event))
            if entries is not None:
                found += entries
        return found


def _exact(pattern: CompiledPattern, bindings: Bindings) -> tuple[_Keys, Hashable]:
    """The keys and values that an event must have to fit."""
    known = list(pattern.exact)
    if pattern.variables and bindings:
        known += [(field, folded(bindings[name])) for field, name in pattern.variables if name in bindings]
    values = tuple(value for _, value in known)
    return tuple(key for key, _ in known), values[0] if len(values) == 1 else values


def _reader(kind: type[Event], keys: _Keys) -> Callable[[Event], Any]:
    """What an event of ``kind`` has under ``keys``: a value for one key, else a tuple of values."""
    if not keys:
        return lambda event: ()
    if all(_is_plain(kind, key) for key in keys):
        return attrgetter(*keys)
    if len(keys) == 1:
        (key,) = keys
        return lambda event: _value(event, key)
    return lambda event: tuple(_value(event, key) for key in keys)


def _is_plain(kind: type[Event], key: str) -> bool:
    """Does the event carry the value as the index keeps it?"""
    return key in kind.__struct_fields__ and key not in _FOLDED


def _value(event: Event, key: str) -> Value:
    if key == LAST_COMPONENT:
        image = field_of(event, "image")
        return image.rpartition("\\")[2].casefold() if isinstance(image, str) else image
    return folded(field_of(event, key))
