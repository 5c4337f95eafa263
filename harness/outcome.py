"""How a run ended, and whose fault it is: the outcomes that are never mixed up."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from harness.errors import ProcnotifyError

__all__ = ["EXIT_PRECEDENCE", "NOT_FAILED", "Outcome", "worst"]


class Outcome(enum.IntEnum):
    """The values are the exit codes."""

    PASSED = 0
    """All held."""
    BROKEN = 1
    """The driver broke a promise."""
    USAGE = 2
    """The scenario, the command line or the driver file is wrong."""
    RIG = 3
    """The rig failed; nothing is said about the driver."""
    BUGCHECK = 4
    """The target bugchecked."""
    SKIPPED = 5
    """Nothing of the scenario could be judged: the driver's lines, or the machine, tell nothing of it."""

    @property
    def words(self) -> str:
        """For people, two or three words."""
        return _WORDS[self]

    @property
    def failed(self) -> bool:
        """It neither passed nor was skipped."""
        return self not in (Outcome.PASSED, Outcome.SKIPPED)

    @classmethod
    def of(cls, error: ProcnotifyError) -> Outcome:
        """The outcome that an error means."""
        return cls(error.exit_code)


_WORDS = {
    Outcome.PASSED: "passed",
    Outcome.BROKEN: "broken promise",
    Outcome.USAGE: "wrong input",
    Outcome.RIG: "rig failed",
    Outcome.BUGCHECK: "bugcheck",
    Outcome.SKIPPED: "skipped",
}

NOT_FAILED = frozenset(outcome.words for outcome in Outcome if not outcome.failed)
"""The words of those that nobody is to look into."""

EXIT_PRECEDENCE = (
    Outcome.USAGE,
    Outcome.RIG,
    Outcome.BUGCHECK,
    Outcome.BROKEN,
    Outcome.PASSED,
    Outcome.SKIPPED,
)
"""Of several runs the first of these that happened is the exit code; so a skip alone is one."""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The one outcome that stands for many, by :data:`EXIT_PRECEDENCE`; PASSED for none."""
    return min(outcomes, key=EXIT_PRECEDENCE.index, default=Outcome.PASSED)
