"""Outcomes, their precedence, and the account of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.debuggers.base import Release
from harness.errors import (
    DriverBugcheck,
    DriverFault,
    LinesLost,
    ProcnotifyError,
    ScenarioError,
    SearchBudgetError,
)
from harness.outcome import Outcome, worst
from harness.run.result import RunResult


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


@pytest.mark.parametrize(
    ("release", "words"),
    [
        (None, "no debugger had the target"),
        (Release(True, "its clock moved"), "the target was left running: its clock moved"),
        (Release(False, "it bugchecked"), "the target was left halted: it bugchecked"),
        (Release(False, "it reboots", crashed=True), "the target crashed: it reboots"),
        (Release(None, "it is gone"), "the target is not known to run: it is gone"),
    ],
)
def test_the_account_says_how_the_target_was_left(release: Release | None, words: str) -> None:
    result = RunResult(
        "a", Path("a.yaml"), 1, Outcome.BROKEN, "why", "at length", trace=Path("t.jsonl"), release=release
    )
    assert result.account.splitlines() == ["why", "at length", words, "trace: t.jsonl"]
