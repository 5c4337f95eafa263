"""What is kept of the results of many runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.order import CheckResult
from harness.outcome import Outcome
from harness.runs.result import RunResult
from harness.runs.series import without_findings
from harness.trace.loss import LossReport
from harness.verdict.judge import Verdict


@pytest.mark.parametrize("outcome", Outcome)
def test_of_a_run_that_passed_nothing_is_kept_that_grows_with_its_trace(outcome: Outcome) -> None:
    check = CheckResult((), (), (), (), 9)
    found = Verdict(outcome, check=check, counts={"print": 9}, loss=LossReport(before=3), events=9, held=2)
    result = RunResult("a", Path("a.yaml"), 1, found, 0.5)
    kept = without_findings(result)
    assert (kept.outcome, kept.events, kept.held, kept.seconds) == (outcome, 9, 2, 0.5)
    if outcome.failed:
        assert kept is result
    else:
        assert (kept.check, kept.verdict.counts, kept.verdict.loss) == (None, {}, LossReport())
