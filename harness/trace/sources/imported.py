"""What the recordings of other tools have in common once they are read as events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from harness.errors import TraceError
from harness.events import Event, WitnessName, kind_of
from harness.outcome import Outcome
from harness.trace.format import Footer, Header
from harness.trace.loss import LossReport

__all__ = ["MAX_LEFT_OUT", "Damaged", "ImportedTrace", "Seen", "read_footer"]

MAX_LEFT_OUT = 256
"""Kinds of records left out that are told apart; those of further kinds are counted as one."""

_OTHERS = "others"


class Damaged(TraceError):
    """A place from which on a recording cannot be read; what stands before it can."""


class Seen(NamedTuple):
    """An event before it is numbered."""

    kind: type[Event]
    fields: dict[str, Any]


def read_footer(
    counts: Mapping[str, int],
    damage: str,
    *,
    complete: bool | None,
    witness: WitnessName = "print",
    left_out: Mapping[str, int] | None = None,
    loss: LossReport | None = None,
) -> Footer:
    """The footer of a recording that was read as far as it can be.

    :param complete: of one that is not damaged.
    """
    return Footer(
        events=sum(counts.values()),
        counts=dict(counts),
        loss=loss or LossReport(),
        complete=False if damage else complete,
        outcome=Outcome.RIG.words if damage else None,
        reason=f"the recording cannot be read to its end: {damage}" if damage else "",
        witness=witness,
        left_out=dict(left_out or {}),
    )


class ImportedTrace(ABC):
    """A recording that another tool made of the callbacks of its own driver; every iteration reads it anew.

    :ivar footer: after an iteration to the end what was found, and where the recording is damaged.
    :ivar damage: the same place; empty: nowhere.
    """

    tool: ClassVar[str]
    """Who recorded, and in which form."""
    order: ClassVar[str]
    """Which order of the recording the events have."""
    reports_not: ClassVar[str] = ""
    """What the tool does not report, as :mod:`harness.scenario.unreported` writes it."""
    unordered: ClassVar[tuple[str, ...]] = ()
    """Kinds of events of which it does not tell which of two came first."""
    foreign_threads: ClassVar[bool] = False
    """See :attr:`harness.trace.Header.foreign_threads`."""
    ends: ClassVar[bool]
    """The format tells where a recording ends, so that one which is cut between two records is noticed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        machine = {"type": "recorded", "source": self.tool}
        if self.reports_not:
            machine["reports_not"] = self.reports_not
        self.header = Header(
            machine=machine,
            order=self.order,
            unordered=self.unordered,
            foreign_threads=self.foreign_threads,
            witness="monitor",
        )
        self.footer: Footer | None = None
        self.damage = ""
        self._left_out: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Event]:
        self.footer, self.damage = None, ""
        self._left_out = Counter()
        counts: Counter[str] = Counter()
        index = 0
        try:
            for kind, fields in self._seen():
                event = kind(index=index, witness="monitor", **fields)
                counts[kind_of(event)] += 1
                index += 1
                yield event
        except Damaged as error:
            self.damage = str(error)
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be read: {error.strerror}") from None
        self.footer = read_footer(
            counts,
            self.damage,
            complete=True if self.ends else None,
            witness="monitor",
            left_out=self._left_out,
        )

    def leave_out(self, kind: str, count: int = 1) -> None:
        """Count records that are no events here."""
        known = kind in self._left_out or len(self._left_out) < MAX_LEFT_OUT
        self._left_out[kind if known else _OTHERS] += count

    @abstractmethod
    def _seen(self) -> Iterator[Seen]:
        """The events in order; what is none goes to :meth:`leave_out`.

        :raises Damaged: what follows cannot be read.
        :raises OSError: the file cannot be read.
        """
