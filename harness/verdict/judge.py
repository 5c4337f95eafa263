"""What a captured run means: its lines complete, its order kept, or whose fault it is that not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import LinesLost
from harness.events import Event
from harness.order import CheckResult, check
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
    check: CheckResult | None = None
    """What the checker found; None where nothing was checked."""


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
        return Verdict(Outcome.PASSED, check=result)
    # A promise that was not judged says nothing about the driver; one that was broken says it all the same.
    return Verdict(Outcome.BROKEN if result.broken else Outcome.RIG, result.reason, result)
