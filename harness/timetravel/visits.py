"""Which events are visited, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from harness.errors import UsageError
from harness.timetravel.session import PlayedBack, Travelling, Visit

__all__ = ["Visits"]


class Visits:
    """First the events that are named, then steps back from the last of them.

    :param events: by their index in the trace; none: the one that the run ended with.
    :param back: each so many events before the visit before it, from 1.
    """

    def __init__(self, events: Sequence[int], back: Sequence[int]) -> None:
        self._events = events
        self._back = back
        self._order: list[int] = []

    def first(self, played: PlayedBack) -> int:
        """The first event of a run that was played.

        :raises UsageError: one of the events is none of the run's.
        """
        named = list(self._events) or [played.end]
        self._order = named[:-1] + list(accumulate(self._back, int.__sub__, initial=named[-1]))
        for event in self._order:
            if not 0 <= event < played.events:
                way = f"events 0 to {played.events - 1}"
                raise UsageError(f"there is no event {event}: the run has {way}", hint="see its trace")
        return self._order[0]

    def of(self, travelling: Travelling) -> Iterator[Visit]:
        """All of them, the first of which is where it stands."""
        yield travelling.visited
        for event in self._order[1:]:
            yield travelling.visit(event)
