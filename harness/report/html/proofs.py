"""Which events prove what: drawn in the timeline, and jumped to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.order.result import CheckResult, Failure, Mark, Witness
from harness.report.html.elements import shown_text
from harness.verdict.judgedrun import JudgedRun
from harness.witness import Agreement

__all__ = ["DrawnProof", "ProofEvent", "mark_of", "proofs_of"]


@dataclass(frozen=True)
class ProofEvent:
    """An event of a proof."""

    index: int
    mark: Mark | None
    """None: it is the last one, after which something happened that is no event."""
    line: int | None = None
    """The line of the scenario to which it is that; None of a rule."""


@dataclass(frozen=True)
class DrawnProof:
    """A promise, and the events that keep or break it, or come nearest to that."""

    words: str
    broken: bool
    """False: it is kept, or not judged."""
    at: tuple[ProofEvent, ...]
    """In the order of the trace."""
    failure: Failure | None = None
    """Of which it is the proof, or would be one."""
    unjudged: bool = False
    """Nothing keeps the promise, and nothing proves it broken."""

    @property
    def is_end(self) -> bool:
        """It is the end of a run, after its last event, and no event breaks anything."""
        return self.broken and any(point.mark is None for point in self.at)

    @property
    def reason(self) -> str:
        """What broke, as the run's reason has it."""
        return self.words if self.failure is None else self.failure.reason

    @property
    def shown(self) -> str:
        """The words as the page shows them."""
        return shown_text(self.words)

    @property
    def place(self) -> int | None:
        """The event to look at first."""
        for mark in (Mark.BREAKING, Mark.NEAREST):
            for point in self.at:
                if point.mark is mark:
                    return point.index
        return self.at[-1].index if self.at else None


def proofs_of(run: JudgedRun) -> list[DrawnProof]:
    """The broken promises, that first for which the run did not pass; after them what is not judged though
    nothing keeps it, and what was kept."""
    kept = [] if run.check is None else [_kept(witness) for witness in run.check.witnesses if witness.matches]
    # A line that does not agree with its call outweighs the order, of which the others are mostly the effect.
    untrue = [] if run.agreement is None else list(_disagreements(run.agreement, judged=run.judges))
    failures = [] if run.check is None else list(_failures(run, run.check))
    found = [*untrue[:1], *failures, *untrue[1:]]
    return [*sorted(found, key=lambda proof: not proof.broken), *kept]


def _disagreements(agreement: Agreement, *, judged: bool) -> Iterator[DrawnProof]:
    for finding in agreement.findings:
        seen = (finding.printed, finding.called)
        at = tuple(ProofEvent(index, mark_of(Mark.BREAKING, judged)) for index in seen if index is not None)
        words = str(finding) if judged else f"not judged: {finding}"
        yield DrawnProof(words, judged, at, unjudged=not judged)


def mark_of(mark: Mark, judged: bool) -> Mark:
    """What an event is to a promise; nothing breaks one that is not judged."""
    return Mark.NEAREST if mark is Mark.BREAKING and not judged else mark


def _failures(run: JudgedRun, check: CheckResult) -> Iterator[DrawnProof]:
    for failure in check.failures:
        doubt, said = run.doubt(failure), failure.explanation
        points = {
            row.event.index: ProofEvent(row.event.index, mark_of(row.mark, not doubt))
            for row in said.around
            if row.mark
        }
        for row in said.rows:
            points[row.event.index] = ProofEvent(row.event.index, mark_of(row.mark, not doubt), row.line)
        words = f"not judged: {failure.reason}; {doubt}" if doubt else said.contradiction
        at = tuple(points[index] for index in sorted(points))
        yield DrawnProof(words, not doubt, at, failure, unjudged=bool(doubt))


def _kept(witness: Witness) -> DrawnProof:
    at = tuple(ProofEvent(match.index, Mark.CLAIMED, match.pattern.line) for match in witness.matches)
    return DrawnProof(f"line {witness.expectation.line}: kept", False, at)
