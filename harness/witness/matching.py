"""Which line reports which call: as many pairs as can be made of lines and calls that say the same."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from harness.events import Event, ImageLoad, kind_of
from harness.witness.fields import (
    COMPARED,
    FieldSet,
    Signature,
    fields_carried,
    image_token,
    same_fields,
    same_value,
    signature,
)

__all__ = ["MAX_COMPARISONS", "Matching", "TooManyDiffer"]

MAX_COMPARISONS: Final = 1_000_000
"""Pairs of a line and a call that are looked at where they do not fall into place at once."""


class TooManyDiffer(Exception):
    """:data:`MAX_COMPARISONS` were not enough."""


def _carried_by_all(events: Sequence[Event]) -> FieldSet:
    """The fields to go by, where each of the events carries the same numbers; else none."""
    numbers = COMPARED[kind_of(events[0])]
    carried: list[str] = []
    for field, column in zip(numbers, zip(*map(attrgetter(*numbers), events), strict=True), strict=True):
        missing = column.count(None)
        if missing == 0:
            carried.append(field)
        elif missing < len(events):
            return ()
    # That an image has no name is said, too.
    return (*carried, "image") if isinstance(events[0], ImageLoad) else tuple(carried)


class Matching:
    """The pairs of one kind.

    A line can be paired with every call that says the same in all that the line carries. Where lines carry
    different fields the first choice may be the wrong one: what is left is tried with other pairs until none
    can be added, so that a line or a call that stays alone does so whatever the choice.

    :param printed: the lines' events, in capture order.
    :param called: the calls' events, in the order of entry.
    """

    def __init__(self, printed: Sequence[Event], called: Sequence[Event]) -> None:
        self._printed = printed
        self._called = called
        self._comparisons = 0
        self._fields: list[FieldSet] = []
        self._edges: dict[int, list[int]] = {}
        self.call_of: dict[int, int] = {}
        """Place of a line → place of its call."""
        self.line_of: dict[int, int] = {}
        """The same the other way round."""
        self.certain: set[int] = set()
        """Lines that can be paired with one call alone, which no other line can be."""
        if printed:
            self._pair_alike()
        if self.lines_left():
            self._fields = [fields_carried(event) for event in printed]
            self._pair_by_index()
            for line in self.lines_left():
                self._augment(line)

    def lines_left(self) -> list[int]:
        """Lines without a call, in order."""
        return [line for line in range(len(self._printed)) if line not in self.call_of]

    def calls_left(self) -> list[int]:
        """Calls without a line, in order."""
        return [call for call in range(len(self._called)) if call not in self.line_of]

    def calls_for(self, line: int) -> list[int]:
        """Every call that a line can be paired with.

        :raises TooManyDiffer: it cannot be found out.
        """
        if line not in self._edges:
            self._comparisons += len(self._called)
            if self._comparisons > MAX_COMPARISONS:
                raise TooManyDiffer
            event, fields = self._printed[line], self._fields[line]
            self._edges[line] = [
                place for place, call in enumerate(self._called) if same_fields(event, call, fields)
            ]
        return self._edges[line]

    def likely(self, line: int, calls: Sequence[int]) -> int | None:
        """Of some calls the one that agrees most with a line, of several the first; None of none."""
        event = self._printed[line]
        fields = fields_carried(event)
        return max(
            calls,
            key=lambda call: sum(same_value(field, event, self._called[call]) for field in fields),
            default=None,
        )

    def _pair_alike(self) -> None:
        """Lines that all carry the same, and say it as their calls do to the letter: mostly every one."""
        fields = _carried_by_all(self._printed)
        if not fields:
            return
        read = attrgetter(*fields)
        calls: dict[object, list[int]] = {}
        for call, said in enumerate(map(read, self._called)):
            calls.setdefault(said, []).append(call)
        lines: dict[object, list[int]] = {}
        for line, said in enumerate(map(read, self._printed)):
            lines.setdefault(said, []).append(line)
        for words, alike in lines.items():
            places = calls.get(words, ())
            self.call_of.update(zip(alike, places, strict=False))
            self.line_of.update(zip(places, alike, strict=False))
            if len(alike) == len(places) == 1:
                self.certain.add(alike[0])

    def _pair_by_index(self) -> None:
        """Of the others what is spelt alike, in order."""
        tables: dict[FieldSet, dict[tuple[Signature, str], deque[int]]] = {}
        for fields in dict.fromkeys(self._fields):
            table: dict[tuple[Signature, str], deque[int]] = defaultdict(deque)
            for place in self.calls_left():
                call = self._called[place]
                said = signature(call, fields)
                table[said, image_token(call)].append(place)
                if image_token(call):
                    table[said, ""].append(place)
            tables[fields] = table
        for line in self.lines_left():
            event, fields = self._printed[line], self._fields[line]
            calls = tables[fields].get((signature(event, fields), image_token(event)), deque())
            while calls and calls[0] in self.line_of:
                calls.popleft()
            if calls and same_fields(event, self._called[calls[0]], fields):
                self._pair(line, calls.popleft())

    def _pair(self, line: int, call: int) -> None:
        self.call_of[line] = call
        self.line_of[call] = line

    def _augment(self, line: int) -> None:
        """Find a call for a line, letting other lines change theirs."""
        came_from: dict[int, int] = {}
        queue = deque([line])
        while queue:
            asking = queue.popleft()
            for call in self.calls_for(asking):
                if call in came_from:
                    continue
                came_from[call] = asking
                owner = self.line_of.get(call)
                if owner is not None:
                    queue.append(owner)
                    continue
                self._let_go(line, call, came_from)
                return

    def _let_go(self, line: int, call: int, came_from: dict[int, int]) -> None:
        while True:
            asking = came_from[call]
            before = self.call_of.get(asking)
            self._pair(asking, call)
            self.certain.discard(asking)
            if asking == line or before is None:
                return
            call = before
