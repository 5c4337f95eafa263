"""The trace around the events that matter to a failure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from harness.events import Event
from harness.order.result import Mark, Row

__all__ = ["around", "events_at", "rows_around", "rows_of"]

_AROUND = 4
"""Events shown before and after a place."""


def rows_around(events: Iterable[Event], marks: Mapping[int, Mark], places: Iterable[int]) -> tuple[Row, ...]:
    """The trace around some places."""
    return rows_of(events_at(events, around(places)), marks, places)


def rows_of(shown: Mapping[int, Event], marks: Mapping[int, Mark], places: Iterable[int]) -> tuple[Row, ...]:
    """The same, of events that are at hand."""
    return tuple(Row(shown[n], marks.get(n)) for n in sorted(around(places)) if n in shown)


def events_at(events: Iterable[Event], wanted: set[int]) -> dict[int, Event]:
    """Some events by their index."""
    end = max(wanted, default=-1) + 1
    return {event.index: event for event in islice(events, end) if event.index in wanted}


def around(places: Iterable[int]) -> set[int]:
    """The indexes of what is shown around some places."""
    return {n for place in places for n in range(place - _AROUND, place + _AROUND + 1)}
