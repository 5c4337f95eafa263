"""Are lines missing? What the driver's own counters prove.

Our driver numbers its lines from 1 (``seq``) and prints at unload how many events of each kind it reported.
Lines may arrive out of order, for two processors print at once; only a number that never arrives is a loss.
Loading the driver again starts a load with its own numbers, and so does another boot of the target.

What the counters prove is not always a loss: lines that came although the driver did not count them are the
driver's doing, and numbers that went back together with the clock are the machine's.

Where the connection was closed lines may have been lost of which no number tells, for none came after them.
There it is the other way round: only numbers that go on behind such a place prove that nothing is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from harness.callbacks import CALLBACK_KINDS
from harness.events import KINDS, Disconnect, Driver, Event, Reboot, kind_of
from harness.numbers import Arrival, Numbers

__all__ = ["LossCounter", "LossReport"]

_SHOWN = 16
"""Sentences and ranges of a kind kept."""

_CALLBACKS = frozenset(kind.event for kind in CALLBACK_KINDS.values())


class LossReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the counters prove. Nothing is missing, if :attr:`complete`."""

    lost: int = 0
    """Numbers that never arrived, of loads whose beginning was captured or after their first line seen."""
    gaps: tuple[tuple[int, int], ...] = ()
    """The first of those ranges, both ends included."""
    repeated: int = 0
    """Lines that arrived a second time, byte for byte."""
    before: int = 0
    """Lines printed before the capture began (the driver was already running)."""
    miscounted: tuple[str, ...] = ()
    """Kinds of which fewer arrived than the driver counted, each as a sentence."""
    went_back: tuple[str, ...] = ()
    """Where numbers and clock of the target went back, each as a sentence."""
    uncounted: tuple[str, ...] = ()
    """Lines that arrived although the driver's totals do not count them, each as a sentence."""

    unproved: tuple[str, ...] = ()
    """Where the connection was closed and no number proves that nothing was lost, each as a sentence."""

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
        "_after",
        "_after_place",
        "_before",
        "_closed_at",
        "_counts",
        "_gaps",
        "_lost",
        "_miscounted",
        "_numbers",
        "_registered",
        "_repeated",
        "_totals",
        "_uncounted",
        "_unnumbered",
        "_unproved",
        "_went_back",
        "_whole",
    )

    def __init__(self) -> None:
        self._numbers = Numbers()
        self._begin()

    def _begin(self) -> None:
        self._lost = self._repeated = self._before = 0
        self._gaps: list[tuple[int, int]] = []
        self._miscounted: list[str] = []
        self._went_back: list[str] = []
        self._uncounted: list[str] = []
        self._unproved: list[str] = []
        self._whole = False
        self._begin_load()

    def _begin_load(self) -> None:
        self._registered = False
        self._totals: Driver | None = None
        self._counts: Counter[type] = Counter()
        self._after = 0
        self._after_place = 0
        self._unnumbered = False
        # The first event at which the connection was closed and which no number has gone beyond yet.
        self._closed_at: int | None = None

    def add_all(self, events: Sequence[Event]) -> None:
        """Take at most :data:`harness.numbers.REMEMBERED` events: the same as :meth:`add` of each, and faster
        where their numbers are in their turn."""
        kinds = Counter(map(type, events))
        if self._totals is None and kinds.keys().isdisjoint((Driver, Reboot, Disconnect)):
            numbered = [event for event in events if event.seq is not None]
            if self._numbers.take_in_turn(numbered):
                if len(numbered) < len(events):
                    printed = [event for event in events if event.witness == "print"]
                    if len(printed) < len(events):
                        kinds = Counter(map(type, printed))
                    self._unnumbered |= any(e.seq is None and type(e) in _CALLBACKS for e in printed)
                if numbered:
                    self._prove()
                self._counts.update(kinds)
                return
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Take one event, in capture order; only what was printed counts."""
        if event.witness != "print":
            return
        seq = event.seq
        if seq is not None and not self._number(event, seq):
            return
        kind = type(event)
        if seq is None and kind in _CALLBACKS:
            self._unnumbered = True
        totals = self._totals
        if totals is None:
            self._counts[kind] += 1
        elif kind_of(event) in CALLBACK_KINDS:
            if seq is not None and totals.seq is not None and seq < totals.seq:
                self._counts[kind] += 1  # late
            else:
                self._after_place = self._after_place if self._after else event.index
                self._after += 1
        if isinstance(event, Driver):
            self._driver(event)
        elif isinstance(event, Reboot):
            closed_at = self._closed_at
            self._end_load()
            self._numbers.reset()
            self._whole = False
            self._closed_at = closed_at  # the first lines of this boot may have been lost there, too
        elif isinstance(event, Disconnect) and totals is None and self._closed_at is None:
            self._closed_at = event.index

    def begin_part(self) -> None:
        """What was taken so far came before the part of the recording that is told of."""
        self._begin()
        self._numbers.begin_part()

    def end_part(self, after: Iterable[Event]) -> None:
        """The part is over; a line of it that came late, among the events ``after`` it, is not lost."""
        self._numbers.end_part()
        if self._nothing_is_missing():
            return
        for event in after:
            if self._ends_load(event) or (self._take_late(event) and self._nothing_is_missing()):
                return

    def _nothing_is_missing(self) -> bool:
        report = self.report()
        return report.complete and not report.unproved

    def _ends_load(self, event: Event) -> bool:
        """Is the load, or the boot, that the part ended in over?"""
        if event.seq is None:
            return isinstance(event, Reboot) or (
                isinstance(event, Driver) and event.function == "DriverEntry"
            )
        return self._numbers.foretell(event, event.seq) in (Arrival.BEGINS, Arrival.WENT_BACK)

    def _take_late(self, event: Event) -> bool:
        """Take an event after the part; True: it says something about the part."""
        seq = event.seq
        if seq is not None and seq == self._numbers.next:
            self._prove()
            return True
        if (
            seq is None
            or self._numbers.take(event, seq) is not Arrival.NEW
            or not self._numbers.is_of_part(seq)
        ):
            return False
        totals = self._totals
        if totals is not None and totals.seq is not None and seq < totals.seq:
            self._counts[type(event)] += 1
        return True

    def report(self) -> LossReport:
        """What is proved if nothing else comes."""
        missing = self._numbers.missing()
        whole = self._whole or self._registered
        lost = missing.lost + (missing.before if whole else 0)
        gaps = [*self._gaps, *(missing.gaps_before if whole else ()), *missing.gaps]
        miscounted, uncounted = self._judge_totals()
        return LossReport(
            lost=self._lost + lost,
            gaps=tuple(gaps[:_SHOWN]),
            repeated=self._repeated,
            # Where the numbers went back, the lines before them were counted on the first way there.
            before=self._before + (0 if whole or self._went_back else missing.before),
            miscounted=tuple([*self._miscounted, *miscounted][:_SHOWN]),
            went_back=tuple(self._went_back),
            uncounted=tuple([*self._uncounted, *uncounted][:_SHOWN]),
            unproved=tuple(dict.fromkeys([*self._unproved, *self._judge_closed()]))[:_SHOWN],
        )

    def _number(self, event: Event, seq: int) -> bool:
        """Take the number of a line; False when the line had already arrived."""
        numbers = self._numbers
        if self._goes_on(seq):
            self._prove()
        elif self._closed_at is not None and numbers.next is None:
            # Were those before it printed before the capture began, or while the connection was closed?
            self._unproved.append(_unproved(self._closed_at))
            self._closed_at = None
        if seq != numbers.next:
            arrival = numbers.foretell(event, seq)
            if arrival is Arrival.BEGINS and numbers.next is not None:
                self._end_load()
                self._whole = True
            elif arrival is Arrival.WENT_BACK:
                assert numbers.next is not None
                highest = numbers.next - 1
                self._end_load()
                if len(self._went_back) < _SHOWN:
                    self._went_back.append(
                        f"the target's numbers and clock went back to seq {seq} after {highest}"
                        f" (event {event.index})"
                    )
                self._whole = False
            elif arrival is Arrival.REPEATED:
                self._repeated += 1
        else:
            arrival = Arrival.NEW
        numbers.take(event, seq)
        return arrival is not Arrival.REPEATED

    def _goes_on(self, seq: int) -> bool:
        """Do the driver's numbers go on over where the connection was closed, or begin behind it?"""
        if self._closed_at is None:
            return False
        after = self._numbers.next
        return seq <= 1 if after is None else seq >= after

    def _prove(self) -> None:
        """A number went on: what is missing before it is counted as such."""
        if not self._unnumbered:
            self._closed_at = None

    def _judge_closed(self) -> list[str]:
        """Where the connection was closed, if lines may have been lost there of which no number tells."""
        heard = self._unnumbered or self._numbers.next is not None
        return [] if self._closed_at is None or not heard else [_unproved(self._closed_at)]

    def _driver(self, event: Driver) -> None:
        """A line about the driver itself: a registration begins a load, the totals end it."""
        if event.totals is not None:
            self._totals = event
            self._numbers.close()
        elif event.function == "DriverEntry":
            if self._totals is not None and event.seq is None:
                self._end_load()
                self._whole = True
            self._registered = True

    def _end_load(self) -> None:
        report = self.report()
        self._lost, self._before = report.lost, report.before
        self._gaps = list(report.gaps)
        self._miscounted = list(report.miscounted)
        self._uncounted = list(report.uncounted)
        self._unproved = list(report.unproved)
        self._numbers.reset()
        self._begin_load()

    def _judge_totals(self) -> tuple[list[str], list[str]]:
        """The load's totals against what arrived: kinds with too few, and what the driver did not count."""
        fewer: list[str] = []
        more: list[str] = []
        totals = self._totals.totals if self._totals is not None else None
        if totals is None:
            return fewer, more
        if self._registered or self._whole:
            for kind, said in totals.items():
                arrived = self._counts[KINDS[kind]] if kind in KINDS else said
                if arrived < said:
                    fewer.append(f"the driver counted {said} {kind}, but {arrived} arrived")
                elif arrived > said:
                    more.append(f"the driver counted {said} {kind}, but {arrived} arrived")
        if self._after:
            lines = f"{self._after} callback line{'s' * (self._after > 1)}"
            more.append(f"{lines} came after the driver's totals, from event {self._after_place} on")
        return fewer, more


def _unproved(index: int) -> str:
    place = f"the connection was closed (event {index})"
    return f"{place}, and nothing proves that no line was lost until it was back"
