"""How a run ended, and whose fault it is: the four outcomes that are never mixed up."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.debuggers.base import Release
from harness.errors import ProcnotifyError

__all__ = ["EXIT_PRECEDENCE", "Outcome", "RunResult", "worst"]


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

    @property
    def words(self) -> str:
        """For people, two or three words."""
        return _WORDS[self]

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
}

EXIT_PRECEDENCE = (Outcome.USAGE, Outcome.RIG, Outcome.BUGCHECK, Outcome.BROKEN, Outcome.PASSED)
"""Of several runs the first of these that happened is the exit code."""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The one outcome that stands for many, by :data:`EXIT_PRECEDENCE`; PASSED for none."""
    return min(outcomes, key=EXIT_PRECEDENCE.index, default=Outcome.PASSED)


@dataclass(frozen=True)
class RunResult:
    """One execution of a scenario, judged."""

    scenario: str
    """The scenario's name."""
    path: Path
    """The scenario's file."""
    seed: int
    outcome: Outcome
    reason: str = ""
    """What went wrong, in one line with its place; empty when all held."""
    explanation: str = ""
    """More lines: the annotated trace, the nearest miss, the bindings; may be empty."""
    events: int = 0
    """Events in the trace."""
    seconds: float = 0.0
    """Host time from boot to verdict."""
    trace: Path | None = None
    """The trace file, where one was begun."""
    release: Release | None = None
    """How the target was left; None when no debugger ever had it."""

    @property
    def left(self) -> str:
        """How the target was left, in a sentence."""
        return "no debugger had the target" if self.release is None else str(self.release)

    @property
    def account(self) -> str:
        """Everything to be said about a run that did not pass, in lines."""
        explained = self.explanation.startswith(self.reason)
        lines = ["" if explained else self.reason, self.explanation, self.left]
        if self.trace is not None:
            lines.append(f"trace: {self.trace}")
        return "\n".join(line for line in lines if line)
