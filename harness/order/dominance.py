"""Which ways to read a trace are not worth following, because another one succeeds whenever they do.

Ways **dominate** a way *b* when on every sequence of future events on which *b* succeeds one of them succeeds
too. Dropping *b* then loses no pass. Nothing here depends on the events to come; what is not proved below is
not dropped. Under ``only`` an event that nothing claims ends a way, so a way that leaves out a claim is no
substitute, and only *alike* ways are dropped.

**Alike ways** (:func:`slack`). Two ways with equal terms, and equal values for every variable that is still
mentioned, claim the same events. Two numbers may differ without being compared: the time that a ``within``
counts from, where a later one allows all that an earlier one does; and the number of a round that is beyond
all that must come and all that the steps gave names to, where a lower one leaves room for as many rounds more
and, as enough are behind it, may stop wherever the higher one may.

**A claim left out** (:func:`keeps_all_of`). A way *b* waits for a pattern P (among others), an event comes
that fits, and the claim gives the ways G. Take a later success of *b*: it claims some later event *e* for P.
Leave *e* out, keep all other claims: that is a success of a member of G, if (1) P's claim has bound no
variable that is still mentioned, for it might have had another value at *e*; and (2) what follows P does not
mind that P is over sooner. For a list that is: all beginnings of what follows are *loose* (no ``next``,
``within`` or ``never`` that counts from the end of P); if something does follow, the list ends with the same
event as before, and what is further outside cannot tell the difference. Where nothing need follow, the list
itself is over sooner, and the question moves outward; likewise out of a round, whose next round must begin
loosely, and out of an ``any_order``, which is over when its last branch is. At the outermost end a ``never``
that holds until the end of the trace is such a gap. The event *e* itself, unclaimed, meets no gap in G: the
gaps of other branches had to let it through in *b* as well, and those in front of it are behind G.

**Further along** (:func:`position`). The outermost list, and inside it repeats that must come (up to their
``minimum``), are walked through in one order, so that the places in them are compared like numbers in a
dictionary. When a claim begins a place anew, with all of its beginnings, and each is loose, then a success of
any way at an earlier place finishes the places before, and what it claims from this place on is a success of
one of those beginnings: it comes later, which a loose beginning does not mind. The variables bound at the new
place and still mentioned must have had the same values in the other way; one that is not bound yet takes the
value that the other way had, for every ``never`` and every ``not`` mentions only what is surely bound before.
If there is no such variable the place becomes a *floor*: ways below it need not be begun ever after, as its
beginnings can never be stopped, and what dominates them dominates those below as well.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from math import inf
from typing import TypeAlias

from harness.order.patterns import CompiledPattern
from harness.order.terms import All, Done, One, Rest, Round, Term

__all__ = ["Position", "given_names", "is_mentioned", "keeps_all_of", "local_names", "position", "slack"]

Position: TypeAlias = tuple[float, ...]
"""How far along a way is, see above; compared as tuples are."""


def position(term: Term) -> Position:
    """The place in the outermost list, then round and place of each repeat whose round must come.

    A round that need not come is further along than all that must; what is over is at the end.
    """
    found: list[float] = []
    for rest, round_ in _spine(term):
        found.append(rest.place)
        if round_ is not None:
            found.append(inf if round_.number > round_.op.minimum else round_.number)
    # Only an order that is over has no place.
    return tuple(found) if found else (inf,)


def _spine(term: Term) -> Iterator[tuple[Rest, Round | None]]:
    """The lists that are walked through in one order, and the round of a repeat that each one stands in."""
    while isinstance(term, Rest):
        inner = term.inner
        if not isinstance(inner, Round) or term.op.elements[term.place].op is not inner.op:
            yield term, None
            return
        yield term, inner
        if inner.number > inner.op.minimum:
            return
        term = inner.inner


def slack(term: Term) -> tuple[float, ...]:
    """Of two terms that are equal, one leaves as much room as the other where no number of it is lower."""
    found: list[float] = []
    todo = [term]
    while todo:
        match todo.pop():
            case Rest(inner=inner, gap=gap, begun=begun, since=since):
                if not begun and gap.within is not None:
                    found.append(-inf if since is None else since)
                todo.append(inner)
            case Round(number=number, inner=inner):
                found.append(-number)
                todo.append(inner)
            case All(branches=branches):
                todo += branches
    return tuple(found)


def is_mentioned(term: Term, name: str) -> bool:
    """May anything that is left ask for the value that the variable has now?"""
    match term:
        case One(pattern=pattern):
            return name in pattern.names
        case Rest(op=op, place=place, inner=inner, gap=gap, begun=begun):
            if op.last_use.get(name, -1) > place or (not begun and name in gap.names):
                return True
            return is_mentioned(inner, name)
        case Round(op=op, inner=inner):
            return name in op.names or is_mentioned(inner, name)
        case All(branches=branches):
            return any(is_mentioned(branch, name) for branch in branches)
        case Done(never=never):
            return any(name in pattern.names for pattern in never)


def local_names(term: Term) -> frozenset[str]:
    """The variables that a round bound for itself, of all rounds that ``term`` is in."""
    match term:
        case Rest(inner=inner):
            return local_names(inner)
        case Round(op=op, inner=inner):
            return op.local | local_names(inner)
        case All(branches=branches):
            return frozenset().union(*map(local_names, branches))
        case _:
            return frozenset()


def given_names(term: Term) -> frozenset[str]:
    """Of the rounds that count for the :func:`position`: the names that steps gave values to."""
    found: frozenset[str] = frozenset()
    for _, round_ in _spine(term):
        if round_ is not None and round_.number <= min(round_.op.minimum, len(round_.op.given)):
            found |= round_.op.given[round_.number - 1].keys()
    return found


class _Over(enum.Enum):
    """When, with a claim left out, a part of a term is over."""

    AT_THE_SAME_EVENT = enum.auto()
    SOONER = enum.auto()


def keeps_all_of(term: Term, pattern: CompiledPattern) -> bool:
    """Do the ways that a claim for ``pattern`` gives dominate ``term``, the variables aside?"""
    return _over(term, pattern) is not None


def _over(term: Term, pattern: CompiledPattern) -> _Over | None:
    """When ``term`` is over once the claim is left out; None where that may be an event too soon."""
    match term:
        case One():
            return _Over.SOONER
        case Rest(op=op, place=place, inner=inner):
            over = _over(inner, pattern)
            if over is not _Over.SOONER:
                return over
            if not op.loose_from[place + 1]:
                return None
            return over if op.missing_from[place + 1] else _Over.AT_THE_SAME_EVENT
        case Round(op=op, inner=inner):
            over = _over(inner, pattern)
            return None if over is _Over.SOONER and not op.body.loose else over
        case All(branches=branches):
            (claiming,) = (branch for branch in branches if _waits_for(branch, pattern))
            return _over(claiming, pattern)
        case Done():
            return None


def _waits_for(term: Term, pattern: CompiledPattern) -> bool:
    match term:
        case One(pattern=own):
            return own is pattern
        case Rest(inner=inner) | Round(inner=inner):
            return _waits_for(inner, pattern)
        case All(branches=branches):
            return any(_waits_for(branch, pattern) for branch in branches)
        case Done():
            return False
