"""Makes the proof that an order is not kept: every way to read the trace is followed to what ends it.

The search drops a way as soon as another one is known to do as well, for the best of reasons; what a proof
holds has to be followed by somebody who knows none of them (:mod:`harness.order.proof`). So where the search
has failed the trace is gone over once more with two reasons alone: a way that is *alike* to an open branch is
no branch of its own, and a branch is *overtaken* where leaving out its claim is never worth it. Of both see
:mod:`harness.order.dominance`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from harness.events import Event, Reboot
from harness.order.block import Block, scoped_block
from harness.order.dominance import is_mentioned, keeps_all_of, slack
from harness.order.index import PatternIndex
from harness.order.patterns import Bindings, CompiledPattern
from harness.order.refutation import (
    MAX_BRANCHES,
    MAX_LOOKS,
    Branch,
    End,
    OrderRefuted,
    ScopeRefuted,
)
from harness.order.terms import Claim, Done, Outlook, Term, begin, claims, may_skip, outlook, without_times
from harness.order.ways import Likeness

__all__ = ["refute"]

_Way = TypeVar("_Way")


def refute(
    block: Block, constants: Bindings, events: Iterable[Event], scopes: Sequence[Bindings]
) -> tuple[OrderRefuted | None, str]:
    """The proof, or None and why there is none.

    :param scopes: the values of the scope's variables under which the order is refuted; one without any where
        the scope has none.
    """
    refuted: list[ScopeRefuted] = []
    room = _Room()
    try:
        for scope in scopes:
            given = {**constants, **scope}
            refuting = _Refuting(scoped_block(block, given) if scope else block, given, room)
            refuted.append(ScopeRefuted(tuple(sorted(scope.items())), refuting.over(events)))
    except _NoRoomError as error:
        return None, str(error)
    return OrderRefuted(tuple(refuted)), ""


class _NoRoomError(Exception):
    """A proof that would be larger than proofs may be."""


def _all(ways: Iterable[_Way]) -> list[_Way]:
    """:raises _NoRoomError: there are more than a proof has branches."""
    found = list(islice(ways, MAX_BRANCHES + 1))
    if len(found) > MAX_BRANCHES:
        raise _NoRoomError(f"more than {MAX_BRANCHES} ways to read the trace are open at once")
    return found


class _Room:
    """How much larger the proof may grow."""

    def __init__(self) -> None:
        self._branches = self._looks = 0

    def branch(self) -> None:
        self._branches += 1
        if self._branches > MAX_BRANCHES:
            raise _NoRoomError(f"it would have more than {MAX_BRANCHES} branches")

    def look(self, branches: int) -> None:
        self._looks += branches
        if self._looks > MAX_LOOKS:
            raise _NoRoomError(f"it would take more than {MAX_LOOKS} looks")


@dataclass(frozen=True, eq=False, slots=True)
class _Opened:
    """How a branch comes about."""

    parent: int | None = None
    event: int | None = None
    line: int | None = None
    choice: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class _Open:
    """A branch that nothing has ended yet."""

    number: int
    opened: _Opened
    term: Term
    bindings: Bindings
    outlook: Outlook
    likeness: Likeness


class _Refuting:
    """The branches of one scope."""

    def __init__(self, block: Block, given: Bindings, room: _Room) -> None:
        self._block = block
        self._room = room
        self._kept = frozenset().union(*(pattern.names for pattern in block.never))
        self._ended: dict[int, Branch] = {}
        self._opened = 0
        self._open: dict[int, _Open] = {}
        self._alike: dict[Likeness, list[_Open]] = {}
        self._waiting: PatternIndex[_Open] = PatternIndex()
        self._at_every_event: dict[int, _Open] = {}
        self._suspects: list[Event] = []
        if block.order is not None:
            names = self._kept | block.order.names
            known = {name: value for name, value in given.items() if name in names}
            for choice, (term, bound) in enumerate(_all(begin(block.order, known))):
                self._follow(term, bound, _Opened(choice=choice))
        else:
            self._follow(Done(), {}, _Opened())

    def over(self, events: Iterable[Event]) -> tuple[Branch, ...]:
        """All branches, once the trace is over."""
        for event in events:
            if not self._open:
                break
            self._room.look(len(self._open))
            if type(event) is Reboot:
                self._forget_times(event)
            found = self._waiting.find(event)
            suspicious = any(type(event) in p.types and p.may_match(event) for p in self._block.never)
            if not (found or self._at_every_event or suspicious):
                continue
            if self._block.has_in_scope(event, {}):
                if suspicious:
                    self._suspects.append(event)
                self._step(event, found)
        for branch in list(self._open.values()):
            if isinstance(branch.term, Done):
                self._end(branch, End.FORBIDDEN, self._forbidden(branch.bindings))
            else:
                self._end(branch, End.WAITING, None)
        return tuple(self._ended[number] for number in range(self._opened))

    def _step(self, event: Event, found: list[_Open]) -> None:
        concerned = {branch.number: branch for branch in found} | self._at_every_event
        claimed: list[tuple[_Open, list[Claim]]] = []
        for _, branch in sorted(concerned.items()):
            claimed.append((branch, _all(claims(branch.term, event, branch.bindings))))
        for branch, _ in claimed:
            if self._block.only or not may_skip(branch.term, event, branch.bindings):
                self._end(branch, End.STOPPED, event.index)
        for branch, ways in claimed:
            by_pattern: dict[CompiledPattern, list[Claim]] = {}
            for claim in ways:
                by_pattern.setdefault(claim[2], []).append(claim)
            for pattern, alike in by_pattern.items():
                self._claim(branch, pattern, alike, event)

    def _claim(self, parent: _Open, pattern: CompiledPattern, ways: list[Claim], event: Event) -> None:
        """Go on in every way in which ``event`` stands for ``pattern``."""
        following = [
            self._follow(term, bound, _Opened(parent.number, event.index, pattern.source.line, choice))
            for choice, (term, bound, _) in enumerate(ways)
        ]
        new = [name for _, name in pattern.variables if name not in parent.bindings]
        if (
            parent.number in self._open
            and parent not in following
            and not any(name in branch.bindings for name in new for branch in following)
            and keeps_all_of(parent.term, pattern)
        ):
            self._end(parent, End.OVERTAKEN, event.index)

    def _follow(self, term: Term, bindings: Bindings, opened: _Opened) -> _Open:
        """The branch that stands for this way: one that is open, or a new one."""
        bound = {n: v for n, v in bindings.items() if n in self._kept or is_mentioned(term, n)}
        likeness, room = Likeness(term, bound), slack(term)
        for other in self._alike.get(likeness, ()):
            if all(more >= less for more, less in zip(slack(other.term), room, strict=True)):
                return other
        self._room.branch()
        branch = _Open(self._opened, opened, term, bound, outlook(term), likeness)
        self._opened += 1
        self._open[branch.number] = branch
        self._alike.setdefault(likeness, []).append(branch)
        if self._block.only or branch.outlook.strict:
            self._at_every_event[branch.number] = branch
        else:
            for pattern in (*branch.outlook.heads, *branch.outlook.never):
                self._waiting.add(pattern, bound, branch)
        return branch

    def _end(self, branch: _Open, end: End, at: int | None) -> None:
        del self._open[branch.number]
        self._alike[branch.likeness].remove(branch)
        if self._at_every_event.pop(branch.number, None) is None:
            for pattern in (*branch.outlook.heads, *branch.outlook.never):
                self._waiting.remove(pattern, branch.bindings, branch)
        how, known = branch.opened, tuple(sorted(branch.bindings.items()))
        self._ended[branch.number] = Branch(how.parent, how.event, how.line, how.choice, known, end, at)

    def _forget_times(self, event: Event) -> None:
        limited = [branch for branch in self._open.values() if branch.outlook.limited]
        for branch in limited:
            self._end(branch, End.CLOCK, event.index)
        for branch in limited:
            self._follow(without_times(branch.term), branch.bindings, _Opened(branch.number, event.index))

    def _forbidden(self, bindings: Bindings) -> int:
        """The first event that is forbidden beside the order, found with these values."""
        for event in self._suspects:
            if any(pattern.match(event, bindings) is not None for pattern in self._block.never):
                return event.index
        raise AssertionError("a way to keep the order, where the search found none")
