"""The search: does an assignment of distinct events to patterns exist that keeps the order?

Every way in which the events so far can stand for the patterns so far is followed at once, one event at a
time, but for those that another one dominates (:mod:`harness.order.dominance`). An event is shown to the ways
that wait for the like of it and to those that it might stop (:mod:`harness.order.index`), not to all. So the
search is complete, it reads the trace once, and what it costs grows neither with the length of the order nor
with that of the trace but with the trace's ambiguity, which has a limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from harness.errors import SearchBudgetError
from harness.events import Event, Reboot
from harness.order.block import Block
from harness.order.dominance import Position, given_names, keeps_all_of
from harness.order.index import PatternIndex
from harness.order.patterns import Bindings, CompiledPattern, Value
from harness.order.terms import Claim, Done, Term, begin, claims, may_skip, without_times
from harness.order.ways import Assigned, Likeness, Standing, Way

__all__ = ["MAX_WAYS", "Search"]

MAX_WAYS = 20_000
"""Ways followed at once; a trace that needs more is too ambiguous to be judged."""


class Search:
    """Feed it the events of a trace, then ask for the :attr:`witness`.

    :param block: what is expected.
    :param bindings: values that are given beforehand.
    :ivar furthest: the way that claimed most events; where it came first, the earliest.
    :ivar forbidden: the first event that a trace-wide ``never`` without free variables forbids.
    :ivar nothing_in_scope: no event was in scope; told only of a block without an order.
    :ivar exhausted: set where the trace was too ambiguous. Then no order is searched any more, and neither
        its being kept nor its being broken is proved; :attr:`forbidden` is still looked for.
    """

    def __init__(self, block: Block, bindings: Bindings) -> None:
        self._block = block
        self._given = bindings
        self.forbidden: Assigned | None = None
        self.nothing_in_scope = block.order is None
        self.exhausted: SearchBudgetError | None = None
        self._scope: PatternIndex[CompiledPattern] = PatternIndex()
        for pattern in block.scope:
            self._scope.add(pattern, {}, pattern)
        self._never: PatternIndex[CompiledPattern] = PatternIndex()
        for pattern in block.never:
            self._never.add(pattern, {}, pattern)
        self._suspects: list[tuple[CompiledPattern, Event]] = []

        self._kept = frozenset().union(*(pattern.names for pattern in block.never))
        self._forget_ways()
        self._floor: Position = ()
        self._found = 0
        self._begin()

    def _forget_ways(self) -> None:
        self._waiting: PatternIndex[Way] = PatternIndex()
        self._ways: dict[Way, None] = {}
        self._alike: dict[Likeness, list[Way]] = {}
        self._at_every_event: dict[Way, None] = {}

    def _begin(self) -> None:
        order = self._block.order
        if order is None:
            ways: list[tuple[Term, Bindings]] = [(Done(), {})]
        else:
            names = self._kept | order.names
            known = {name: value for name, value in self._given.items() if name in names}
            ways = list(islice(begin(order, known), MAX_WAYS + 1))
        begun = [self._way(term, bound) for term, bound in ways]
        self.furthest = begun[0]
        if len(ways) > MAX_WAYS:
            self.exhausted = _too_many("at its beginning", "ways to read the trace are open")
            return
        for way in begun:
            self._admit(way)
        self._drop_behind([way for way in begun if way in self._ways], None)

    def feed(self, events: Iterable[Event]) -> None:
        """Take the next events of the trace."""
        waiting, never = self._waiting.find, self._never.find
        forbids = bool(self._block.never)
        for event in events:
            if type(event) is Reboot:
                self._forget_times()
            found = waiting(event)
            if (
                found or self._at_every_event or self.nothing_in_scope or (forbids and never(event))
            ) and self._in_scope(event):
                try:
                    self._step(event, found)
                except SearchBudgetError as error:
                    self.exhausted = error
                    self._forget_ways()
                    waiting = self._waiting.find

    def _in_scope(self, event: Event) -> bool:
        if type(event) not in self._block.types:
            return False
        return not self._block.scope or any(
            pattern.match(event, {}) is not None for pattern in self._scope.find(event)
        )

    def _step(self, event: Event, found: list[Way]) -> None:
        """Take an event in scope that may concern the ways in ``found``, and those that look at all."""
        self.nothing_in_scope = False
        for pattern in self._never.find(event):
            if type(event) not in pattern.types or not pattern.may_match(event):
                continue
            if pattern.names:
                if self.exhausted is None:
                    self._suspects.append((pattern, event))
            elif self.forbidden is None:
                self.forbidden = Assigned(pattern, event.index)
        if len(self._suspects) > MAX_WAYS:
            raise _too_many(f"at event {event.index}", "events may be forbidden")
        concerned = sorted({*found, *self._at_every_event}, key=lambda way: way.number)
        claimed: list[tuple[Way, list[Claim]]] = []
        for way in concerned:
            ways = list(islice(claims(way.term, event, way.bindings), MAX_WAYS + 1))
            if len(ways) > MAX_WAYS:
                raise _too_many(f"at event {event.index}", "ways to read the trace are open")
            if ways:
                claimed.append((way, ways))
        for way in concerned:
            if self._block.only or (way.outlook.guarded and not may_skip(way.term, event, way.bindings)):
                self._remove(way)
        before = self._found
        for way, ways in claimed:
            self._follow(way, ways, event)
        for way in reversed(self._ways):
            if way.number <= before:
                break
            way.forget_dropped(self._ways)

    def _follow(self, parent: Way, found: list[Claim], event: Event) -> None:
        """Go on from ``parent`` in every way in which it can claim ``event``."""
        by_pattern: dict[CompiledPattern, list[Claim]] = {}
        for claim in found:
            by_pattern.setdefault(claim[2], []).append(claim)
        for pattern, given in by_pattern.items():
            ways = []
            for term, bound, _ in given:
                way = self._known(parent, term, bound)
                if way is None:
                    new = self._way(term, bound, parent, (pattern, event.index))
                    way = self._admit(new)
                    if new.claimed > self.furthest.claimed:
                        self.furthest = new
                if way is not None:
                    ways.append(way)
            if len(self._ways) > MAX_WAYS:
                raise _too_many(f"at event {event.index}", "ways to read the trace are open")
            if self._block.only:
                continue
            # A way that a child is alike to stands for the child: not to be dropped on its account.
            if parent in self._ways and parent not in ways and self._replaces(parent, pattern, ways):
                self._remove(parent)
            self._drop_behind(ways, parent)

    def _known(self, parent: Way, term: Term, bindings: Bindings) -> Way | None:
        """The way that is followed already and is alike to one that ``parent`` gives, where that is plain."""
        if bindings or parent.claimed >= self.furthest.claimed:
            return None
        alike = self._alike.get(Likeness(term, {}), ())
        return alike[0] if alike and not alike[0].has_slack else None

    @staticmethod
    def _replaces(parent: Way, pattern: CompiledPattern, ways: list[Way]) -> bool:
        """Do the ways that a claim for ``pattern`` gives dominate the one that made the claim?"""
        new = [name for _, name in pattern.variables if name not in parent.bindings]
        if any(name in way.bound for name in new for way in ways):
            return False
        return keeps_all_of(parent.term, pattern)

    def _drop_behind(self, ways: list[Way], parent: Way | None) -> None:
        """Drop what is behind the furthest place that ``ways``, all that one claim gave, have begun anew.

        Each stands for itself or for one that it is alike to; those below the floor are left out.
        """
        place = max((way.position for way in ways), default=self._floor)
        if self._block.only or place <= (self._floor if parent is None else parent.position):
            return
        begun = [way for way in ways if way.position == place]
        if not all(way.outlook.loose for way in begun):
            return
        bound: set[tuple[str, Value]] = set()
        for way in begun:
            if way.bound:
                given = given_names(way.term)
                bound.update(item for item in way.bound.items() if item[0] not in given)
        if not bound:
            if place > self._floor:
                self._floor = place
                for way in [way for way in self._ways if way.position < place]:
                    self._remove(way)
            return
        while parent is not None and (
            parent not in self._ways or (parent.position < place and bound <= parent.bindings.items())
        ):
            self._remove(parent)
            parent = parent.parent

    def _way(
        self,
        term: Term,
        bindings: Bindings,
        parent: Way | None = None,
        claim: tuple[CompiledPattern, int] | None = None,
    ) -> Way:
        self._found += 1
        return Way(term, bindings, self._kept, self._found, parent, claim)

    def _admit(self, way: Way) -> Way | None:
        """Follow ``way`` unless it is dominated; the way that is followed for it, None below the floor."""
        if way.position < self._floor:
            return None
        alike = self._alike.setdefault(way.key, [])
        for other in alike:
            if other.leaves_as_much_room_as(way):
                return other
        for other in [other for other in alike if way.leaves_as_much_room_as(other)]:
            self._remove(other)
        self._alike.setdefault(way.key, alike).append(way)
        self._ways[way] = None
        if self._block.only or way.outlook.strict:
            self._at_every_event[way] = None
        else:
            for pattern in (*way.outlook.heads, *way.outlook.never):
                self._waiting.add(pattern, way.bindings, way)
        return way

    def _remove(self, way: Way) -> None:
        if way not in self._ways:
            return
        del self._ways[way]
        alike = self._alike[way.key]
        alike.remove(way)
        if not alike:
            del self._alike[way.key]
        if way in self._at_every_event:
            del self._at_every_event[way]
        else:
            for pattern in (*way.outlook.heads, *way.outlook.never):
                self._waiting.remove(pattern, way.bindings, way)

    def _forget_times(self) -> None:
        """The target's clock began anew: what counts from an event before is not known any more."""
        for way in [way for way in self._ways if way.outlook.limited]:
            self._remove(way)
            self._admit(self._way(without_times(way.term), way.bindings, way))

    def witness(self) -> Standing | None:
        """After the last event: a way on which everything was found and nothing forbidden, or None."""
        if self.forbidden is not None or self.exhausted is not None:
            return None
        for way in self._ways:
            if isinstance(way.term, Done) and self.forbidden_under(way.bindings) is None:
                return way.standing(self._given)
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
        return next((way.standing(self._given) for way in found), None)

    @property
    def standing(self) -> Standing:
        """The way that came furthest."""
        return self.furthest.standing(self._given)


def _too_many(where: str, what: str) -> SearchBudgetError:
    return SearchBudgetError(
        f"the trace is too ambiguous to be judged: {where} more than {MAX_WAYS} {what}",
        hint="bind more variables, name an image, or narrow the scope",
    )
