"""A proof that a promise is broken, as a value: every way to read the trace, and what ends each.

An order is broken where none of the ways in which the events can stand for its patterns reaches the end with
everything found. A :class:`Branch` is one such way from the event on that opened it: it waits, letting events
pass, until something ends it. The branches of a trace are all there are, but for those that another one
stands for; :mod:`harness.order.proof` accepts them where not one is missing, superfluous or otherwise ended
than it says, and :mod:`harness.order.refuting` makes them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from harness.order.patterns import Value

__all__ = [
    "MAX_BRANCHES",
    "MAX_LOOKS",
    "Branch",
    "End",
    "ForbiddenCame",
    "Known",
    "OrderRefuted",
    "Proof",
    "RuleBreach",
    "ScopeRefuted",
]

MAX_BRANCHES = 4096
"""Branches of a proof at most, of all scopes together; beyond it no proof is made, and it is said."""
MAX_LOOKS = 4_000_000
"""How often an event is held to a branch at most, when a proof is made and when it is checked."""

Known: TypeAlias = tuple[tuple[str, Value], ...]
"""Variables and their values, in the order of their names."""


class End(enum.Enum):
    """What ends a branch."""

    WAITING = "waiting"
    """The end of the trace: what it waits for has not come."""
    STOPPED = "stopped"
    """An event that may not come there."""
    OVERTAKEN = "overtaken"
    """An event that it claims: whatever it could still do, what the claim leaves can do as well."""
    CLOCK = "clock"
    """The target's clock began anew, so that its time limit counts from no known time."""
    FORBIDDEN = "forbidden"
    """The end of the trace: everything was found, but an event is forbidden beside the order."""


@dataclass(frozen=True)
class Branch:
    """A way to read the trace, from the event that opened it to what ends it."""

    parent: int | None
    """The number of the branch that it comes of; None for one that begins with the trace."""
    opened: int | None
    """The event that the parent claims there, or at which the clock began anew; None at the beginning."""
    line: int | None
    """Of the pattern that the event stands for, in the scenario file; None where none is claimed."""
    choice: int
    """Which of the ways to go on after that, from 0."""
    known: Known
    """The variables that still matter."""
    end: End
    ended: int | None
    """The event that ends it, or that is forbidden; None where it waits to the end."""


@dataclass(frozen=True)
class ScopeRefuted:
    """All branches of one scope: none of them is a way to keep the order."""

    scope: Known
    """The values of the scope's variables; empty where it has none."""
    branches: tuple[Branch, ...]
    """In the order in which the trace opens them; each is named by its place here, from 0."""


@dataclass(frozen=True)
class OrderRefuted:
    """The order is found in no scope; or in this one, and something came that is forbidden there."""

    scopes: tuple[ScopeRefuted, ...]
    """One for each value of the scope's variables, in the order in which the trace has them; one alone where
    the order is found in it."""


@dataclass(frozen=True)
class ForbiddenCame:
    """The first event that a ``never`` without free variables forbids beside the order."""

    line: int
    """Of the pattern, in the scenario file."""
    index: int


@dataclass(frozen=True)
class RuleBreach:
    """A lifecycle rule and the events that contradict each other by it."""

    rule: str
    index: int
    """The event that breaks it."""
    earlier: int | None
    """The event that it contradicts; None where it breaks the rule by itself."""
    subject: str = ""
    """What the rule is broken about, where one event may break it about several: the thread that lives, the
    callback that stays registered; else empty."""


Proof: TypeAlias = OrderRefuted | ForbiddenCame | RuleBreach
