"""An order without what it says of two neighbours of which the recording does not tell which came first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from harness.order.promises import patterns_to_come
from harness.scenario.model import (
    AnyOrder,
    Item,
    Never,
    Next,
    OneOf,
    Optional,
    Repeat,
    Sequence,
    Within,
)

__all__ = ["without_order_among"]

Say: TypeAlias = Callable[[str, str, int, int], None]
"""Told what is not judged, why, the line, and how many promises it stands for."""


def without_order_among(order: Sequence, kinds: frozenset[str], say: Say) -> Sequence:
    """``order`` with neighbours of these kinds in any order: it asks for less, and for nothing else.

    What stands before all of them still does, and so does what stands behind. What lies between two of them
    (``next``, ``never``, ``within``) goes.
    """
    if not kinds:
        return order
    why = f"the recording does not tell which of two {' or '.join(sorted(kinds))} events came first"
    merging = _Merging(kinds, lambda what, line, promises: say(what, why, line, promises))
    return replace(order, items=merging.merged(tuple(map(merging.inside, order.items))))


class _Merging:
    def __init__(self, kinds: frozenset[str], say: Callable[[str, int, int], None]) -> None:
        self._kinds = kinds
        self._say = say

    def inside(self, item: Item) -> Item:
        """The item with the lists in it merged."""
        match item:
            case Sequence(items=items):
                return replace(item, items=self.merged(tuple(map(self.inside, items))))
            case AnyOrder(items=items) | OneOf(items=items):
                return replace(item, items=tuple(map(self.inside, items)))
            case Next(of=of) | Optional(of=of) | Repeat(of=of):
                return replace(item, of=self.inside(of))
            case _:
                return item

    def merged(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        """The items of a list, neighbours of the kinds as one."""
        done: list[Item] = []
        group: list[Item] = []
        gaps: list[Item] = []
        for item in items:
            if isinstance(item, Never | Within):
                gaps.append(item)
            elif not all(pattern.kind in self._kinds for pattern in patterns_to_come(item)):
                done += [*_one(group), *gaps, item]
                group, gaps = [], []
            elif not group:
                done += gaps
                group, gaps = [item], []
            else:
                self._drop(gaps)
                gaps = []
                self._say("order", item.line, 0)
                group = [*(group if len(group) > 1 else map(self._loose, group)), self._loose(item)]
        return (*done, *_one(group), *gaps)

    def _drop(self, gaps: list[Item]) -> None:
        for gap in gaps:
            promises = len(gap.patterns) if isinstance(gap, Never) else 1
            self._say(type(gap).__name__.lower(), gap.line, promises)

    def _loose(self, item: Item) -> Item:
        """Without the ``next`` around it: nobody knows what came next."""
        if not isinstance(item, Next):
            return item
        self._say("next", item.line, 1)
        return item.of


def _one(group: list[Item]) -> list[Item]:
    """A group as the item that it is."""
    if len(group) < 2:
        return group
    branches: list[Item] = []
    for item in group:
        branches += item.items if isinstance(item, AnyOrder) else [item]
    return [AnyOrder(tuple(branches), group[0].line)]
