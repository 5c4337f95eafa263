"""One way to read the events so far: a partial assignment of events to patterns, and what it leaves to do."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import TypeAlias

from harness.order.dominance import Position, is_mentioned, local_names, position, slack
from harness.order.patterns import Bindings, CompiledPattern, Value
from harness.order.terms import Outlook, Term, outlook

__all__ = ["Assigned", "Likeness", "Standing", "Way"]

_Path: TypeAlias = "tuple[_Path, CompiledPattern, int] | None"
_Settled: TypeAlias = "tuple[_Settled, str, Value] | None"


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


class Likeness:
    """What ways that are alike have in common: hashed once, for hashing a term goes through all of it."""

    __slots__ = ("_hash", "_of")

    def __init__(self, term: Term, bound: Bindings) -> None:
        self._of = (term, frozenset(bound.items()))
        self._hash = hash(self._of)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Likeness) and self._hash == other._hash and self._of == other._of


class Way:
    """A way, followed by the search.

    :param term: what is left to do.
    :param bindings: the variables bound so far; those that nothing mentions any more are set aside.
    :param kept: variables that are mentioned to the end of the trace.
    :param parent: the way that it came from; None for a beginning.
    :param claim: the pattern and the index of the event that it claimed of its parent's.
    :ivar bound: the values that matter to what is left.
    :ivar number: ways are numbered as they are found.
    :ivar key: equal for ways that are alike, see :mod:`harness.order.dominance`.
    """

    __slots__ = (
        "_outlook",
        "_path",
        "_settled",
        "bindings",
        "bound",
        "claimed",
        "key",
        "number",
        "parent",
        "position",
        "term",
    )

    def __init__(
        self,
        term: Term,
        bindings: Bindings,
        kept: frozenset[str],
        number: int,
        parent: Way | None = None,
        claim: tuple[CompiledPattern, int] | None = None,
    ) -> None:
        self.term = term
        self.number = number
        self.parent = parent
        self.claimed: int = 0 if parent is None else parent.claimed
        self._path: _Path = None if parent is None else parent._path
        self._settled: _Settled = None if parent is None else parent._settled
        if claim is not None:
            self.claimed += 1
            self._path = (self._path, *claim)
        self.position: Position = position(term)
        """How far along it is."""
        self._outlook: Outlook | None = None
        self.bound = self.bindings = bindings
        if bindings:
            self._set_aside(bindings, kept)
        self.key = Likeness(term, self.bound)

    def _set_aside(self, bindings: Bindings, kept: frozenset[str]) -> None:
        bound = {n: v for n, v in bindings.items() if n in kept or is_mentioned(self.term, n)}
        self.bound = bound
        if len(bound) < len(bindings):
            local = local_names(self.term)
            for name, value in bindings.items():
                if name in local and name not in bound:
                    bound = {**bound, name: value}
                elif name not in bound:
                    self._settled = (self._settled, name, value)
        self.bindings = bound

    def forget_dropped(self, followed: Container[Way]) -> None:
        """Take the nearest way that is still followed, of those that this one came from, for its parent."""
        while self.parent is not None and self.parent not in followed:
            self.parent = self.parent.parent

    @property
    def outlook(self) -> Outlook:
        """What it waits for; asked for when it is followed."""
        if self._outlook is None:
            self._outlook = outlook(self.term)
        return self._outlook

    @property
    def has_slack(self) -> bool:
        """Two ways that are alike to it may still differ in the room they leave."""
        return bool(slack(self.term))

    def leaves_as_much_room_as(self, other: Way) -> bool:
        """For two ways that are alike: does this one succeed whenever ``other`` does?"""
        return all(mine >= theirs for mine, theirs in zip(slack(self.term), slack(other.term), strict=True))

    def standing(self, given: Bindings) -> Standing:
        """The assignment, with the values that were given beforehand."""
        matches = []
        path = self._path
        while path is not None:
            path, pattern, index = path
            matches.append(Assigned(pattern, index))
        settled: dict[str, Value] = {}
        found = self._settled
        while found is not None:
            found, name, value = found
            settled.setdefault(name, value)
        return Standing(self.term, {**given, **settled, **self.bindings}, tuple(reversed(matches)))
