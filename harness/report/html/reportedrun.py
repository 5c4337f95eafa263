"""One run, or one recording, as the page tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.events import RuleBroken, WitnessName
from harness.order import CheckResult
from harness.outcome import Outcome
from harness.runs.result import RunResult
from harness.verdict.judge import Verdict
from harness.witness import Agreement

__all__ = ["ReportedRun"]


@dataclass(frozen=True)
class ReportedRun:
    """What is told of a run; fields as :class:`harness.runs.result.RunResult` has them."""

    scenario: str
    path: Path
    outcome: Outcome
    reason: str = ""
    seed: int | None = None
    """None: it is not known, or there was none."""
    check: CheckResult | None = None
    notes: tuple[str, ...] = ()
    events: int = 0
    seconds: float | None = None
    """None: nothing was run."""
    trace: Path | None = None
    left: str = ""
    held: int = 0
    not_judged: int = 0
    not_judged_lines: tuple[str, ...] = ()
    broken_rules: tuple[RuleBroken, ...] = ()
    agreement: Agreement | None = None
    witness: WitnessName = "print"

    @classmethod
    def of_run(cls, result: RunResult) -> ReportedRun:
        """Of one execution."""
        return cls(
            result.scenario,
            result.path,
            result.outcome,
            result.reason,
            result.seed,
            result.check,
            result.notes,
            result.events,
            result.seconds,
            result.trace,
            result.left,
            result.held,
            result.not_judged,
            result.not_judged_lines,
            result.broken_rules,
            result.agreement,
            result.witness,
        )

    @classmethod
    def of_recording(cls, trace: Path, scenario: str, path: Path, verdict: Verdict) -> ReportedRun:
        """Of a recording that was held to a scenario."""
        partial = (f"judged in part: {verdict.partial}",) if verdict.partial else ()
        return cls(
            scenario,
            path,
            verdict.outcome,
            verdict.line,
            check=verdict.check,
            notes=(*partial, *verdict.notes),
            events=verdict.events,
            trace=trace,
            held=verdict.held,
            not_judged=verdict.not_judged,
            not_judged_lines=verdict.not_judged_lines,
            broken_rules=verdict.broken_rules,
            agreement=verdict.agreement,
            witness=verdict.witness,
        )

    @property
    def title(self) -> str:
        """Scenario and seed."""
        return self.scenario if self.seed is None else f"{self.scenario} (seed {self.seed})"
