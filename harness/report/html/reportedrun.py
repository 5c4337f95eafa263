"""One run, or one recording, as the page tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.events import RuleBroken, WitnessName
from harness.order import CheckResult
from harness.order.result import Failure
from harness.outcome import Outcome
from harness.report.causes import by_cause
from harness.report.frequency import frequency_of, frequency_words
from harness.runs.result import RunResult
from harness.verdict.judge import NOT_RECORDED, Verdict, proves
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
    often: str = ""
    """In how many runs its cause came, in a line; empty: in this one alone."""
    partial: bool = False
    """Only a part of what happened was judged."""

    @classmethod
    def of_runs(cls, results: Sequence[RunResult]) -> list[ReportedRun]:
        """Of all executions of a call."""
        often: dict[int, str] = {}
        for alike in by_cause(results):
            words = frequency_words(frequency_of(alike, results))
            often |= {id(result): words for result in alike}
        return [cls._of_run(result, often.get(id(result), "")) for result in results]

    @classmethod
    def _of_run(cls, result: RunResult, often: str) -> ReportedRun:
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
            often,
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
            partial=bool(verdict.partial),
        )

    @property
    def judges(self) -> bool:
        """Its outcome is that of its promises; else something outweighs what seems to break one."""
        return self.outcome in (Outcome.PASSED, Outcome.BROKEN)

    def doubt(self, failure: Failure) -> str:
        """Why the promise is not judged, though nothing keeps it; empty: it is broken."""
        if not proves(failure, partial=self.partial):
            return NOT_RECORDED
        return "" if self.judges else self.reason

    @property
    def title(self) -> str:
        """Scenario and seed."""
        return self.scenario if self.seed is None else f"{self.scenario} (seed {self.seed})"
