"""A scenario and the verdict on it: what every report reads, of a run as of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.events import RuleBroken, WitnessName
from harness.order import CheckResult
from harness.order.result import Failure
from harness.outcome import Outcome
from harness.verdict.judge import NOT_RECORDED, Verdict, proves
from harness.witness import Agreement

__all__ = ["JudgedRun"]


@dataclass(frozen=True)
class JudgedRun:
    """Events that were held to a scenario, and what they mean."""

    scenario: str
    """The scenario's name."""
    path: Path
    """The scenario's file."""
    seed: int | None
    """None: it is not known, or there was none."""
    verdict: Verdict
    seconds: float | None = None
    """Host time; None: nothing was run."""
    trace: Path | None = None
    """The trace file, where there is one."""

    @property
    def outcome(self) -> Outcome:
        """The verdict's."""
        return self.verdict.outcome

    @property
    def reason(self) -> str:
        """What went wrong and the way out, in one line with its place; empty when all held."""
        return self.verdict.line

    @property
    def check(self) -> CheckResult | None:
        """What the checker found; None where nothing was checked, and of a run that passed and whose trace is
        not kept."""
        return self.verdict.check

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be told besides, a line each; that only a part was judged first."""
        partial = self.verdict.partial
        return (*((f"judged in part: {partial}",) if partial else ()), *self.verdict.notes)

    @property
    def events(self) -> int:
        """Events in the trace, or in the part of it that was judged."""
        return self.verdict.events

    @property
    def held(self) -> int:
        """Promises that are proved."""
        return self.verdict.held

    @property
    def not_judged(self) -> int:
        """Promises that could not be judged: neither the driver's lines nor the machine tell of them."""
        return self.verdict.not_judged

    @property
    def not_judged_lines(self) -> tuple[str, ...]:
        """Which ones, and why, a line for each reason."""
        return self.verdict.not_judged_lines

    @property
    def witness(self) -> WitnessName:
        """On whose events the order was checked."""
        return self.verdict.witness

    @property
    def observed(self) -> str:
        """What there was of events, in words, where the scenario expects nothing."""
        return self.verdict.observed

    @property
    def broken_rules(self) -> tuple[RuleBroken, ...]:
        """The standing rules that a driver broke."""
        return self.verdict.broken_rules

    @property
    def agreement(self) -> Agreement | None:
        """How far the driver's lines agree with what another witness saw; None: they were held against
        none."""
        return self.verdict.agreement

    @property
    def left(self) -> str:
        """How the target was left, in a sentence; empty: there was none."""
        return ""

    @property
    def title(self) -> str:
        """Scenario and seed."""
        return self.scenario if self.seed is None else f"{self.scenario} (seed {self.seed})"

    @property
    def judges(self) -> bool:
        """Its outcome is that of its promises; else something outweighs what seems to break one."""
        return self.outcome in (Outcome.PASSED, Outcome.BROKEN)

    def doubt(self, failure: Failure) -> str:
        """Why the promise is not judged, though nothing keeps it; empty: it is broken."""
        if not proves(failure, partial=bool(self.verdict.partial)):
            return NOT_RECORDED
        return "" if self.judges else self.reason
