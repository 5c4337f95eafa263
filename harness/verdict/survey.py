"""What a trace holds, found in one pass: counts, losses, stops, boots, and lines that fit no form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from harness.actions import ACTIONS
from harness.callbacks import CALLBACK_KINDS
from harness.events import Bugcheck, Driver, Event, Marker, Print, Reboot, RuleBroken, Stop
from harness.grammars import builtin_grammar
from harness.lines import Grammar, Misfit
from harness.numbers import BATCH
from harness.trace.loss import LossCounter, LossReport

__all__ = ["MAX_BOOTS", "MAX_BROKEN_RULES", "SHOWN_LINES", "Boot", "Survey", "UnfitLine"]

MAX_BOOTS = 64
"""Boots of a target that one trace is judged by; each is read once."""

MAX_BROKEN_RULES = 64
"""Breaches of one standing rule that a trace is judged by, as many as the target tells. Of each rule, for one
that is switched off is not to hide another."""

_MAX_RULES = 256
"""Names of rules; a trace may hold any."""

SHOWN_LINES = 3
"""Lines that fit no form which are shown; of the others only the number is told."""

_CALLBACKS = frozenset(kind.event for kind in CALLBACK_KINDS.values())
_ANSWERED = frozenset(action.word for action in ACTIONS.values() if action.asks_driver)
"""Actions whose success a driver gave."""


@dataclass(frozen=True)
class UnfitLine:
    """A line of the driver that fits no form of the grammar."""

    index: int
    """The event's index in the trace."""
    line: str
    misfit: Misfit


@dataclass
class Boot:
    """The events of one boot of the target."""

    first: int
    """Position of its first event in the trace."""
    events: int = 0


class Survey:
    """Folds events; memory does not grow with their number.

    :param grammar: of the driver's lines; None: the built-in one.
    """

    def __init__(self, grammar: Grammar | None = None) -> None:
        self.events = 0
        self.bugcheck: Bugcheck | None = None
        """The first."""
        self.unhandled: Stop | None = None
        """The first exception that nothing in the target handled."""
        self.answered = False
        """A step was answered by the driver: it opened its device, or asked it something."""
        self.stops = 0
        """Exceptions and other stops."""
        self.broken_rules: list[RuleBroken] = []
        """Standing rules that the target saw broken: of each the first :data:`MAX_BROKEN_RULES`."""
        self._kept_rules: Counter[str] = Counter()
        self.unfit = 0
        """Lines of the driver that fit no form."""
        self.unfit_lines: list[UnfitLine] = []
        """The first of them."""
        self.other_lines: list[UnfitLine] = []
        """The first lines that nobody claims."""
        self.boots = [Boot(0)]
        """At most :data:`MAX_BOOTS` and one more."""
        self.grammar = grammar or builtin_grammar()
        self._counts: Counter[type[Event]] = Counter()
        self._loss = LossCounter()

    def begin_part(self, before: Iterable[Event]) -> None:
        """Take the events before the part of a trace that is surveyed: what they lose is not the part's."""
        iterator = iter(before)
        while batch := list(islice(iterator, BATCH)):
            self._loss.add_all(batch)
        self._loss.begin_part()

    def end_part(self, after: Iterable[Event]) -> None:
        """Look among the events after the part for its lines that came late."""
        self._loss.end_part(after)

    def feed(self, events: Iterable[Event]) -> None:
        """Take the next events of the trace."""
        iterator = iter(events)
        while batch := list(islice(iterator, BATCH)):
            kinds = list(map(type, batch))
            self._counts.update(kinds)
            self._loss.add_all(batch)
            start = 0
            for _ in range(kinds.count(Reboot)):
                end = kinds.index(Reboot, start) + 1
                self._add_to_boot(batch[start:end], kinds[start:end])
                if len(self.boots) <= MAX_BOOTS:
                    self.boots.append(Boot(self.events))
                start = end
            self._add_to_boot(batch[start:], kinds[start:])

    def _add_to_boot(self, events: list[Event], kinds: list[type[Event]]) -> None:
        self.events += len(events)
        boot = self.boots[-1]
        boot.events += len(events)
        if not set(kinds) <= _CALLBACKS:
            for event in events:
                if type(event) not in _CALLBACKS:
                    self._other(event)

    @property
    def counts(self) -> dict[str, int]:
        """Events of each kind that occurred."""
        return {str(kind.__struct_config__.tag): count for kind, count in self._counts.items()}

    @property
    def loss(self) -> LossReport:
        """What the driver's counters prove."""
        return self._loss.report()

    @property
    def callbacks(self) -> int:
        """Events that notify callbacks reported."""
        return sum(self._counts[kind] for kind in _CALLBACKS)

    @property
    def driver_lines(self) -> int:
        """Lines of the driver about itself."""
        return self._counts[Driver]

    @property
    def markers(self) -> int:
        """Lines of the guest helper about what it does."""
        return self._counts[Marker]

    def _other(self, event: Event) -> None:
        match event:
            case Print():
                self._print(event)
            case Marker(action=action, phase="end", status=0):
                self.answered = self.answered or action in _ANSWERED
            case Bugcheck():
                self.bugcheck = self.bugcheck or event
            case Stop():
                self.stops += 1
                if not event.first_chance:
                    self.unhandled = self.unhandled or event
            case RuleBroken():
                self._rule(event)
            case _:
                pass

    def _rule(self, event: RuleBroken) -> None:
        kept = self._kept_rules
        if kept[event.rule] < MAX_BROKEN_RULES and (event.rule in kept or len(kept) < _MAX_RULES):
            kept[event.rule] += 1
            self.broken_rules.append(event)

    def _print(self, event: Print) -> None:
        claimed = self.grammar.claims(event.line)
        self.unfit += claimed
        kept = self.unfit_lines if claimed else self.other_lines
        if len(kept) < SHOWN_LINES:
            kept.append(UnfitLine(event.index, event.line, self.grammar.misfit(event.line)))
