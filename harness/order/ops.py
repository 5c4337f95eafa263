"""The order of an expectation as frozen operations, ready for the search.

A gap (``next``, ``never``, ``within``) belongs to the item that follows it; a ``never`` at the end of the
outermost list belongs to the end of the trace. Operations compare by identity: each stands for one place in
the scenario file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from harness.order.patterns import CompiledPattern
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

__all__ = [
    "NO_GAP",
    "AllOp",
    "ChoiceOp",
    "Element",
    "Gap",
    "ListOp",
    "Op",
    "PatternOp",
    "RepeatOp",
    "compile_list",
]


@dataclass(frozen=True)
class Gap:
    """What must hold between an item and the one before it."""

    never: tuple[CompiledPattern, ...] = ()
    within: int | None = None
    """100 ns units."""
    adjacent: bool = False
    """The item begins at the very next event in scope."""

    def joined(self, other: Gap) -> Gap:
        """Both; for an item whose predecessor turned out to be missing."""
        limits = [limit for limit in (self.within, other.within) if limit is not None]
        return Gap(self.never + other.never, min(limits, default=None), self.adjacent or other.adjacent)


NO_GAP = Gap()


@dataclass(frozen=True, eq=False)
class PatternOp:
    pattern: CompiledPattern


@dataclass(frozen=True, eq=False)
class Element:
    """One item of a list and the gap before it."""

    gap: Gap
    op: Op


@dataclass(frozen=True, eq=False)
class ListOp:
    elements: tuple[Element, ...]
    after: tuple[CompiledPattern, ...]
    """Forbidden between the last item and the end of the trace."""


@dataclass(frozen=True, eq=False)
class AllOp:
    """``any_order``"""

    branches: tuple[Op, ...]


@dataclass(frozen=True, eq=False)
class ChoiceOp:
    """``one_of`` and ``optional``"""

    branches: tuple[Op, ...]
    may_be_missing: bool


@dataclass(frozen=True, eq=False)
class RepeatOp:
    body: ListOp
    minimum: int
    maximum: int | None
    local: frozenset[str]
    """Variables that each round binds anew."""


Op: TypeAlias = PatternOp | ListOp | AllOp | ChoiceOp | RepeatOp


def _operation(
    item: Item,
    compiled: Callable[[Pattern], CompiledPattern],
    local: Callable[[Repeat], frozenset[str]],
) -> Op:
    """The operation for one item that is no gap."""
    match item:
        case Pattern():
            return PatternOp(compiled(item))
        case Sequence(items=items):
            return compile_list(items, compiled, local)
        case AnyOrder(items=items):
            return AllOp(tuple(_operation(inner, compiled, local) for inner in items))
        case OneOf(items=items):
            return ChoiceOp(tuple(_operation(inner, compiled, local) for inner in items), False)
        case Optional(of=of):
            return ChoiceOp((_operation(of, compiled, local),), True)
        case Repeat(of=of, minimum=minimum, maximum=maximum):
            body = of.items if isinstance(of, Sequence) else (of,)
            return RepeatOp(compile_list(body, compiled, local), minimum, maximum, local(item))
        case _:
            raise TypeError(f"a gap is no operation: {item!r}")


def compile_list(
    items: tuple[Item, ...],
    compiled: Callable[[Pattern], CompiledPattern],
    local: Callable[[Repeat], frozenset[str]],
) -> ListOp:
    """The operation for a list.

    :param compiled: readies a pattern.
    :param local: the variables that a repeat binds anew in each round.
    """
    elements = []
    gap = NO_GAP
    for item in items:
        match item:
            case Never(patterns=patterns):
                gap = gap.joined(Gap(never=tuple(map(compiled, patterns))))
            case Within(limit=limit):
                gap = gap.joined(Gap(within=limit))
            case Next(of=of):
                elements.append(Element(gap.joined(Gap(adjacent=True)), _operation(of, compiled, local)))
                gap = NO_GAP
            case _:
                elements.append(Element(gap, _operation(item, compiled, local)))
                gap = NO_GAP
    return ListOp(tuple(elements), gap.never)
