"""The account of a run that did not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.debuggers.base import Release
from harness.events import Print
from harness.order import CheckResult, Failure, Unjudged
from harness.order.result import Explanation, Lane, LaneRow, Mark, Place, Row
from harness.outcome import Outcome
from harness.report.explanation import account_text, explanation_text
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


def failing(reason: str, shown: str) -> Failure:
    event = Print(index=1, line=shown)
    rows = (LaneRow(event, 0, Mark.BREAKING, None, 1),)
    explanation = Explanation("it may not; but it did", "", (), (Lane(None),), rows, 0)
    return Failure(reason, (Row(event, Mark.BREAKING),), place=PLACE, explanation=explanation)


PLACE = Place(Path("a.yaml"), 1)
TWO = CheckResult((), (failing("a.yaml:1: one", "first"), failing("a.yaml:2: two", "second")), (), (), 2)
ONE = "  it may not; but it did\n      +1      1          breaks it  first\n  1 event folded (+)"
OTHER = ONE.replace("first", "second")


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("a.yaml:1: one", f"{ONE}\n\na.yaml:2: two\n{OTHER}"),
        # A part of a trace is judged by the second, what the totals say by none of them.
        ("a.yaml:2: two", f"a.yaml:1: one\n{ONE}\n\n{OTHER}"),
        ("totals_count_every_line: 3", f"a.yaml:1: one\n{ONE}\n\na.yaml:2: two\n{OTHER}"),
        ("not judged: a.yaml:1: one; look", f"{ONE}\n\na.yaml:2: two\n{OTHER}"),
    ],
)
def test_a_reason_is_told_once_and_never_left_out(told: str, text: str) -> None:
    assert explanation_text(TWO, told) == text


@pytest.mark.parametrize(
    ("told", "text"),
    [("", "why\n  at length"), ("why", "  at length"), ("why; at length", ""), ("else", "why\n  at length")],
)
def test_a_way_out_is_told_once(told: str, text: str) -> None:
    assert explanation_text(CHECK, told) == text
