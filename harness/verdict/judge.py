"""What a captured run means: its lines complete, its order kept, or whose fault it is that not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import LinesLost
from harness.events import Event
from harness.order import check
from harness.outcome import Outcome
from harness.scenario import Scenario
from harness.trace.loss import LossReport

__all__ = ["Verdict", "judge"]


@dataclass(frozen=True)
class Verdict:
    """An outcome and why."""

    outcome: Outcome
    reason: str = ""
    """In one line; empty when all held."""
    explanation: str = ""
    """At length."""


def judge(
    scenario: Scenario, events: Sequence[Event], bindings: Mapping[str, int], loss: LossReport
) -> Verdict:
    """Hold a whole run to its scenario.

    :raises LinesLost: lines are missing, so nothing can be said about their order.
    :raises SearchBudgetError: the trace is too ambiguous for a proof.
    """
    if not loss.complete:
        raise LinesLost(str(loss), hint="nothing is judged when lines are missing")
    result = check(scenario, events, bindings)
    if result.passed:
        return Verdict(Outcome.PASSED)
    return Verdict(Outcome.BROKEN, result.reason, result.explanation)
