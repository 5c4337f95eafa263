"""What is still to come: terms, and how one event changes them.

The search follows every way in which the events so far can stand for the operations so far. What is left to
do on one such way is a *term*. An event either is claimed by a term (:func:`claims` gives what is left then,
once for each way) or is skipped by it (:func:`may_skip` says whether a gap forbids that). A term holds no
choice: :func:`begin` gives one term for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.events import Event
from harness.order.ops import NO_GAP, AllOp, ChoiceOp, Gap, ListOp, Op, PatternOp, RepeatOp
from harness.order.patterns import Bindings, CompiledPattern

__all__ = [
    "DONE",
    "All",
    "Claim",
    "Done",
    "One",
    "Outlook",
    "Rest",
    "Round",
    "Term",
    "begin",
    "claims",
    "may_skip",
    "outlook",
    "without_times",
]


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
    :ivar since: target time of the event before the gap; kept only where the gap has a time limit. Not
        compared: see :func:`harness.order.dominance.slack`.
    """

    op: ListOp
    place: int
    inner: Term
    gap: Gap
    begun: bool
    since: int | None = field(compare=False)


@dataclass(frozen=True, slots=True)
class All:
    """Branches that may come in any order, each on its own."""

    branches: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """Round ``number`` (from 1) of a repeat, of which ``inner`` is left.

    :ivar number: compared only as far as rounds differ in what they ask for, see :attr:`phase`.
    """

    op: RepeatOp
    number: int = field(compare=False)
    inner: Term
    phase: int = field(init=False)
    """The number, up to the first round that is like all after it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "phase", min(self.number, self.op.counted + 1))


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
            yield from _begin_all(branches, bindings)
        case ChoiceOp(branches=branches, optional=optional):
            for branch in branches:
                yield from begin(branch, bindings)
            if optional:
                yield DONE, bindings
        case RepeatOp():
            yield from _begin_round(op, 1, bindings, None)


def _begin_list(op: ListOp, start: int, carried: Gap, bindings: Bindings, time: int | None) -> _Begun:
    """The list from ``start`` on; ``carried`` is the gap of items before it that are missing."""
    # Each entry stands for one way to have items missing: the next place, the gap so far, the bindings.
    todo = [(start, carried, bindings)]
    while todo:
        place, carried, bindings = todo.pop()
        if place == len(op.elements):
            yield (Done(op.after) if op.after else DONE), bindings
            continue
        element = op.elements[place]
        gap = carried.joined(element.gap)
        since = time if gap.within is not None else None
        missing: list[tuple[int, Gap, Bindings]] = []
        for inner, bound in begin(element.op, bindings):
            if not isinstance(inner, Done):
                yield Rest(op, place, inner, gap, False, since), bound
            elif not any(bound == other for _, _, other in missing):
                missing.append((place + 1, Gap(gap.never, gap.within), bound))
        todo += reversed(missing)


def _begin_all(branches: tuple[Op, ...], bindings: Bindings) -> _Begun:
    """Every combination of ways to begin the branches, depth first."""
    begun: list[Term] = []
    todo = [begin(branches[0], bindings)]
    while todo:
        following = next(todo[-1], None)
        if following is None:
            todo.pop()
            if begun:
                begun.pop()
            continue
        term, bound = following
        if len(todo) == len(branches):
            yield _all((*begun, term)), bound
        else:
            begun.append(term)
            todo.append(begin(branches[len(todo)], bound))


def _all(branches: Sequence[Term]) -> Term:
    left = tuple(branch for branch in branches if not isinstance(branch, Done))
    return All(left) if left else DONE


def _begin_round(op: RepeatOp, number: int, bindings: Bindings, time: int | None) -> _Begun:
    """Round ``number``, and where enough rounds are behind us, no further round."""
    kept: Bindings = {name: value for name, value in bindings.items() if name not in op.local}
    if op.maximum is None:
        number = min(number, op.counted + 1)  # nothing tells the rounds beyond apart
    if op.maximum is None or number <= op.maximum:
        given = op.given[number - 1] if number <= len(op.given) else {}
        for inner, bound in begin(op.body, {**kept, **given} if given else kept):
            if isinstance(inner, Rest) and number == 1:
                # A gap at the start of the body stands between two rounds.
                inner = Rest(inner.op, inner.place, inner.inner, NO_GAP, False, None)
            elif isinstance(inner, Rest) and inner.gap.within is not None:
                inner = Rest(inner.op, inner.place, inner.inner, inner.gap, False, time)
            yield Round(op, number, inner), bound
    if number > op.minimum:
        yield DONE, kept


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
                    if all(may_skip(other, event, bindings) for other in others):
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


def may_skip(term: Term, event: Event, bindings: Bindings) -> bool:
    """May ``event``, which is in scope, come without being claimed by ``term``?"""
    match term:
        case Rest(inner=inner, gap=gap, begun=begun):
            if not begun and (gap.adjacent or _forbidden(gap.never, event, bindings)):
                return False
            return may_skip(inner, event, bindings)
        case All(branches=branches):
            return all(may_skip(branch, event, bindings) for branch in branches)
        case Round(inner=inner):
            return may_skip(inner, event, bindings)
        case Done(never=never):
            return not _forbidden(never, event, bindings)
        case One():
            return True


def _forbidden(never: tuple[CompiledPattern, ...], event: Event, bindings: Bindings) -> bool:
    return any(pattern.match(event, bindings) is not None for pattern in never)


def without_times(term: Term) -> Term:
    """The term after the clock began anew: no limit that counts from an event before can be kept."""
    match term:
        case Rest(op=op, place=place, inner=inner, gap=gap, begun=begun):
            return Rest(op, place, without_times(inner), gap, begun, None)
        case All(branches=branches):
            return All(tuple(map(without_times, branches)))
        case Round(op=op, number=number, inner=inner):
            return Round(op, number, without_times(inner))
        case _:
            return term


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a term waits for and what it forbids."""

    heads: tuple[CompiledPattern, ...]
    """The patterns that the next claimed event may stand for."""
    never: tuple[CompiledPattern, ...]
    """The patterns of the gaps that it stands in."""
    strict: bool
    """It waits for the very next event in scope."""
    limited: bool
    """It stands in a gap with a time limit."""

    @property
    def guarded(self) -> bool:
        """There is an event that it may not skip."""
        return self.strict or bool(self.never)

    @property
    def loose(self) -> bool:
        """Whatever comes first, what is left can be found afterwards as well."""
        return not self.guarded and not self.limited


def outlook(term: Term) -> Outlook:
    """What ``term`` waits for and what it forbids."""
    heads: list[CompiledPattern] = []
    never: list[CompiledPattern] = []
    strict = limited = False
    todo: list[Term] = [term]
    while todo:
        match todo.pop():
            case One(pattern=pattern):
                heads.append(pattern)
            case Rest(inner=inner, gap=gap, begun=begun):
                if not begun:
                    never += gap.never
                    strict = strict or gap.adjacent
                    limited = limited or gap.within is not None
                todo.append(inner)
            case Round(inner=inner):
                todo.append(inner)
            case All(branches=branches):
                todo += reversed(branches)
            case Done(never=after):
                never += after
    return Outlook(tuple(heads), tuple(never), strict, limited)
