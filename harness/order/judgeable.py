"""The part of an expectation that a recording can prove or break.

What was not observed is taken out: a field that no event of its kind carries, an event that the machine does
not report, and what depends on either. What is left asks for less than the whole: wherever the whole is kept
it is kept too, so that a trace which breaks it breaks the whole. And it speaks of nothing that was not
observed, so that a trace which keeps it proves every promise in it.

* In an order a field that is not carried is asked for no more. A ``never`` that speaks of it goes, for
  without the field it would forbid more.
* An event that is not reported goes, and with it the gaps beside it: where it was, nobody knows. So does a
  ``one_of`` with such a branch.
* A ``within`` goes where an event beside it carries no time.
* Of a variable that lost a place which gave it its value goes what would agree with nothing any more, and
  every ``not`` and ``never`` before which it need not have a value.
* Of neighbours that the recording has in no order the order goes, and what lies between them.
* A scope that asks for a field which is not carried leaves nothing: nobody knows what is in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from harness.order.observation import Observation, kinds_spoken_of
from harness.order.patterns import kinds_of, may_lack
from harness.order.promises import (
    count_of_item,
    count_of_pattern,
    count_promises,
    parts_of,
    patterns_to_come,
    speaks_of_all,
)
from harness.order.result import Unobserved
from harness.order.takenout import TakenOut
from harness.order.unordered import cannot_be_placed, why_unplaced, without_order_of
from harness.scenario.expect import may_be_missing
from harness.scenario.model import (
    AnyOrder,
    Constraint,
    Expectation,
    Item,
    Never,
    Next,
    Not,
    OneOf,
    Optional,
    Pattern,
    Repeat,
    Sequence,
    Variable,
    Within,
)

__all__ = ["Judgeable", "judgeable"]

_FORMS = frozenset({"routine", "status", "totals"})
"""Fields of a driver's line about itself that tell its form: without one, lines of that form do not come."""

_BESIDE = "what stands beside it is not judged"


@dataclass(frozen=True)
class Judgeable:
    """What of an expectation can be judged."""

    expectation: Expectation | None
    """None: nothing of it."""
    unobserved: tuple[Unobserved, ...]
    """In the order of the file."""


def judgeable(expectation: Expectation, observation: Observation, bound: Collection[str]) -> Judgeable:
    """What of ``expectation`` can be judged, whatever it requires.

    :param bound: names that steps gave a value to.
    """
    spoken = kinds_spoken_of(expectation)
    for pattern in expectation.scope:
        kinds = kinds_of(pattern, spoken)
        if not speaks_of_all(expectation):
            kinds = kinds & spoken or kinds
        for kind in sorted(kinds):
            for field, constraint in pattern.fields:
                if not may_lack(constraint) and observation.lacks(kind, field):
                    why = f"{observation.nobody_carries(kind)}, and the scope asks for it"
                    count = count_promises(expectation)
                    return Judgeable(None, (Unobserved(field, why, pattern.line, count, expectation),))
    return _Reduction(expectation, observation, bound).result()


class _Use(NamedTuple):
    """A place that names a variable."""

    pattern: Pattern
    field: str
    name: str
    branches: tuple[tuple[int, int], ...]
    """The branch of each ``one_of`` that it stands in."""

    def agrees_with(self, other: _Use) -> bool:
        """Is it the same variable, in a place that can be claimed together with this one?"""
        taken = dict(self.branches)
        together = all(taken.get(choice, branch) == branch for choice, branch in other.branches)
        return self.name == other.name and together


class _Reduction:
    """One expectation and what is taken out of it. Patterns and gaps are known by their identity."""

    def __init__(self, whole: Expectation, observation: Observation, bound: Collection[str]) -> None:
        self._whole = whole
        self._observation = observation
        scoped = {name for pattern in whole.scope for name in _named(pattern.fields)}
        self._free_scope = bool(scoped - set(bound))
        self._bound = frozenset(scoped.union(bound))
        self._out = TakenOut()
        self._lost: dict[str, str] = {}
        """Variable that lost a place → why."""
        self._said: list[Unobserved] = []

    def result(self) -> Judgeable:
        whole = self._whole
        order, never, only = whole.order, whole.never, whole.only
        missing = False
        if order is not None:
            missing = self._look_into(order)
            self._cut(order.items, rounds=False)
        weaker = bool(self._said)
        for pattern in never:
            self._forbids(pattern)
        if weaker and self._free_scope:
            for pattern in never:
                self._take(pattern, "never", "it holds where the order does, which is not judged as a whole")
        while self._take_dependents():
            pass
        if only and missing:
            self._say("only", "what the machine does not report is part of the order", whole.line)
            only = False
        if order is not None and (order := self._reduced(order)) is None and only:
            self._say("only", "nothing of the order is judged", whole.line)
            only = False
        if order is not None:
            order = without_order_of(order, self._observation.unordered, self._say)
        never = tuple(pattern for pattern in never if pattern not in self._out)
        said = tuple(sorted(self._said, key=lambda each: each.line or 0))
        if not said:
            return Judgeable(whole, ())
        if order is None and not never:
            return Judgeable(None, said)
        return Judgeable(replace(whole, order=order, never=never, only=only), said)

    def _say(self, what: str, why: str, line: int, promises: int = 1) -> None:
        self._said.append(Unobserved(what, why, line, promises, self._whole))

    # What is not observed by itself

    def _look_into(self, item: Item) -> bool:
        """Take out what is not observed; whether an event that must come is among it."""
        match item:
            case Pattern():
                return self._comes(item)
            case Never(patterns=patterns):
                for pattern in patterns:
                    self._forbids(pattern)
                return False
            case OneOf() | Repeat() if reason := self._lost_as_a_whole(item):
                self._take_all(item, reason)
                return True
            case _:
                found = [self._look_into(part) for part in parts_of(item)]
                return any(found)

    def _lost_as_a_whole(self, item: OneOf | Repeat) -> str:
        """Why nothing of the item can be judged; empty: some of it can."""
        kinds = self._observation.unordered
        if cannot_be_placed(item, kinds):
            return why_unplaced(kinds)
        unreported = map(self._unreported, patterns_to_come(item))
        return next(filter(None, unreported), "") if isinstance(item, OneOf) else ""

    def _unreported(self, pattern: Pattern) -> str:
        """Why an event of this pattern may not have been seen at all; empty: it would have been."""
        if unseen := self._observation.unseen(pattern):
            return unseen
        if pattern.kind == "driver":
            for field, constraint in pattern.fields:
                if field in _FORMS and not may_lack(constraint) and self._observation.lacks("driver", field):
                    return f"no line of this driver about itself carries {field}"
        return ""

    def _comes(self, pattern: Pattern) -> bool:
        assert pattern.kind is not None
        reason = self._unreported(pattern)
        if reason:
            self._take(pattern, pattern.kind, reason, count_of_pattern(pattern))
            return True
        for field, constraint in pattern.fields:
            if not may_lack(constraint) and self._observation.lacks(pattern.kind, field):
                self._drop(pattern, field, self._observation.nobody_carries(pattern.kind))
        return False

    def _forbids(self, pattern: Pattern) -> None:
        assert pattern.kind is not None
        reason = self._unreported(pattern) or self._observation.silent(pattern.kind)
        if reason:
            self._take(pattern, pattern.kind, reason)
            return
        for field, constraint in pattern.fields:
            if not may_lack(constraint) and self._observation.lacks(pattern.kind, field):
                self._take(pattern, field, self._observation.nobody_carries(pattern.kind))
                return

    def _take(self, pattern: Pattern, what: str, why: str, promises: int = 1) -> None:
        """Take out a pattern as a whole."""
        if pattern in self._out:
            return
        self._out.add(pattern)
        self._say(what, why, pattern.line, promises)
        for name in _named(self._out.fields_of(pattern)):
            self._lost.setdefault(name, f"${name} stands for what a {pattern.kind} tells that is not judged")

    def _take_all(self, item: Item, why: str) -> None:
        if isinstance(item, Pattern):
            assert item.kind is not None
            self._take(item, item.kind, why, count_of_pattern(item))
        elif isinstance(item, Never):
            for pattern in item.patterns:
                self._take(pattern, "never", why)
        elif item not in self._out:
            self._out.add(item)
            if isinstance(item, Within | Next):
                self._say(type(item).__name__.lower(), why, item.line)
            for part in parts_of(item):
                self._take_all(part, why)

    def _drop(self, pattern: Pattern, field: str, why: str) -> None:
        """Ask for a field no more."""
        for name in _named(each for each in self._out.fields_of(pattern) if each[0] == field):
            if name not in self._bound:
                self._lost.setdefault(
                    name, f"${name} stands for a {field}, and {why.removesuffix(' it')} one"
                )
        self._out.drop(pattern, field)
        self._say(field, why, pattern.line)

    # Gaps

    def _cut(self, items: tuple[Item, ...], *, rounds: bool) -> None:
        """Take out the gaps beside what was taken out, and the limits of what carries no time."""
        places: list[Item] = [item for item in items if not isinstance(item, Never | Within)]
        for item in places:
            for part in parts_of(item):
                self._cut_inside(item, part)
        touched = [any(pattern in self._out for pattern in patterns_to_come(item)) for item in places]
        cut = {0} if rounds and any(touched) else set()
        for number, gone in enumerate(touched):
            if gone:
                cut |= {number, number + 1}
        # The gap before what is missing joins the one behind it.
        for number, item in enumerate(places):
            if number in cut and may_be_missing(item):
                cut.add(number + 1)
        for number, item in reversed(list(enumerate(places))):
            if number + 1 in cut and may_be_missing(item):
                cut.add(number)
        place = 0
        for item in items:
            if isinstance(item, Never | Within):
                if place in cut:
                    self._take_all(item, _BESIDE)
                elif isinstance(item, Within) and item not in self._out:
                    self._limits(item, places, place, rounds=rounds)
                continue
            if isinstance(item, Next) and place in cut and item not in self._out:
                self._out.add(item)
                self._say("next", _BESIDE, item.line)
            place += 1

    def _cut_inside(self, item: Item, part: Item) -> None:
        if isinstance(part, Sequence):
            self._cut(part.items, rounds=isinstance(item, Repeat))
        else:
            for inner in parts_of(part):
                self._cut_inside(part, inner)

    def _limits(self, gap: Within, places: list[Item], place: int, *, rounds: bool) -> None:
        """Keep a ``within`` only if every event that it may stand between has a time."""
        beside = [*_nearest(reversed(places[:place])), *_nearest(places[place:])]
        if rounds and all(map(may_be_missing, places[:place])):
            beside += places
        for item in beside:
            for pattern in patterns_to_come(item):
                if pattern.kind is not None and self._observation.lacks(pattern.kind, "time"):
                    self._out.add(gap)
                    self._say("time", self._observation.nobody_carries(pattern.kind), gap.line)
                    return

    # What depends on it

    def _take_dependents(self) -> bool:
        """Take out what agrees with nothing, or need not have a value; False: nothing is left of that."""
        before = len(self._said)
        order = self._whole.order
        known = self._bound
        if order is not None:
            uses = [use for use in self._uses(order, ()) if use.name in self._lost]
            for use in uses:
                if not any(use.agrees_with(other) for other in uses if other is not use):
                    self._drop(use.pattern, use.field, self._lost[use.name])
            if len(self._said) > before:
                return True
            known |= self._follow(order, known)
        for pattern in self._whole.never:
            self._need(pattern, known)
        return len(self._said) > before

    def _uses(self, item: Item, branches: tuple[tuple[int, int], ...]) -> Iterator[_Use]:
        """Every place that gives a free variable its value or asks for the value that it has."""
        if isinstance(item, Pattern) and item not in self._out:
            for field, constraint in self._out.fields_of(item):
                if isinstance(constraint, Variable) and constraint.name not in self._bound:
                    yield _Use(item, field, constraint.name, branches)
        for number, part in enumerate(parts_of(item)):
            inside = (*branches, (id(item), number)) if isinstance(item, OneOf) else branches
            yield from self._uses(part, inside)

    def _follow(self, item: Item, known: frozenset[str]) -> frozenset[str]:
        """The variables that surely have a value behind ``item``, besides those before it."""
        match item:
            case Pattern():
                if item in self._out:
                    return frozenset()
                found = frozenset(c.name for _, c in self._out.fields_of(item) if isinstance(c, Variable))
                for field, constraint in list(self._out.fields_of(item)):
                    if isinstance(constraint, Not) and isinstance(constraint.of, Variable):
                        name = constraint.of.name
                        if name in self._lost and name not in known | found:
                            self._drop(item, field, self._lost[name])
                return found
            case Never(patterns=patterns):
                for pattern in patterns:
                    self._need(pattern, known)
                return frozenset()
            case OneOf(items=items):
                return frozenset.intersection(*[self._follow(part, known) for part in items])
            case AnyOrder(items=items):
                return frozenset().union(*[self._follow(part, known) for part in items])
            case Optional(of=of):
                self._follow(of, known)
                return frozenset()
            case Repeat(of=of, minimum=minimum):
                found = self._follow(of, known)
                return found if minimum else frozenset()
            case _:
                found = frozenset()
                for part in parts_of(item):
                    found |= self._follow(part, known | found)
                return found

    def _need(self, pattern: Pattern, known: frozenset[str]) -> None:
        """Keep what is forbidden only if its variables have a value."""
        if pattern not in self._out:
            for field, constraint in pattern.fields:
                for name in _named(((field, constraint),)):
                    if name in self._lost and name not in known:
                        self._take(pattern, field, self._lost[name])

    # What is left

    def _reduced(self, order: Sequence) -> Sequence | None:
        """None where nothing is left that must come."""
        reduced = self._out.left_of(order)
        if reduced is None or may_be_missing(reduced):
            if reduced is not None:
                why = "nothing else of it must come"
                self._say("order", why, order.line, count_of_item(reduced))
            return None
        assert isinstance(reduced, Sequence)
        return reduced


def _named(fields: Iterable[tuple[str, Constraint]]) -> Iterator[str]:
    """The variables that constraints name."""
    for _, constraint in fields:
        of = constraint.of if isinstance(constraint, Not) else constraint
        if isinstance(of, Variable):
            yield of.name


def _nearest(items: Iterable[Item]) -> Iterator[Item]:
    """Those that may be the first to come: up to the first that must."""
    for item in items:
        yield item
        if not may_be_missing(item):
            return
