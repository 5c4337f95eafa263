"""The result of a check, as values: witnesses, failures with their rows and marks, and what was not judged.

Nothing here is text for a screen but the one-line reasons; ``harness/report`` renders the rest.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.events import Event
from harness.order.lifecycle import Violation
from harness.order.patterns import Mismatch, Value
from harness.scenario.model import Expectation, Pattern

__all__ = [
    "Awaited",
    "CheckResult",
    "Failure",
    "Mark",
    "Match",
    "Miss",
    "Place",
    "Row",
    "Unjudged",
    "Unobserved",
    "WayEnd",
    "Witness",
]


@dataclass(frozen=True)
class Place:
    """A line of a scenario file."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Match:
    """One event that stood for one pattern."""

    pattern: Pattern
    index: int
    """The event's index in the trace."""


@dataclass(frozen=True)
class Witness:
    """The assignment that proves an expectation: which event stood for which pattern."""

    expectation: Expectation
    bindings: Mapping[str, Value]
    """The value of every variable under the assignment."""
    matches: tuple[Match, ...]
    """In the order of the trace; empty where the expectation has no order."""
    promises: int
    """How many of the expectation's promises that proves: those that could be judged."""


class Mark(enum.Enum):
    """What an event is to an explanation."""

    CLAIMED = "claimed"
    """It stood for a line of the scenario."""
    NEAREST = "nearest"
    """The nearest miss."""
    EARLIER = "earlier"
    """It came first, and the breaking event contradicts it."""
    BREAKING = "breaking"
    """It breaks the promise."""


@dataclass(frozen=True)
class Row:
    """One event of the trace, shown."""

    event: Event
    mark: Mark | None


@dataclass(frozen=True)
class Awaited:
    """A pattern that the order was waiting for."""

    line: int
    """In the scenario file."""
    words: str
    """The pattern with the values that were known."""


@dataclass(frozen=True)
class WayEnd:
    """The event that ended the way on which the order came furthest."""

    index: int
    why: str


@dataclass(frozen=True)
class Miss:
    """The event that came nearest to a pattern that was awaited."""

    index: int
    line: int
    """The pattern's, in the scenario file."""
    wrong: tuple[Mismatch, ...]


@dataclass(frozen=True)
class Failure:
    """One promise that the trace breaks, and the proof."""

    reason: str
    """What broke, in one line with its place."""
    rows: tuple[Row, ...]
    """The trace around the places that matter."""
    place: Place | None = None
    """None for a lifecycle rule."""
    violation: Violation | None = None
    """Set for a lifecycle rule, and only there."""
    found: int | None = None
    """Events of the order found before; None where there is no order."""
    bindings: Mapping[str, Value] = field(default_factory=dict)
    """What was bound there."""
    awaited: tuple[Awaited, ...] = ()
    """What else could have come, besides what the reason names."""
    stop: WayEnd | None = None
    miss: Miss | None = None
    """None where no event of an awaited kind came, or nothing was awaited."""
    waited: bool = False
    """The order was waiting for something when the trace ended or stopped it."""
    expectation: Expectation | None = None
    """What is not kept; None for a lifecycle rule."""


@dataclass(frozen=True)
class Unjudged:
    """A promise about which the trace proves nothing: neither kept nor broken."""

    reason: str
    """Why, in one line with its place."""
    place: Place
    hint: str = ""
    """The way out."""
    expectation: Expectation | None = None
    """What is not judged; None where it is no single one."""
    ambiguous: bool = False
    """The trace can be read in more ways than are followed, so it may break the promise."""


@dataclass(frozen=True)
class Unobserved:
    """Promises about what this driver's lines do not carry, or what its machine does not report: nothing was
    seen that could keep or break them."""

    what: str
    """The field; where it is about more, the word of the scenario: ``order``, ``next``, a kind, a rule."""
    why: str
    line: int | None = None
    """In the scenario file; None for a lifecycle rule."""
    promises: int = 1
    """How many it stands for."""
    expectation: Expectation | None = None
    """The block that it is of; None for a lifecycle rule."""


@dataclass(frozen=True)
class CheckResult:
    """The result of holding a trace to a scenario."""

    witnesses: tuple[Witness, ...]
    """One for each expectation that held."""
    failures: tuple[Failure, ...]
    """Lifecycle rules first, then expectations in the order of the file."""
    unjudged: tuple[Unjudged, ...]
    """In the order of the file."""
    violations: tuple[Violation, ...]
    """The lifecycle rules that were broken; each is a failure too."""
    events: int
    """Events that the trace holds."""
    unobserved: tuple[Unobserved, ...] = ()
    """In the order of the file, the lifecycle rules last."""
    rules: int = 0
    """How many lifecycle rules held."""
    skipped: bool = False
    """Of no expectation there was anything to be judged, of a scenario that has some."""

    @property
    def passed(self) -> bool:
        """All that could be judged held, and something could."""
        return not self.failures and not self.unjudged and not self.skipped

    @property
    def held(self) -> int:
        """Promises that are proved: those of the expectations that held, and the lifecycle rules."""
        return self.rules + sum(witness.promises for witness in self.witnesses)

    @property
    def not_judged(self) -> int:
        """Promises that could not be judged, see :attr:`unobserved`."""
        return sum(said.promises for said in self.unobserved)

    @property
    def broken(self) -> bool:
        """A promise was broken, which stays true whatever else was not judged."""
        return bool(self.failures)

    @property
    def reason(self) -> str:
        """The first failure's reason, else that of the first promise not judged; empty when all held."""
        reasons = [failure.reason for failure in self.failures] + [said.reason for said in self.unjudged]
        return reasons[0] if reasons else ""
