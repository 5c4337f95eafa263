"""The search: does an assignment of distinct events to patterns exist that keeps the order?

Every way in which the events so far can stand for the patterns so far is followed at once, one event at a
time; ways that are alike in what is left to do and in what is bound are one. So the search is complete, it
reads the trace once, and what it keeps does not grow with the trace's length but with its ambiguity, which
has a limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from harness.errors import SearchBudgetError
from harness.events import Event
from harness.order.ops import AllOp, ChoiceOp, ListOp, PatternOp, RepeatOp
from harness.order.patterns import Bindings, CompiledPattern
from harness.order.screen import screens_of
from harness.order.terms import Done, Term, begin, claims, heads, is_guarded, is_strict, passes

__all__ = ["MAX_WAYS", "Assigned", "Block", "Search", "Standing"]

MAX_WAYS = 20_000
"""Ways followed at once; a trace that needs more is too ambiguous to be judged."""

_Path: TypeAlias = "tuple[_Path, CompiledPattern, int] | None"


@dataclass(frozen=True)
class Assigned:
    """One event that stands for one pattern."""

    pattern: CompiledPattern
    index: int


@dataclass(frozen=True)
class Standing:
    """The partial assignment of a way: what is left, what is bound, which events stand for what."""

    term: Term
    bindings: Bindings
    matches: tuple[Assigned, ...]


@dataclass(frozen=True)
class Block:
    """One expectation, compiled."""

    order: ListOp | None
    scope: tuple[CompiledPattern, ...]
    """Empty: every event whose type is in ``types``."""
    types: frozenset[type[Event]]
    """Types that can be in scope."""
    never: tuple[CompiledPattern, ...]
    only: bool


class _Way:
    """One way to read the events so far; two are equal when what is left and what is bound are."""

    __slots__ = ("_bound", "_hash", "bindings", "claimed", "guarded", "heads", "path", "strict", "term")

    def __init__(self, term: Term, bindings: Bindings, path: _Path, claimed: int) -> None:
        self.term = term
        self.bindings = bindings
        self.path = path
        self.claimed = claimed
        self.strict = is_strict(term)
        self.guarded = is_guarded(term)
        self.heads = tuple(heads(term))
        self._bound = frozenset(bindings.items())
        self._hash = hash((term, self._bound))  # asked for at every event

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, _Way)
            and self._hash == other._hash
            and self._bound == other._bound
            and self.term == other.term
        )

    def wants(self, event: Event) -> bool:
        """May it claim ``event``?"""
        return any(pattern.match(event, self.bindings) is not None for pattern in self.heads)

    def standing(self) -> Standing:
        matches = []
        path = self.path
        while path is not None:
            path, pattern, index = path
            matches.append(Assigned(pattern, index))
        return Standing(self.term, self.bindings, tuple(reversed(matches)))


class Search:
    """Feed it the events of a trace, then ask for the :attr:`witness`.

    :param block: what is expected.
    :param bindings: values that are given beforehand.
    :ivar furthest: the way that claimed most events; where it came first, the earliest.
    :ivar forbidden: the first event that a trace-wide ``never`` without free variables forbids.
    """

    def __init__(self, block: Block, bindings: Bindings) -> None:
        self._block = block
        ways = [] if block.order is None else begin(block.order, bindings)
        self._ways = dict.fromkeys(_Way(term, bound, None, 0) for term, bound in islice(ways, MAX_WAYS + 1))
        if len(self._ways) > MAX_WAYS:
            raise _too_many("at its beginning", "ways to read the trace are open")
        if block.order is None:
            self._ways[_Way(Done(), bindings, None, 0)] = None
        self.furthest = next(iter(self._ways))
        self.forbidden: Assigned | None = None
        self._open_never = [pattern for pattern in block.never if pattern.variables or pattern.differs]
        self._closed_never = [pattern for pattern in block.never if pattern not in self._open_never]
        self._suspects: list[tuple[CompiledPattern, Event]] = []
        wanted = [*_patterns(block.order), *block.never]
        self._wide_screens = screens_of(block.types, block.scope, None)
        self._narrow_screens = screens_of(block.types, block.scope, wanted)
        self._refresh()

    def feed(self, events: Iterable[Event]) -> None:
        """Take the next events of the trace."""
        for event in events:
            screen = self._screens.get(type(event))
            if screen is not None and screen(event):
                self._step(event)

    def _step(self, event: Event) -> None:
        if not self._in_scope(event):
            return
        for pattern in self._closed_never:
            if self.forbidden is None and pattern.match(event, {}) is not None:
                self.forbidden = Assigned(pattern, event.index)
        for pattern in self._open_never:
            if type(event) in pattern.types and pattern.may_match(event):
                self._suspects.append((pattern, event))
        if len(self._suspects) > MAX_WAYS:
            raise _too_many(f"at event {event.index}", "events may be forbidden")
        only = self._block.only
        wanting = [way for way in self._ways if way.wants(event)]
        stopped = [
            way for way in self._ways if only or (way.guarded and not passes(way.term, event, way.bindings))
        ]
        if not wanting and not stopped:
            return
        ways = dict(self._ways)
        for way in stopped:
            del ways[way]
        for way in wanting:
            for term, bound, pattern in claims(way.term, event, way.bindings):
                after = _Way(term, bound, (way.path, pattern, event.index), way.claimed + 1)
                ways.setdefault(after)
                if after.claimed > self.furthest.claimed:
                    self.furthest = after
                if len(ways) > MAX_WAYS:
                    raise _too_many(f"at event {event.index}", "ways to read the trace are open")
        self._ways = ways
        self._refresh()

    def _refresh(self) -> None:
        """Must events be looked at that no pattern wants?"""
        strict = self._block.only or any(way.strict for way in self._ways)
        self._screens = self._wide_screens if strict else self._narrow_screens

    def _in_scope(self, event: Event) -> bool:
        if type(event) not in self._block.types:
            return False
        return not self._block.scope or any(
            pattern.match(event, {}) is not None for pattern in self._block.scope
        )

    def witness(self) -> Standing | None:
        """After the last event: a way on which everything was found and nothing forbidden, or None."""
        if self.forbidden is not None:
            return None
        for way in self._ways:
            if isinstance(way.term, Done) and self.forbidden_under(way.bindings) is None:
                return way.standing()
        return None

    def forbidden_under(self, bindings: Bindings) -> Assigned | None:
        """The first event that a trace-wide ``never`` forbids once ``bindings`` hold."""
        for pattern, event in self._suspects:
            if pattern.match(event, bindings) is not None:
                return Assigned(pattern, event.index)
        return None

    @property
    def finished(self) -> Standing | None:
        """A way on which everything was found, whether or not a ``never`` forbids it."""
        found = (way for way in self._ways if isinstance(way.term, Done))
        return next((way.standing() for way in found), None)

    @property
    def standing(self) -> Standing:
        """The way that came furthest."""
        return self.furthest.standing()


def _too_many(where: str, what: str) -> SearchBudgetError:
    return SearchBudgetError(
        f"the trace is too ambiguous to be judged: {where} more than {MAX_WAYS} {what}",
        hint="bind more variables, name an image, or narrow the scope",
    )


def _patterns(order: ListOp | None) -> list[CompiledPattern]:
    found: list[CompiledPattern] = []
    todo: list[object] = [] if order is None else [order]
    while todo:
        match todo.pop():
            case PatternOp(pattern=pattern):
                found.append(pattern)
            case ListOp(elements=elements, after=after):
                found.extend(after)
                for element in elements:
                    found.extend(element.gap.never)
                    todo.append(element.op)
            case AllOp(branches=branches) | ChoiceOp(branches=branches):
                todo.extend(branches)
            case RepeatOp(body=body):
                todo.append(body)
    return found
