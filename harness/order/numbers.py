"""The numbers that a driver gives its lines: which of them are new?"""

from __future__ import annotations

from harness.events import Driver, Event

__all__ = ["MAX_GAPS", "Numbers"]

MAX_GAPS = 4096
"""Ranges of numbers that are still to come; of the oldest beyond that nothing is said any more."""

_SLACK = 10_000_000
"""100 ns units by which a line may be late."""


class Numbers:
    """The numbers of one load of the driver, from 1 (or from 0); they may arrive out of order.

    :ivar next: the number after the highest so far; None before the first, so that it is no number's equal.
    """

    __slots__ = ("_first", "_forgotten", "_lowest", "_missing", "next")

    def __init__(self) -> None:
        self.next: int | None = None
        self._first: Event | None = None
        self._lowest = 1  # what a load begins with
        self._missing: dict[int, int] = {}  # first → last number of a range, oldest range first
        self._forgotten = -1

    def begins(self, event: Event, seq: int) -> bool:
        """Does ``event`` begin to count? Then it is the first of a load, and its number is new."""
        if self._first is None or self.next is None:
            return True
        if seq > self._lowest:
            return False
        early, time = self._first.time, event.time
        if early is None or time is None:
            return True
        if any(first <= seq <= last for first, last in self._missing.items()):
            return time > early + _SLACK
        if isinstance(event, Driver) and event.function == "DriverEntry":
            return time != early
        return self.next > self._lowest + 1 and time != early

    def begin(self, event: Event, seq: int) -> None:
        """Count anew from ``event`` on; numbers below ``seq`` may still come."""
        self._first = event
        self._lowest = min(seq, 1)
        # The 0 stays open for good where a driver counts from 1.
        self._missing = {0: seq - 1} if seq > 0 else {}
        self._forgotten = -1
        self.next = seq + 1

    def take(self, seq: int) -> bool:
        """Take a number of this load; False when it had come before."""
        after = self.next
        if after is None or seq >= after:
            if after is not None and seq > after:
                self._missing[after] = seq - 1
                if len(self._missing) > MAX_GAPS:
                    dropped = self._missing.pop(next(iter(self._missing)))
                    self._forgotten = max(self._forgotten, dropped)
            self.next = seq + 1
            return True
        self._lowest = min(seq, self._lowest)
        for first, last in self._missing.items():
            if first <= seq <= last:
                del self._missing[first]
                if first < seq:
                    self._missing[first] = seq - 1
                if seq < last:
                    self._missing[seq + 1] = last
                return True
        return seq <= self._forgotten
