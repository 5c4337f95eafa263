"""Outcomes, their precedence."""

from __future__ import annotations

import pytest

from harness.errors import (
    DriverBugcheck,
    DriverFault,
    LinesLost,
    ProcnotifyError,
    ScenarioError,
    SearchBudgetError,
)
from harness.outcome import Outcome, worst


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (DriverFault("x"), Outcome.BROKEN),
        (DriverBugcheck(0x50, (0, 0, 0, 0)), Outcome.BUGCHECK),
        (LinesLost("x"), Outcome.RIG),
        (SearchBudgetError("x"), Outcome.RIG),
        (ScenarioError("x", path="a.yaml", line=1), Outcome.USAGE),
    ],
)
def test_an_error_says_whose_fault_it_is(error: ProcnotifyError, outcome: Outcome) -> None:
    assert Outcome.of(error) is outcome


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [([], 0), ([0, 0], 0), ([0, 1], 1), ([1, 4, 0], 4), ([4, 3, 1], 3), ([3, 2], 2)],
)
def test_one_exit_code_stands_for_many_runs(outcomes: list[int], code: int) -> None:
    assert worst(Outcome(value) for value in outcomes) == code
