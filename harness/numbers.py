"""The numbers that a driver gives its lines: which are new, which came before, and which never came.

A driver counts its lines from 1 (or from 0). Two processors print at once, so numbers may arrive out of
order; a number that comes a second time has one of three causes, each another's doing (:class:`Arrival`).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from harness.events import Driver, Event

__all__ = ["BATCH", "MAX_GAPS", "REMEMBERED", "TIME_SLACK", "Arrival", "Missing", "Numbers"]

MAX_GAPS = 4096
"""Ranges of numbers that are still to come; the lowest beyond that are given up."""

REMEMBERED = 4096
"""Numbers, back from the highest, whose lines are known well enough to tell a repeated line from another."""

BATCH = 256
"""Events to take at once: a batch in which every number is in its turn costs least (see
:meth:`Numbers.take_in_turn`), and one in which two are swapped costs what its events cost one by one."""

TIME_SLACK = 10_000_000
"""100 ns units by which a line may be late: a callback may be interrupted before it prints."""

_SHOWN_GAPS = 16
_seq, _line, _time = map(attrgetter, ("seq", "line", "time"))


class Arrival(enum.Enum):
    """What one more numbered line means."""

    NEW = "new"
    """A number that had not come yet, in its turn or late."""
    BEGINS = "begins"
    """The first line of a load of the driver: it counts anew."""
    REPEATED = "repeated"
    """The same line again, byte for byte: the transport delivered it twice."""
    REUSED = "reused"
    """Another line with the number of an earlier one: the driver's doing."""
    WENT_BACK = "went back"
    """Numbers and clock of the target went back, as when a VM is put back to a snapshot."""


class Missing(NamedTuple):
    """Numbers of one load that never came."""

    lost: int
    """After the first number that came."""
    before: int
    """Before it: printed before the capture began, or lost, as the caller knows."""
    gaps: tuple[tuple[int, int], ...]
    """The first of the ranges that are lost, both ends included."""
    gaps_before: tuple[tuple[int, int], ...]
    """The first of the ranges before."""


class Numbers:
    """The numbers of one load of the driver at a time; memory does not grow with them.

    :ivar next: the number after the highest so far; None before the first, so that it is no number's equal.
    :ivar latest: the latest target time (100 ns units) of a line of this load; -1 before the first.
    """

    __slots__ = (
        "_before",
        "_began",
        "_ceiling",
        "_closed",
        "_first",
        "_floor",
        "_forgotten",
        "_gaps",
        "_gaps_before",
        "_hashes",
        "_lost",
        "_lowest",
        "_missing",
        "latest",
        "next",
    )

    def __init__(self) -> None:
        self._hashes = [0] * REMEMBERED
        self.reset()

    def reset(self) -> None:
        """Forget everything: another boot."""
        self.next: int | None = None
        self.latest = -1
        self._first: Event | None = None
        self._lowest = 1  # what a load begins with
        self._began = 1
        self._missing: dict[int, int] = {}  # first → last number of a range
        self._forgotten = -1
        self._closed = False
        self._floor = 1  # a driver may count from 1
        self._ceiling: int | None = None
        self._forget_missing()

    def _forget_missing(self) -> None:
        self._lost = self._before = 0
        self._gaps: list[tuple[int, int]] = []
        self._gaps_before: list[tuple[int, int]] = []

    def begin_part(self) -> None:
        """From here on only the numbers after the highest so far are told as missing."""
        self._floor = max(self.next or 0, 1)
        self._forget_missing()

    def end_part(self) -> None:
        """Numbers after the highest so far are not told as missing, should they not come in this load."""
        self._ceiling = self.next

    def is_of_part(self, seq: int) -> bool:
        """Is it a number of this load between the beginning of the part and its end?"""
        return self._floor <= seq and (self._ceiling is None or seq < self._ceiling)

    def take(self, event: Event, seq: int) -> Arrival:
        """Take the next line; ``seq`` is its number.

        Where it :attr:`~Arrival.BEGINS` or :attr:`~Arrival.WENT_BACK` the numbers before are forgotten:
        :meth:`foretell` says so beforehand, in time to ask :meth:`missing`.
        """
        if seq == self.next:
            self.next = seq + 1
            self._hashes[seq % REMEMBERED] = hash(event.line)
            time = event.time
            if time is not None and time > self.latest:
                self.latest = time
            return Arrival.NEW
        arrival = self.foretell(event, seq)
        if arrival in (Arrival.BEGINS, Arrival.WENT_BACK):
            self._begin(event, seq)
        elif arrival is Arrival.NEW:
            self._fill(seq)
            self._remember(event, seq)
        return arrival

    def take_in_turn(self, events: Sequence[Event]) -> bool:
        """Take lines at once where all have a number and each follows the one before; False: none was taken.

        The same as :meth:`take` of each, several times as fast. At most :data:`REMEMBERED` lines.
        """
        first, count = self.next, len(events)
        if (
            first is None
            or count > REMEMBERED
            or list(map(_seq, events)) != list(range(first, first + count))
        ):
            return False
        self.next = first + count
        hashes = list(map(hash, map(_line, events)))
        place = first % REMEMBERED
        room = REMEMBERED - place
        self._hashes[place : place + count] = hashes[:room]
        self._hashes[: max(count - room, 0)] = hashes[room:]
        try:
            self.latest = max(self.latest, max(map(_time, events), default=-1))
        except TypeError:  # a line without a time: looked for only then, for few have none
            self.latest = max(self.latest, *(time for time in map(_time, events) if time is not None), -1)
        return True

    def foretell(self, event: Event, seq: int) -> Arrival:
        """What :meth:`take` would say."""
        if seq == self.next:
            return Arrival.NEW
        if self._begins(event, seq):
            return Arrival.BEGINS
        assert self.next is not None
        if seq >= self.next:
            return Arrival.NEW
        time = event.time
        back = time is not None and time + TIME_SLACK < self.latest
        if self._is_missing(seq):
            return Arrival.WENT_BACK if back and 1 <= seq < self._began else Arrival.NEW
        if seq <= self._forgotten:
            return Arrival.NEW
        if back:
            return Arrival.WENT_BACK
        if self._is_same_line(event, seq):
            return Arrival.REPEATED
        if time is not None and time < self.latest and self.next - seq > REMEMBERED:
            return Arrival.WENT_BACK  # too far back for two processors that took one number
        return Arrival.REUSED

    def close(self) -> None:
        """The driver has said its last: a number that came already may now begin the next load."""
        self._closed = True

    def missing(self) -> Missing:
        """What has not come of this load."""
        lost, before = self._lost, self._before
        gaps, gaps_before = list(self._gaps), list(self._gaps_before)
        for first, last in sorted(self._missing.items()):
            first, last = self._in_part(first, last)
            if last < first:
                continue
            if last < self._began:
                before += last - first + 1
                gaps_before.append((first, last))
            else:
                lost += last - first + 1
                gaps.append((first, last))
        return Missing(lost, before, tuple(gaps[:_SHOWN_GAPS]), tuple(gaps_before[:_SHOWN_GAPS]))

    def _remember(self, event: Event, seq: int) -> None:
        self._hashes[seq % REMEMBERED] = hash(event.line)
        time = event.time
        if time is not None and time > self.latest:
            self.latest = time

    def _is_same_line(self, event: Event, seq: int) -> bool:
        assert self.next is not None
        recent = self.next - seq <= REMEMBERED
        return recent and event.line != "" and self._hashes[seq % REMEMBERED] == hash(event.line)

    def _is_missing(self, seq: int) -> bool:
        return any(first <= seq <= last for first, last in self._missing.items())

    def _begins(self, event: Event, seq: int) -> bool:
        """Does the line begin to count? Then it is the first of a load, and its number is new."""
        if self._first is None or self.next is None:
            return True
        early, time = self._first.time, event.time
        if self._closed and seq < self.next and not self._is_missing(seq):
            return not self._is_same_line(event, seq) and (time is None or time >= self.latest)
        if seq > self._lowest:
            return False
        if early is None or time is None:
            return True
        if self._is_missing(seq):
            return time > early + TIME_SLACK
        if isinstance(event, Driver) and event.function == "DriverEntry":
            return time != early
        return self.next > self._lowest + 1 and time != early

    def _begin(self, event: Event, seq: int) -> None:
        self.reset()
        self._first = event
        self._began = seq
        self._lowest = min(seq, 1)
        # The 0 stays open for good where a driver counts from 1.
        self._missing = {0: seq - 1} if seq > 0 else {}
        self.next = seq + 1
        self._remember(event, seq)

    def _fill(self, seq: int) -> None:
        after = self.next
        assert after is not None
        if seq >= after:
            if seq > after:
                self._missing[after] = seq - 1
                self._bound()
            self.next = seq + 1
            return
        self._lowest = min(seq, self._lowest)
        for first, last in self._missing.items():
            if first <= seq <= last:
                del self._missing[first]
                if first < seq:
                    self._missing[first] = seq - 1
                if seq < last:
                    self._missing[seq + 1] = last
                self._bound()
                return

    def _bound(self) -> None:
        if len(self._missing) > MAX_GAPS:
            first = min(self._missing)
            self._give_up(first, self._missing.pop(first))

    def _give_up(self, first: int, last: int) -> None:
        self._forgotten = max(self._forgotten, last)
        first, last = self._in_part(first, last)
        if last < first:
            return
        if last < self._began:
            self._before += last - first + 1
            if len(self._gaps_before) < _SHOWN_GAPS:
                self._gaps_before.append((first, last))
        else:
            self._lost += last - first + 1
            if len(self._gaps) < _SHOWN_GAPS:
                self._gaps.append((first, last))

    def _in_part(self, first: int, last: int) -> tuple[int, int]:
        """What of a range is told as missing, if anything."""
        return max(first, self._floor), last if self._ceiling is None else min(last, self._ceiling - 1)
