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
from harness.order.patterns import Value
from harness.order.refutation import Proof
from harness.scenario.model import Expectation, Pattern

__all__ = [
    "MAX_ROWS",
    "Awaited",
    "CheckResult",
    "Explanation",
    "Failure",
    "Lane",
    "LaneRow",
    "Mark",
    "Match",
    "Place",
    "PromiseStatus",
    "Row",
    "Status",
    "Unjudged",
    "Unobserved",
    "Witness",
]


MAX_ROWS = 8
"""Events of an explanation at most, however long the trace is."""


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


class Status(enum.Enum):
    """What became of one promise of an order that is broken."""

    HELD = "held"
    """An event stands for it."""
    NOT_FOUND = "not found"
    """No event stands for it."""
    MISPLACED = "found at the wrong place"
    """An event fits it in all but its place or its time."""
    CAME = "forbidden, but came"
    """An event came that it forbids."""
    NOT_REACHED = "not reached"
    """The order broke before it."""
    NOT_JUDGED = "not judged"
    """Nothing was seen that could keep or break it."""


@dataclass(frozen=True)
class PromiseStatus:
    """One promise and what became of it."""

    line: int
    """In the scenario file."""
    words: str
    """The promise, as the scenario has it, with the values that are known."""
    status: Status
    index: int | None = None
    """The event that stands for it, came nearest to it, or is forbidden by it; None: there is none."""
    why: str = ""
    """What is wrong with that event, or why nothing is judged; may be empty."""


@dataclass(frozen=True)
class Lane:
    """A process, whose events stand below one another."""

    pid: int | None
    """None: what happens in no process."""
    image: str = ""
    """File name of its program, where the trace has it."""


@dataclass(frozen=True)
class LaneRow:
    """An event that the proof uses, on the lane of its process."""

    event: Event
    lane: int
    """Its place among the lanes of the explanation."""
    mark: Mark
    line: int | None
    """The line of the scenario that it stands for, comes near to, or is forbidden by; None of a rule."""
    folded: int
    """Events of the trace between it and the row before, or the beginning, that are not shown."""


@dataclass(frozen=True)
class Explanation:
    """Why a promise is broken, for somebody who wrote neither the driver nor the scenario. Rows and marks:
    ``harness/report`` makes text, HTML and JSON of it, and of nothing else."""

    contradiction: str
    """In one sentence: what must be, because of which line; and what was instead."""
    callback: str
    """The driver's function that printed the event at fault, as its line names it, or where the routine lies;
    empty where nothing tells."""
    promises: tuple[PromiseStatus, ...]
    """Each promise of the block, in the order of the file; empty for a lifecycle rule."""
    lanes: tuple[Lane, ...]
    """The processes of the rows, in the order in which they come."""
    rows: tuple[LaneRow, ...]
    """In the order of the trace, at most :data:`MAX_ROWS`."""
    folded_after: int
    """Events of the trace after the last row; nothing is shown of them."""
    irrelevant: tuple[str, ...] = ()
    """What does not matter, a phrase each: with anything else there the trace breaks the promise as well."""
    around: tuple[Row, ...] = ()
    """The trace around the places that matter."""
    awaited: tuple[Awaited, ...] = ()
    """What else could have come, besides what the contradiction names."""
    bindings: Mapping[str, Value] = field(default_factory=dict)
    """What was bound where the order broke; empty for a lifecycle rule."""
    proof: Proof | None = None
    """None: no proof was made, see :attr:`unproved`."""
    unproved: str = ""
    """Why there is no proof; empty where there is one."""


@dataclass(frozen=True)
class Failure:
    """One promise that the trace breaks, and why."""

    reason: str
    """What broke, in one line with its place."""
    explanation: Explanation
    """What is told of it."""
    place: Place | None = None
    """None for a lifecycle rule."""
    violation: Violation | None = None
    """Set for a lifecycle rule, and only there."""
    expectation: Expectation | None = None
    """What is not kept; None for a lifecycle rule."""
    found: int | None = None
    """Events of the order found before; None where there is no order."""
    waited: bool = False
    """The order was waiting for something when the trace ended or an event stopped it."""
    stopped: bool = False
    """An event stopped it while it was waiting."""


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
