"""The account of a run that did not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.debuggers.base import Release
from harness.order import CheckResult, Unjudged
from harness.order.result import Place
from harness.outcome import Outcome
from harness.report.explanation import account_text
from harness.runs.result import RunResult

CHECK = CheckResult((), (), (Unjudged("why", Place(Path("a.yaml"), 1), "at length"),), (), 1)


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
        "a",
        Path("a.yaml"),
        1,
        Outcome.BROKEN,
        "why",
        CHECK,
        notes=("1 line fits no form",),
        trace=Path("t.jsonl"),
        release=release,
    )
    told = ["why", "  at length", "1 line fits no form", words, "trace: t.jsonl"]
    assert account_text(result).splitlines() == told
