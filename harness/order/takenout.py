"""What is taken out of an expectation, and what is left of its order then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.scenario.model import (
    AnyOrder,
    Constraint,
    Item,
    Never,
    Next,
    OneOf,
    Optional,
    Pattern,
    Repeat,
    Sequence,
    Within,
)

__all__ = ["TakenOut"]


class TakenOut:
    """Items and patterns by their identity, which the expectation keeps alive, and fields of patterns."""

    def __init__(self) -> None:
        self._items: set[int] = set()
        self._fields: set[tuple[int, str]] = set()

    def __contains__(self, item: Item) -> bool:
        return id(item) in self._items

    def add(self, item: Item) -> None:
        """Take an item out; of ``next`` only itself, not what comes next."""
        self._items.add(id(item))

    def drop(self, pattern: Pattern, field: str) -> None:
        """Ask for a field no more."""
        self._fields.add((id(pattern), field))

    def fields_of(self, pattern: Pattern) -> Iterator[tuple[str, Constraint]]:
        """What a pattern still asks for."""
        return (each for each in pattern.fields if (id(pattern), each[0]) not in self._fields)

    def left_of(self, item: Item) -> Item | None:
        """What is left of an item of an order; None where nothing is."""
        match item:
            case Next(of=of):
                inner = self.left_of(of)
                return inner if inner is None or item in self else replace(item, of=inner)
            case _ if item in self:
                return None
            case Pattern():
                fields = tuple(self.fields_of(item))
                return item if len(fields) == len(item.fields) else replace(item, fields=fields)
            case Within():
                return item
            case Never(patterns=patterns):
                kept = tuple(pattern for pattern in patterns if pattern not in self)
                return replace(item, patterns=kept) if kept else None
            case Sequence(items=items) | AnyOrder(items=items) | OneOf(items=items):
                left = tuple(part for part in map(self.left_of, items) if part is not None)
                comes = any(not isinstance(part, Never | Within) for part in left)
                return replace(item, items=left) if comes else None
            case Optional(of=of) | Repeat(of=of):
                inner = self.left_of(of)
                return None if inner is None else replace(item, of=inner)
