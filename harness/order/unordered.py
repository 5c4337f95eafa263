"""An order without what it says of events of which the recording does not tell when they came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from harness.order.promises import parts_of, patterns_to_come
from harness.scenario.model import (
    AnyOrder,
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

__all__ = ["cannot_be_placed", "why_unplaced", "without_order_of"]

Say: TypeAlias = Callable[[str, str, int, int], None]
"""Told what is not judged, why, the line, and how many promises it stands for."""
Parted: TypeAlias = tuple[Item | None, list[Item]]
"""What of an item keeps its place, None where nothing does, and what may come anywhere."""


def why_unplaced(kinds: frozenset[str]) -> str:
    """Why something about events of these kinds is not judged."""
    return f"the recording does not tell when an event of the kind {' or '.join(sorted(kinds))} came"


def cannot_be_placed(item: Item, kinds: frozenset[str]) -> bool:
    """Whether the item is a ``repeat`` of more than one event, some of these kinds, or a ``one_of`` with such
    a branch: which of them belong to which round nobody can tell."""
    match item:
        case Repeat():
            return _has(item, kinds) and len(list(patterns_to_come(item))) > 1
        case OneOf():
            return any(cannot_be_placed(part, kinds) for part in _all_parts(item))
        case _:
            return False


def without_order_of(order: Sequence, kinds: frozenset[str], say: Say) -> Sequence:
    """``order`` with the events of these kinds at any place: it asks for less, and for nothing else.

    They have to come, and all others in their order. Every ``next`` goes, for a record of such a kind may
    stand anywhere in between, and what a ``never`` says of such a kind; and where the order asks for some,
    everything that lies between neighbours goes (``never``, ``within``).

    :param order: nothing in it :func:`cannot_be_placed`.
    """
    if not kinds:
        return order
    why = why_unplaced(kinds)
    loosening = _Loosening(kinds, _has(order, kinds), lambda what, line, n=1: say(what, why, line, n))
    return replace(order, items=(loosening.together(order),))


def _all_parts(item: Item) -> list[Item]:
    return [each for part in parts_of(item) for each in (part, *_all_parts(part))]


def _has(item: Item, kinds: frozenset[str]) -> bool:
    return any(pattern.kind in kinds for pattern in patterns_to_come(item))


class _Loosening:
    """:param asked: the order asks for events of the kinds."""

    def __init__(self, kinds: frozenset[str], asked: bool, say: Callable[..., None]) -> None:
        self._kinds = kinds
        self._asked = asked
        self._say = say

    def together(self, item: Item) -> Item:
        """The item with what may come anywhere in it beside the rest of it."""
        stays, free = self._parted(item)
        branches = (*(() if stays is None else (stays,)), *free)
        return branches[0] if len(branches) == 1 else AnyOrder(branches, item.line)

    def _parted(self, item: Item) -> Parted:
        match item:
            case Pattern(kind=kind):
                if kind not in self._kinds:
                    return item, []
                self._say("order", item.line, 0)
                return None, [item]
            case Next(of=of):
                self._say("next", item.line)
                return self._parted(of)
            case Sequence(items=items) | AnyOrder(items=items):
                kept: list[Item] = []
                free: list[Item] = []
                for part in items:
                    if isinstance(part, Never | Within):
                        kept += self._gap(part)
                        continue
                    stays, out = self._parted(part)
                    free += out
                    if stays is not None:
                        kept.append(stays)
                return (replace(item, items=tuple(kept)) if kept else None), free
            case OneOf(items=items):
                loose: Item = replace(item, items=tuple(map(self.together, items)))
            case Optional(of=of) | Repeat(of=of):
                loose = replace(item, of=self.together(of))
            case _:
                raise AssertionError(f"{item} stands alone")
        return (None, [loose]) if _has(item, self._kinds) else (loose, [])

    def _gap(self, gap: Never | Within) -> list[Item]:
        """What of it is judged."""
        if isinstance(gap, Within):
            if not self._asked:
                return [gap]
            self._say("within", gap.line)
            return []
        judged = tuple(p for p in gap.patterns if not self._asked and p.kind not in self._kinds)
        if lost := len(gap.patterns) - len(judged):
            self._say("never", gap.line, lost)
        return [replace(gap, patterns=judged)] if judged else []
