"""How a capture ended before its time."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ProcnotifyError
from harness.outcome import Outcome
from harness.trace.format import Footer

__all__ = ["Ending"]

_TO_THE_END = {Outcome.PASSED.words, Outcome.BROKEN.words}
"""What footers of format 1 say of a capture that came to its end."""


@dataclass(frozen=True)
class Ending:
    """What ended a capture before its time, and whose fault that was."""

    outcome: Outcome
    """Not PASSED."""
    reason: str
    """In one line."""
    hint: str = ""
    """The way out."""

    @classmethod
    def of(cls, error: ProcnotifyError | None) -> Ending | None:
        """The ending that an error brought about; None for none."""
        return None if error is None else cls(Outcome.of(error), error.message, error.hint)

    @classmethod
    def of_footer(cls, footer: Footer) -> Ending | None:
        """What a trace's footer says of its capture's end; None: it came to its end.

        Of a whole capture the footer's outcome is not asked: the events are judged.
        """
        said = footer.outcome
        if footer.complete or (footer.complete is None and (said is None or said in _TO_THE_END)):
            return None
        outcome = next((kind for kind in Outcome if kind.words == said), Outcome.RIG)
        if outcome in (Outcome.PASSED, Outcome.USAGE):
            outcome = Outcome.RIG  # what ends a capture early is no pass, and a trace no wrong input
        reason = footer.reason or f"the trace ends with: {said or 'nothing said'}"
        return cls(outcome, f"the capture ended early: {reason}")
