"""What the events of a recording carry, found over the whole of it, and what its witness cannot see.

A driver prints what its author wanted to know, and registers the callbacks that its author wanted to have. A
field that none of its events of a kind carries says nothing about the driver; one that some of them carry is
missing where it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter
from typing import Any, Final

import msgspec

from harness.callbacks import CALLBACK_KINDS, IMAGE
from harness.events import KINDS, Event, WitnessName
from harness.numbers import BATCH
from harness.order.patterns import CompiledPattern, compile_pattern, kinds_of, overlaps
from harness.scenario.expect import has_limit, patterns_of
from harness.scenario.model import (
    AnyValue,
    Constraint,
    Expectation,
    Pattern,
    Scenario,
    Variable,
)

__all__ = ["OPTIONAL", "Observation", "kinds_spoken_of"]

_NEVER_PRINTED: Final = frozenset({"line", "host_time", "witness", "call"})
_PRINTED_ALONE: Final = frozenset({"driver", "print"})
"""Kinds that no witness sees but for their lines."""
_NOT_MONITORED: Final = frozenset({*_PRINTED_ALONE, "marker"})
"""Kinds that no other tool records: nor does the guest helper say anything while it does."""
_BY_FORMS: Final = frozenset({*CALLBACK_KINDS, "driver"})
"""Kinds that a line grammar has forms for where the driver prints them."""
_FORM: Final = {("marker", "status")}
"""Which of its forms a line of the guest helper has, and not what a line may lack."""

OPTIONAL: Final[dict[str, frozenset[str]]] = {
    kind: frozenset(
        field.name
        for field in msgspec.structs.fields(cls)
        if field.default is None and field.name not in _NEVER_PRINTED and (kind, field.name) not in _FORM
    )
    for kind, cls in KINDS.items()
}
"""Kind → its fields that a line need not carry."""
_RULES: Final = {(kind, field) for kind in CALLBACK_KINDS for field in ("seq", "time")} | {
    ("process_exit", "context_pid"),
    ("thread_exit", "context_tid"),
    ("driver", "totals"),
    ("driver", "routine"),
}
"""What lifecycle rules are held to where lines carry it."""


class Observation:
    """Feed it every event of a recording, then ask.

    :param scenario: whose promises are to be judged; of nothing else it is found out.
    :param unreported: events that the machine does not report, see
        :class:`harness.machines.base.LimitedMachine`.
    :param witness: whose events they are.
    :param printed: kinds of event that the driver's line grammar knows; None: any.
    :param unordered: kinds of which the recording does not tell when an event came.
    :param foreign_threads: of the creation of threads only that of one which another process makes is
        recorded, and not that of the first of a process, which always another one makes.
    :param bindings: what the steps bound, as far as it is known.
    """

    def __init__(
        self,
        scenario: Scenario,
        unreported: tuple[Pattern, ...] = (),
        witness: WitnessName = "print",
        *,
        printed: Collection[str] | None = None,
        unordered: Iterable[str] = (),
        foreign_threads: bool = False,
        bindings: Mapping[str, int] | None = None,
    ) -> None:
        self.unreported = unreported
        self.unordered = frozenset(unordered)
        self.witness = witness
        self._printed = printed
        self._foreign_threads = foreign_threads
        self._bindings = bindings or {}
        self._made = frozenset(name for name in scenario.names() if not name.endswith(".tid"))
        self._seen: set[type[Event]] = set()
        asked: dict[type[Event], set[str]] = {}
        for kind, field in {*_RULES, *_asked_by(scenario)}:
            if field in OPTIONAL[kind]:
                asked.setdefault(KINDS[kind], set()).add(field)
        self._open: dict[type[Event], tuple[str, ...]] = {
            cls: tuple(sorted(fields)) for cls, fields in asked.items()
        }
        """Fields that no event has carried so far."""
        self._readers = {cls: _reader(fields) for cls, fields in self._open.items()}
        required = (*scenario.requires, *(each for block in scenario.expect for each in block.requires))
        self._unmet: dict[Pattern, CompiledPattern] = {
            pattern: compile_pattern(pattern, kinds_of(pattern, frozenset()), {}) for pattern in required
        }

    @classmethod
    def over(
        cls,
        scenario: Scenario,
        events: Iterable[Event],
        unreported: tuple[Pattern, ...] = (),
        witness: WitnessName = "print",
        printed: Collection[str] | None = None,
    ) -> Observation:
        """What ``events``, a whole recording, carry; goes over them only until nothing is open."""
        found = cls(scenario, unreported, witness, printed=printed)
        found.feed(events)
        return found

    def feed(self, events: Iterable[Event]) -> None:
        """Take the next events of the recording."""
        iterator = iter(events)
        while (self._readers or self._unmet) and (batch := list(islice(iterator, BATCH))):
            kinds = set(map(type, batch))
            self._seen |= kinds
            if not kinds.isdisjoint(self._readers):
                self._look_at(batch)
            if self._unmet:
                for event in batch:
                    self._meets(event)

    def _look_at(self, batch: list[Event]) -> None:
        readers = self._readers
        for event in batch:
            reader = readers.get(type(event))
            if reader is not None:
                read, nothing = reader
                if read(event) != nothing:
                    self._carries(event)

    def _carries(self, event: Event) -> None:
        kind = type(event)
        fields = tuple(field for field in self._open[kind] if getattr(event, field) is None)
        self._open[kind] = fields
        if fields:
            self._readers[kind] = _reader(fields)
        else:
            del self._readers[kind]

    def _meets(self, event: Event) -> None:
        for pattern, compiled in list(self._unmet.items()):
            if compiled.match(event, {}) is not None:
                del self._unmet[pattern]

    def lacks(self, kind: str, field: str) -> bool:
        """Events of the kind came, and none of them carries the field."""
        return KINDS[kind] in self._seen and field in self._open.get(KINDS[kind], ())

    def carries(self, kind: str, field: str) -> bool:
        """An event of the kind came that carries the field."""
        return KINDS[kind] in self._seen and field not in self._open.get(KINDS[kind], ())

    def no_callback_carries(self, field: str) -> bool:
        """Callbacks were reported, and no report of any kind carries the field."""
        seen = [kind for kind in CALLBACK_KINDS if KINDS[kind] in self._seen]
        carried = (field not in self._open.get(row.event, ()) for row in CALLBACK_KINDS.values())
        return bool(seen) and not any(carried)

    def unmet_of(self, required: tuple[Pattern, ...]) -> Pattern | None:
        """The first of some patterns that the scenario requires and that no event fits; None: each is met."""
        return next((pattern for pattern in required if pattern in self._unmet), None)

    def unseen(self, pattern: Pattern) -> str:
        """Why an event that fits the pattern may come without being seen; empty: it would be seen."""
        if self.witness == "monitor" and pattern.kind in _NOT_MONITORED:
            return "another tool recorded it, which sees no lines"
        if self.witness != "print" and pattern.kind in _PRINTED_ALONE:
            return f"the witness is the {self.witness}, which sees no lines"
        if pattern.kind is not None and (unseen := self._never_seen(pattern.kind)):
            return unseen
        if self.reports(pattern):
            return ""
        who = "tool does not record" if self.witness == "monitor" else "machine does not report"
        return f"the {who} it"

    def _never_seen(self, kind: str) -> str:
        """Why the witness tells of no event of a kind, whatever happens; empty: it does."""
        match self.witness:
            case "print":
                return self.has_no_form(kind)
            case "target" | "breakpoint":
                # Whom the kernel calls is not the driver's doing: it never registered one.
                return self.silent(kind)
            case _:
                return ""

    def has_no_form(self, kind: str) -> str:
        """Of lines: that no form of their grammar gives a kind, in words; empty: one does."""
        told = self.witness != "print" or self._printed is None or kind in self._printed
        return "" if told or kind not in _BY_FORMS else f"no form of the line grammar gives {kind}"

    def silent(self, kind: str) -> str:
        """Why nothing can be told from there being no event of a kind, in words; empty: something can.

        A driver that is told of processes, and of no thread in the whole recording, has no callback for
        threads, or prints nothing in it.
        """
        row = CALLBACK_KINDS.get(kind)
        if row is None or any(
            other.event in self._seen for other in CALLBACK_KINDS.values() if other.group is row.group
        ):
            return ""
        group = f"{'an' if row.group is IMAGE else 'a'} {row.group.name}"
        match self.witness:
            case "print":
                return f"no line of this driver tells of {group}"
            case "monitor":
                return f"nothing in this recording tells of {group}"
            case _:
                return f"no {row.group.name} callback of this driver was called"

    def reports(self, pattern: Pattern) -> bool:
        """Whatever fits the pattern, the machine reports it."""
        if self._foreign_threads and pattern.kind == "thread_create" and not self._is_foreign(pattern):
            return False
        return not any(overlaps(pattern, unreported) for unreported in self.unreported)

    def _is_foreign(self, pattern: Pattern) -> bool:
        """Only a thread fits it that a step made, so no first one, in a process that is not its creator's."""
        fields = dict(pattern.fields)
        tid = fields.get("tid")
        owner, creator = (self._value(fields.get(field)) for field in ("pid", "creating_pid"))
        made = isinstance(tid, Variable) and tid.name in self._made
        return made and owner is not None and creator is not None and owner != creator

    def _value(self, constraint: Constraint) -> int | None:
        if isinstance(constraint, Variable):
            return self._bindings.get(constraint.name)
        return constraint if isinstance(constraint, int) else None

    def nobody_carries(self, kind: str) -> str:
        """In words that no event of a kind carries a field."""
        whose = "in this recording" if self.witness == "monitor" else "of this driver"
        return f"no {kind} {whose} carries it"


def _reader(fields: tuple[str, ...]) -> tuple[Callable[[Event], Any], object]:
    """What an event has in ``fields``, and what it has where it carries none of them."""
    return attrgetter(*fields), None if len(fields) == 1 else (None,) * len(fields)


def _asked_by(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Every kind and field of which a promise speaks."""
    for expectation in scenario.expect:
        spoken = kinds_spoken_of(expectation)
        if has_limit(expectation):
            for kind in spoken:
                yield kind, "time"
        for pattern in (*expectation.scope, *patterns_of(expectation)):
            for kind in kinds_of(pattern, spoken):
                for field, value in pattern.fields:
                    if not isinstance(value, AnyValue):
                        yield kind, field


def kinds_spoken_of(expectation: Expectation) -> frozenset[str]:
    """The kinds that the patterns of a block name, the scope's aside."""
    return frozenset(pattern.kind for pattern in patterns_of(expectation) if pattern.kind is not None)
