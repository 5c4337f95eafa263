"""What a line grammar understands of a log: how many lines fit each form, and which fit none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from harness.events import Event, Marker, Print
from harness.lines import EventAssembler, Form, Grammar, Misfit

__all__ = ["SHOWN_LEFT", "LeftLine", "Understanding", "read_again"]

SHOWN_LEFT: Final = 20
"""Lines that fit nothing which are kept; the others are counted."""


@dataclass(frozen=True)
class LeftLine:
    """A line that fits no form."""

    number: int
    """Which line of the log it is, from 1; empty ones are not counted."""
    line: str
    misfit: Misfit


class Understanding:
    """Folds the events that a grammar made of a log; memory does not grow with their number."""

    def __init__(self, grammar: Grammar) -> None:
        self.counts: Counter[Form] = Counter()
        self.overlaps: Counter[tuple[Form, Form]] = Counter()
        """Of a form that read a line, and another that would have, too: how many such lines."""
        self.markers = 0
        self.ignored = 0
        self.left = 0
        self.left_lines: list[LeftLine] = []
        """The first of them."""
        self.lines = 0
        self._grammar = grammar

    def feed(self, events: Iterable[Event]) -> None:
        """Take the next events, as :class:`~harness.lines.EventAssembler` makes them."""
        for event in events:
            if event.line:
                self._take(event)

    def _take(self, event: Event) -> None:
        first, *more = event.line.split("\n") if not self._grammar.by_print else [event.line]
        self.lines += 1 + len(more)
        if isinstance(event, Marker):
            self.markers += 1
        elif isinstance(event, Print):
            self._left(event.line)
        else:
            form, *others = self._grammar.fitting(first)
            self.counts[form] += 1
            self.overlaps.update((form, other) for other in others if other.kind != form.kind)

    def _left(self, line: str) -> None:
        if self._grammar.ignores(line):
            self.ignored += 1
            return
        self.left += 1
        if len(self.left_lines) < SHOWN_LEFT:
            self.left_lines.append(LeftLine(self.lines, line, self._grammar.misfit(line)))


def read_again(events: Iterable[Event], grammar: Grammar) -> Iterator[Event]:
    """The events that ``grammar`` makes of the lines of a recording, whatever made events of them before."""
    assembler = EventAssembler(grammar)
    for event in events:
        if event.line:
            yield from assembler.feed(f"{event.line}\n", event.host_time, event.cpu)
    yield from assembler.flush()
