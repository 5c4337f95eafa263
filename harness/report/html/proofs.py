"""Which events prove what: drawn in the timeline, and jumped to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.order.result import CheckResult, Failure, Mark, Witness
from harness.report.html.elements import shown_text
from harness.report.html.reportedrun import ReportedRun
from harness.witness import Agreement

__all__ = ["Proof", "proofs_of"]


@dataclass(frozen=True)
class Proof:
    """A promise, and the events that keep or break it."""

    words: str
    broken: bool
    at: tuple[tuple[int, Mark], ...]
    """Index of each event, and what it is to the promise; in the order of the trace."""
    failure: Failure | None = None
    """Of which it is the proof."""

    @property
    def shown(self) -> str:
        """The words as the page shows them."""
        return shown_text(self.words)

    @property
    def place(self) -> int | None:
        """The event to look at first."""
        for mark in (Mark.BREAKING, Mark.NEAREST):
            for index, found in self.at:
                if found is mark:
                    return index
        return self.at[-1][0] if self.at else None


def proofs_of(run: ReportedRun) -> list[Proof]:
    """The broken promises, lines that do not agree with their calls first; after them what was kept."""
    kept = [] if run.check is None else [_kept(witness) for witness in run.check.witnesses if witness.matches]
    broken = [] if run.agreement is None else list(_disagreements(run.agreement))
    if run.check is not None:
        broken += _failures(run.check)
    return [*broken, *kept]


def _disagreements(agreement: Agreement) -> Iterator[Proof]:
    for finding in agreement.findings:
        at = tuple((index, Mark.BREAKING) for index in (finding.printed, finding.called) if index is not None)
        yield Proof(str(finding), True, at)


def _failures(check: CheckResult) -> Iterator[Proof]:
    for failure in check.failures:
        at = tuple((row.event.index, row.mark) for row in failure.rows if row.mark is not None)
        yield Proof(failure.reason, True, at, failure)


def _kept(witness: Witness) -> Proof:
    at = tuple((match.index, Mark.CLAIMED) for match in witness.matches)
    return Proof(f"line {witness.expectation.line}: kept", False, at)
