"""The order of an expectation as frozen operations, ready for the search.

A gap (``next``, ``never``, ``within``) belongs to the item that follows it; a ``never`` at the end of the
outermost list belongs to the end of the trace. Operations compare by identity: each stands for one place in
the scenario file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.order.patterns import Bindings, CompiledPattern
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
    round_key,
)

__all__ = [
    "NO_GAP",
    "AllOp",
    "ChoiceOp",
    "Compiler",
    "Element",
    "Gap",
    "ListOp",
    "Op",
    "PatternOp",
    "RepeatOp",
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

    @property
    def names(self) -> frozenset[str]:
        """The free variables that its ``never`` mentions."""
        return _names(pattern.names for pattern in self.never)


NO_GAP = Gap()


def _names(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)


@dataclass(frozen=True, eq=False)
class PatternOp:
    pattern: CompiledPattern

    @property
    def names(self) -> frozenset[str]:
        """The free variables that it mentions."""
        return self.pattern.names

    loose = True
    """Whether it may begin at any later event: no gap, limit or ``next`` is at its beginning."""
    may_be_missing = False


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
    last_use: dict[str, int] = field(init=False)
    """Free variable → the last element that mentions it; of ``after``: the number of elements."""
    loose_from: tuple[bool, ...] = field(init=False)
    """For each place, and the end: whether every beginning of the list from there on is loose."""
    missing_from: tuple[bool, ...] = field(init=False)
    """For each place, and the end: whether all from there on may be missing."""

    def __post_init__(self) -> None:
        uses: dict[str, int] = {}
        for place, element in enumerate(self.elements):
            uses.update(dict.fromkeys(element.gap.names | element.op.names, place))
        uses.update(dict.fromkeys(_names(p.names for p in self.after), len(self.elements)))
        loose, missing = [not self.after], [True]
        for element in reversed(self.elements):
            may_be_missing = element.op.may_be_missing
            begins = element.gap == NO_GAP and element.op.loose
            loose.append(begins and (loose[-1] or not may_be_missing))
            missing.append(may_be_missing and missing[-1])
        object.__setattr__(self, "last_use", uses)
        object.__setattr__(self, "loose_from", tuple(reversed(loose)))
        object.__setattr__(self, "missing_from", tuple(reversed(missing)))

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.last_use)

    @property
    def loose(self) -> bool:
        return self.loose_from[0]

    @property
    def may_be_missing(self) -> bool:
        return self.missing_from[0]


@dataclass(frozen=True, eq=False)
class AllOp:
    """``any_order``"""

    branches: tuple[Op, ...]
    names: frozenset[str] = field(init=False)
    loose: bool = field(init=False)
    may_be_missing: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", _names(branch.names for branch in self.branches))
        object.__setattr__(self, "loose", all(branch.loose for branch in self.branches))
        object.__setattr__(self, "may_be_missing", all(branch.may_be_missing for branch in self.branches))


@dataclass(frozen=True, eq=False)
class ChoiceOp:
    """``one_of`` and ``optional``"""

    branches: tuple[Op, ...]
    optional: bool
    names: frozenset[str] = field(init=False)
    loose: bool = field(init=False)
    may_be_missing: bool = field(init=False)

    def __post_init__(self) -> None:
        missing = self.optional or any(branch.may_be_missing for branch in self.branches)
        object.__setattr__(self, "names", _names(branch.names for branch in self.branches))
        object.__setattr__(self, "loose", all(branch.loose for branch in self.branches))
        object.__setattr__(self, "may_be_missing", missing)


@dataclass(frozen=True, eq=False)
class RepeatOp:
    body: ListOp
    minimum: int
    maximum: int | None
    local: frozenset[str]
    """Variables that each round binds anew."""
    given: tuple[Bindings, ...] = ()
    """For each round from the first, what the steps bound for it."""

    @property
    def counted(self) -> int:
        """The rounds beyond this number differ in nothing but how many may still follow."""
        return max(self.minimum, len(self.given))

    @property
    def names(self) -> frozenset[str]:
        return self.body.names - self.local

    @property
    def loose(self) -> bool:
        return self.body.loose

    @property
    def may_be_missing(self) -> bool:
        return self.minimum == 0 or self.body.may_be_missing


Op: TypeAlias = PatternOp | ListOp | AllOp | ChoiceOp | RepeatOp


class Compiler:
    """Turns the items of an expectation into operations.

    :param compiled: readies a pattern for an event that must come.
    :param forbidden: readies one of a ``never``.
    :param local: the variables that a repeat binds anew in each round.
    :param constants: what the steps bound.
    """

    def __init__(
        self,
        compiled: Callable[[Pattern], CompiledPattern],
        forbidden: Callable[[Pattern], CompiledPattern],
        local: Callable[[Repeat], frozenset[str]],
        constants: Bindings,
    ) -> None:
        self._compiled = compiled
        self._forbidden = forbidden
        self._local = local
        self._constants = constants

    def list(self, items: tuple[Item, ...]) -> ListOp:
        """The operation for a list."""
        elements = []
        gap = NO_GAP
        for item in items:
            match item:
                case Never(patterns=patterns):
                    gap = gap.joined(Gap(never=tuple(map(self._forbidden, patterns))))
                case Within(limit=limit):
                    gap = gap.joined(Gap(within=limit))
                case Next(of=of):
                    elements.append(Element(gap.joined(Gap(adjacent=True)), self._operation(of)))
                    gap = NO_GAP
                case _:
                    elements.append(Element(gap, self._operation(item)))
                    gap = NO_GAP
        return ListOp(tuple(elements), gap.never)

    def _operation(self, item: Item) -> Op:
        """The operation for one item that is no gap."""
        match item:
            case Pattern():
                return PatternOp(self._compiled(item))
            case Sequence(items=items):
                return self.list(items)
            case AnyOrder(items=items):
                return AllOp(tuple(map(self._operation, items)))
            case OneOf(items=items):
                return ChoiceOp(tuple(map(self._operation, items)), False)
            case Optional(of=of):
                return ChoiceOp((self._operation(of),), True)
            case Repeat(of=of, minimum=minimum, maximum=maximum):
                body = self.list(of.items if isinstance(of, Sequence) else (of,))
                local = self._local(item)
                return RepeatOp(body, minimum, maximum, local, self._given(local))
            case _:
                raise TypeError(f"a gap is no operation: {item!r}")

    def _given(self, local: frozenset[str]) -> tuple[Bindings, ...]:
        """What the steps bound for each round of a repeat, from the first."""
        rounds: list[Bindings] = []
        while found := {
            name: self._constants[key]
            for name in local
            if (key := round_key(name, len(rounds) + 1)) in self._constants
        }:
            rounds.append(found)
        return tuple(rounds)
