"""Are lines missing? What the driver's own counters prove.

Our driver numbers its lines from 1 (``seq``) and prints at unload how many events of each kind it reported.
Lines may arrive out of order, for two processors print at once; only a number that never arrives is a loss.
Loading the driver again starts a new session with its own numbers.
"""

from __future__ import annotations

import msgspec

from harness.callbacks import COUNTERS
from harness.events import Driver, Event, kind_of

__all__ = ["MAX_GAPS", "LossCounter", "LossReport"]

MAX_GAPS = 4096
"""Ranges of missing numbers kept open for late lines; the oldest are counted as lost beyond that."""

_SHOWN_GAPS = 16


class LossReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is missing. Nothing is, if :attr:`complete`."""

    lost: int = 0
    """Numbers that never arrived, of sessions whose beginning was captured or after their first line seen."""
    gaps: tuple[tuple[int, int], ...] = ()
    """The first of those ranges, both ends included."""
    repeated: int = 0
    """Lines whose number had already arrived."""
    before: int = 0
    """Lines printed before the capture began (the driver was already running)."""
    miscounted: tuple[str, ...] = ()
    """Kinds whose total at unload differs from what arrived, each as a sentence."""

    @property
    def complete(self) -> bool:
        """No line is proved missing."""
        return not self.lost and not self.miscounted

    def __str__(self) -> str:
        found = list(self.miscounted)
        if self.lost:
            ranges = ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in self.gaps)
            found.insert(
                0, f"{self.lost} line{'s' * (self.lost > 1)} of the driver never arrived (seq {ranges})"
            )
        return "; ".join(found) or "no line is missing"


class LossCounter:
    """Folds events into a :class:`LossReport`; memory does not grow with the number of events."""

    __slots__ = (
        "_before",
        "_counts",
        "_gaps",
        "_lost",
        "_miscounted",
        "_missing",
        "_open",
        "_registered",
        "_repeated",
        "_start_time",
        "highest",
    )

    def __init__(self) -> None:
        self._lost = self._repeated = self._before = 0
        self._gaps: list[tuple[int, int]] = []
        self._miscounted: list[str] = []
        self._begin()

    def _begin(self) -> None:
        self.highest = 0
        """The highest number of this session; the next line is expected to carry the one after it."""
        self._missing: dict[int, int] = {}  # first → last number of a range, oldest range first
        self._counts = dict.fromkeys(COUNTERS, 0)
        self._registered = False
        self._open = False
        self._start_time: int | None = None

    def add(self, event: Event) -> None:
        """Take one event, in capture order."""
        if event.seq is not None:
            self.number(event.seq, event.time)
        kind = kind_of(event)
        if kind in self._counts:
            self._counts[kind] += 1
        elif isinstance(event, Driver):
            self.driver(event)

    def number(self, seq: int, time: int | None) -> bool:
        """Take the number of a line; False when it had already arrived."""
        if seq == 1:
            if self.highest and 1 not in self._missing:
                if time == self._start_time:
                    self._repeated += 1
                    return False
                self._end()
            self._start_time = time
        self._open = True
        if seq > self.highest:
            if seq > self.highest + 1:
                self._miss(self.highest + 1, seq - 1)
            self.highest = seq
            return True
        for first, last in self._missing.items():
            if first <= seq <= last:
                del self._missing[first]
                if first < seq:
                    self._missing[first] = seq - 1
                if seq < last:
                    self._missing[seq + 1] = last
                return True
        self._repeated += 1
        return False

    def driver(self, event: Driver) -> None:
        """Take a line about the driver itself: a registration begins a session, the totals end it."""
        if event.totals is None:
            self._registered |= event.function == "DriverEntry"
            self._open = True
            return
        if self._registered:
            for kind in COUNTERS:
                said, arrived = getattr(event.totals, kind), self._counts[kind]
                if said != arrived:
                    self._miscounted.append(f"the driver reported {said} {kind}, {arrived} arrived")
        self._end()

    def count(self, kind: str, number: int) -> None:
        """Take ``number`` events of that kind at once; the same as adding each, their ``seq`` aside."""
        self._counts[kind] += number

    def report(self) -> LossReport:
        """What is missing if nothing else comes."""
        lost, before, gaps = self._lost, self._before, list(self._gaps)
        for first, last in sorted(self._missing.items()):
            if first == 1 and not self._registered:
                before += last
            else:
                lost += last - first + 1
                gaps.append((first, last))
        return LossReport(
            lost=lost,
            gaps=tuple(gaps[:_SHOWN_GAPS]),
            repeated=self._repeated,
            before=before,
            miscounted=tuple(self._miscounted[:_SHOWN_GAPS]),
        )

    def _miss(self, first: int, last: int) -> None:
        self._missing[first] = last
        if len(self._missing) > MAX_GAPS:
            first = next(iter(self._missing))
            self._give_up(first, self._missing.pop(first))

    def _give_up(self, first: int, last: int) -> None:
        if first == 1 and not self._registered:
            self._before += last
        else:
            self._lost += last - first + 1
            if len(self._gaps) < _SHOWN_GAPS:
                self._gaps.append((first, last))

    def _end(self) -> None:
        for first, last in sorted(self._missing.items()):
            self._give_up(first, last)
        self._begin()
