"""The checker of proofs: accepts a proof that a promise is broken, or says why not.

It looks for nothing. It goes over the events once a scope, with the branches that the proof has, and holds
each event to each branch that is open: what the event can stand for there must be a branch of the proof, or
alike to one that is open; what the proof says to end a branch must end it, there and not elsewhere. So where
all branches are ended and none is missing, no way to keep the order is left. It shares with the search what
an order means (:mod:`harness.order.terms`, :mod:`harness.order.patterns`) and when one way stands for another
(:mod:`harness.order.dominance`), and nothing else. A trace has one proof: what is altered is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple, TypeVar

from harness.events import Event, Reboot
from harness.order.block import MAX_SCOPES, Block, compile_block, scope_values, scope_variables, scoped_block
from harness.order.dominance import is_mentioned, keeps_all_of, slack
from harness.order.judgeable import judgeable
from harness.order.observation import Observation
from harness.order.patterns import Bindings, CompiledPattern
from harness.order.refutation import (
    MAX_BRANCHES,
    MAX_LOOKS,
    Branch,
    End,
    ForbiddenCame,
    OrderRefuted,
    Proof,
    RuleBreach,
    ScopeRefuted,
)
from harness.order.rulebreach import refusal_of_breach
from harness.order.terms import Claim, Done, Term, begin, claims, may_skip, outlook, without_times
from harness.scenario.model import Expectation, Scenario

__all__ = ["refusal"]

_Way = TypeVar("_Way")


def refusal(
    proof: Proof,
    scenario: Scenario,
    expectation: Expectation | None,
    events: Iterable[Event],
    bindings: Mapping[str, int],
    observation: Observation | None = None,
) -> str:
    """Why the proof proves nothing; empty where it is accepted.

    :param expectation: what the proof says to be broken; None for a lifecycle rule.
    :param events: of the trace, gone over several times.
    :param bindings: what the steps bound.
    :param observation: of the whole recording that the events are a part of; None: they are all of it.
    """
    if isinstance(proof, RuleBreach):
        return refusal_of_breach(proof, events)
    if expectation is None:
        return "it is about an order, and none is named"
    seen = observation or Observation.over(scenario, events)
    part = judgeable(expectation, seen, {name.partition("[")[0] for name in bindings}).expectation
    if part is None:
        return "nothing of the order is judged"
    block = compile_block(scenario, expectation, part, bindings)
    if isinstance(proof, ForbiddenCame):
        return _of_forbidden(proof, block, events)
    return _of_order(proof, block, events, bindings)


def _of_forbidden(proof: ForbiddenCame, block: Block, events: Iterable[Event]) -> str:
    never = [pattern for pattern in block.never if not pattern.names]
    if scope_variables(block):
        return "which scope it came in is not said"
    for event in events:
        fitting = [p.source.line for p in never if p.match(event, {}) is not None]
        if fitting and block.has_in_scope(event, {}):
            held = event.index == proof.index and proof.line in fitting
            return "" if held else f"event {event.index} is the first that is forbidden"
    return "no event is forbidden"


def _of_order(proof: OrderRefuted, block: Block, events: Iterable[Event], constants: Bindings) -> str:
    values = scope_values(block, events) if scope_variables(block) else [{}]
    named = [dict(refuted.scope) for refuted in proof.scopes]
    if sum(len(refuted.branches) for refuted in proof.scopes) > MAX_BRANCHES:
        return f"it has more than {MAX_BRANCHES} branches"
    found_in = len(named) == 1 and any(b.end is End.FORBIDDEN for b in proof.scopes[0].branches)
    if len(values) > MAX_SCOPES:
        return f"the scope fits more than {MAX_SCOPES} ways"
    if named != values and not (found_in and block.never and named[0] in values):
        return "its scopes are not those of the trace"
    for refuted, scope in zip(proof.scopes, named, strict=True):
        given = {**constants, **scope}
        try:
            _Checking(scoped_block(block, given) if scope else block, given, refuted).over(events)
        except _RefusedError as error:
            return str(error)
    return ""


class _RefusedError(Exception):
    """What is wrong with a proof."""


class _Opening(NamedTuple):
    """The first fields of a branch."""

    parent: int | None
    opened: int | None
    line: int | None
    choice: int


def _all(ways: Iterable[_Way]) -> list[_Way]:
    """:raises _RefusedError: there are more than a proof has branches."""
    found = list(islice(ways, MAX_BRANCHES + 1))
    if len(found) > MAX_BRANCHES:
        raise _RefusedError(f"more than {MAX_BRANCHES} ways to read the trace are open at once")
    return found


class _Checking:
    """The branches of one scope, held to the events."""

    def __init__(self, block: Block, given: Bindings, refuted: ScopeRefuted) -> None:
        self._block = block
        self._branches = refuted.branches
        self._kept = frozenset().union(*(pattern.names for pattern in block.never))
        self._terms: list[Term] = []
        self._open: dict[int, None] = {}
        if block.order is None:
            begun: list[tuple[Term, Bindings]] = [(Done(), {})]
        else:
            names = self._kept | block.order.names
            begun = _all(begin(block.order, {name: given[name] for name in given if name in names}))
        for choice, (term, bound) in enumerate(begun):
            self._follow(term, bound, _Opening(None, None, None, choice))

    def over(self, events: Iterable[Event]) -> None:
        """:raises _RefusedError: a way to keep the order is not ended, or otherwise than the proof says."""
        looks = 0
        forbidden: list[Event] = []
        for event in events:
            looks += len(self._open)
            if looks > MAX_LOOKS:
                raise _RefusedError(f"it takes more than {MAX_LOOKS} looks")
            if type(event) is Reboot:
                self._forget_times(event)
            if self._open and self._block.has_in_scope(event, {}):
                forbidden += [event] * any(p.match(event, {}) is not None for p in self._block.never)
                self._step(event)
        for number in list(self._open):
            if not isinstance(self._terms[number], Done):
                self._end(number, End.WAITING, None)
                continue
            bound = dict(self._branches[number].known)
            never = self._block.never
            fits = (e.index for e in forbidden if any(p.match(e, bound) is not None for p in never))
            at = next(fits, None)
            if at is None:
                raise _RefusedError(f"branch {number} keeps the order")
            self._end(number, End.FORBIDDEN, at)
        if len(self._terms) < len(self._branches):
            raise _RefusedError(f"branch {len(self._terms)} is no way to read the trace")

    def _step(self, event: Event) -> None:
        found: list[tuple[int, list[Claim]]] = []
        for number in list(self._open):
            term, bound = self._terms[number], dict(self._branches[number].known)
            found.append((number, _all(claims(term, event, bound))))
            if self._block.only or not may_skip(term, event, bound):
                self._end(number, End.STOPPED, event.index)
        for number, ways in found:
            for pattern in dict.fromkeys(way[2] for way in ways):
                self._claim(number, pattern, [way for way in ways if way[2] is pattern], event.index)

    def _claim(self, number: int, pattern: CompiledPattern, ways: list[Claim], index: int) -> None:
        following = [
            self._follow(term, bound, _Opening(number, index, pattern.source.line, choice))
            for choice, (term, bound, _) in enumerate(ways)
        ]
        known = {name for name, _ in self._branches[number].known}
        left = {name for child in following for name, _ in self._branches[child].known}
        new = {name for _, name in pattern.variables} - known
        stays = number in following or bool(new & left)
        if number in self._open and not stays and keeps_all_of(self._terms[number], pattern):
            self._end(number, End.OVERTAKEN, index)

    def _follow(self, term: Term, bindings: Bindings, opening: _Opening) -> int:
        """The branch that stands for this way: one that is open and alike, or the next of the proof."""
        known = tuple(sorted((n, v) for n, v in bindings.items() if n in self._kept or is_mentioned(term, n)))
        room = slack(term)
        for number in self._open:
            other = self._terms[number]
            alike = other == term and self._branches[number].known == known
            if alike and all(more >= less for more, less in zip(slack(other), room, strict=True)):
                return number
        number = len(self._terms)
        if number == len(self._branches):
            raise _RefusedError(f"a way to read the trace is left out, from event {opening.opened} on")
        said = self._branches[number]
        if said != Branch(*opening, known, said.end, said.ended):
            raise _RefusedError(f"branch {number} is none that the trace opens there")
        self._terms.append(term)
        self._open[number] = None
        return number

    def _end(self, number: int, end: End, at: int | None) -> None:
        said = self._branches[number]
        if (said.end, said.ended) != (end, at):
            raise _RefusedError(f"branch {number} is not ended as it says")
        del self._open[number]

    def _forget_times(self, event: Event) -> None:
        limited = [number for number in self._open if outlook(self._terms[number]).limited]
        for number in limited:
            self._end(number, End.CLOCK, event.index)
        for number in limited:
            term, bound = without_times(self._terms[number]), dict(self._branches[number].known)
            self._follow(term, bound, _Opening(number, event.index, None, 0))
