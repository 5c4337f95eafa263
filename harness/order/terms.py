"""What is still to come: terms, and how one event changes them.

The search follows every way in which the events so far can stand for the operations so far. What is left to
do on one such way is a *term*. An event either is claimed by a term (:func:`claims` gives what is left then,
once for each way) or passes it by (:func:`passes` says whether a gap forbids that). A term holds no choice:
:func:`begin` gives one term for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from harness.events import Event
from harness.order.ops import NO_GAP, AllOp, ChoiceOp, Gap, ListOp, Op, PatternOp, RepeatOp
from harness.order.patterns import Bindings, CompiledPattern
from harness.scenario.model import round_key

__all__ = ["DONE", "Claim", "Term", "begin", "claims", "heads", "is_guarded", "is_strict", "passes"]


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left; ``never`` is forbidden until the end of the trace."""

    never: tuple[CompiledPattern, ...] = ()


DONE = Done()


@dataclass(frozen=True, slots=True)
class One:
    """One event of this pattern."""

    pattern: CompiledPattern


@dataclass(frozen=True, slots=True)
class Rest:
    """A list from element ``place`` on, of which ``inner`` is left.

    :ivar begun: the element has claimed an event; its gap is behind us.
    :ivar since: target time of the event before the gap; kept only where the gap has a time limit.
    """

    op: ListOp
    place: int
    inner: Term
    gap: Gap
    begun: bool
    since: int | None


@dataclass(frozen=True, slots=True)
class All:
    """Branches that may come in any order, each on its own."""

    branches: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """Round ``number`` (from 1) of a repeat, of which ``inner`` is left."""

    op: RepeatOp
    number: int
    inner: Term


Term: TypeAlias = Done | One | Rest | All | Round
Claim: TypeAlias = tuple[Term, Bindings, CompiledPattern]
"""What is left after the claim, the bindings after it, and the pattern the event stood for."""
_Begun: TypeAlias = Iterator[tuple[Term, Bindings]]


def begin(op: Op, bindings: Bindings) -> _Begun:
    """Every way to begin ``op``; :data:`DONE` among them where it may be missing."""
    match op:
        case PatternOp(pattern=pattern):
            yield One(pattern), bindings
        case ListOp():
            yield from _begin_list(op, 0, NO_GAP, bindings, None)
        case AllOp(branches=branches):
            yield from _begin_all(branches, (), bindings)
        case ChoiceOp(branches=branches, may_be_missing=may_be_missing):
            for branch in branches:
                yield from begin(branch, bindings)
            if may_be_missing:
                yield DONE, bindings
        case RepeatOp():
            yield from _begin_round(op, 1, bindings, None)


def _begin_list(op: ListOp, place: int, carried: Gap, bindings: Bindings, time: int | None) -> _Begun:
    """The list from ``place`` on; ``carried`` is the gap of items before it that are missing."""
    if place == len(op.elements):
        yield (Done(op.after) if op.after else DONE), bindings
        return
    element = op.elements[place]
    gap = carried.joined(element.gap)
    since = time if gap.within is not None else None
    for inner, bound in begin(element.op, bindings):
        if isinstance(inner, Done):
            missing = Gap(gap.never, gap.within)
            yield from _begin_list(op, place + 1, missing, bound, time)
        else:
            yield Rest(op, place, inner, gap, False, since), bound


def _begin_all(branches: tuple[Op, ...], begun: tuple[Term, ...], bindings: Bindings) -> _Begun:
    if not branches:
        yield _all(begun), bindings
        return
    for term, bound in begin(branches[0], bindings):
        yield from _begin_all(branches[1:], (*begun, term), bound)


def _all(branches: tuple[Term, ...]) -> Term:
    left = tuple(branch for branch in branches if not isinstance(branch, Done))
    return All(left) if left else DONE


def _begin_round(op: RepeatOp, number: int, bindings: Bindings, time: int | None) -> _Begun:
    """Round ``number``, and where enough rounds are behind us, no further round."""
    if op.local:
        fresh = {name: value for name, value in bindings.items() if name not in op.local}
        for name in op.local:
            if round_key(name, number) in bindings:
                fresh[name] = bindings[round_key(name, number)]
        kept: Bindings = fresh
    else:
        kept = bindings
    if op.maximum is None or number <= op.maximum:
        for inner, bound in begin(op.body, kept):
            if isinstance(inner, Rest) and number == 1:
                # A gap at the start of the body stands between two rounds.
                inner = Rest(inner.op, inner.place, inner.inner, NO_GAP, False, None)
            elif isinstance(inner, Rest) and inner.gap.within is not None:
                inner = Rest(inner.op, inner.place, inner.inner, inner.gap, False, time)
            yield Round(op, number, inner), bound
    if number > op.minimum:
        yield DONE, {name: value for name, value in kept.items() if name not in op.local}


def claims(term: Term, event: Event, bindings: Bindings) -> Iterator[Claim]:
    """Every way in which ``event`` can stand for something that ``term`` waits for."""
    match term:
        case One(pattern=pattern):
            bound = pattern.match(event, bindings)
            if bound is not None:
                yield DONE, bound, pattern
        case Rest(op=op, place=place, inner=inner, gap=gap, begun=begun, since=since):
            if not begun and not _in_time(gap, since, event):
                return
            for left, bound, pattern in claims(inner, event, bindings):
                if isinstance(left, Done):
                    for rest, after in _begin_list(op, place + 1, NO_GAP, bound, event.time):
                        yield rest, after, pattern
                else:
                    yield Rest(op, place, left, NO_GAP, True, None), bound, pattern
        case All(branches=branches):
            for place, branch in enumerate(branches):
                for left, bound, pattern in claims(branch, event, bindings):
                    others = (*branches[:place], *branches[place + 1 :])
                    if all(passes(other, event, bindings) for other in others):
                        yield _all((*branches[:place], left, *branches[place + 1 :])), bound, pattern
        case Round(op=op, number=number, inner=inner):
            for left, bound, pattern in claims(inner, event, bindings):
                if isinstance(left, Done):
                    for following, after in _begin_round(op, number + 1, bound, event.time):
                        yield following, after, pattern
                else:
                    yield Round(op, number, left), bound, pattern
        case Done():
            return


def _in_time(gap: Gap, since: int | None, event: Event) -> bool:
    if gap.within is None:
        return True
    return since is not None and event.time is not None and event.time - since <= gap.within


def passes(term: Term, event: Event, bindings: Bindings) -> bool:
    """May ``event``, which is in scope, pass by unclaimed by ``term``?"""
    match term:
        case Rest(inner=inner, gap=gap, begun=begun):
            if not begun and (gap.adjacent or _forbidden(gap.never, event, bindings)):
                return False
            return passes(inner, event, bindings)
        case All(branches=branches):
            return all(passes(branch, event, bindings) for branch in branches)
        case Round(inner=inner):
            return passes(inner, event, bindings)
        case Done(never=never):
            return not _forbidden(never, event, bindings)
        case One():
            return True


def _forbidden(never: tuple[CompiledPattern, ...], event: Event, bindings: Bindings) -> bool:
    return any(pattern.match(event, bindings) is not None for pattern in never)


def is_strict(term: Term) -> bool:
    """Does ``term`` wait for the very next event in scope?"""
    match term:
        case Rest(inner=inner, gap=gap, begun=begun):
            return (not begun and gap.adjacent) or is_strict(inner)
        case All(branches=branches):
            return any(is_strict(branch) for branch in branches)
        case Round(inner=inner):
            return is_strict(inner)
        case _:
            return False


def is_guarded(term: Term) -> bool:
    """Is there an event that may not pass ``term`` by?"""
    match term:
        case Rest(inner=inner, gap=gap, begun=begun):
            return (not begun and (gap.adjacent or bool(gap.never))) or is_guarded(inner)
        case All(branches=branches):
            return any(is_guarded(branch) for branch in branches)
        case Round(inner=inner):
            return is_guarded(inner)
        case Done(never=never):
            return bool(never)
        case One():
            return False


def heads(term: Term) -> Iterator[CompiledPattern]:
    """The patterns that the next claimed event may stand for."""
    match term:
        case One(pattern=pattern):
            yield pattern
        case Rest(inner=inner) | Round(inner=inner):
            yield from heads(inner)
        case All(branches=branches):
            for branch in branches:
                yield from heads(branch)
        case Done():
            return
