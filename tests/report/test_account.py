"""The account of a run that did not pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from judged_runs import rejudged

from harness.debuggers.base import Release
from harness.events import ImageLoad, Print
from harness.order import CheckResult, Failure, Unjudged
from harness.order.refutation import Branch, End, OrderRefuted, RuleBreach, ScopeRefuted
from harness.order.result import Explanation, Lane, LaneRow, Mark, Place, PromiseStatus, Status
from harness.outcome import Outcome
from harness.report.explanation import ACCOUNT_LINES, account_text, explanation_text
from harness.report.explanation_json import explanation_as_json
from harness.runs.result import RunResult
from harness.verdict.judge import Verdict

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
        Verdict(Outcome.BROKEN, "why", check=CHECK, notes=("1 line fits no form",)),
        trace=Path("t.jsonl"),
        release=release,
    )
    told = ["why", "  at length", "1 line fits no form", words, "trace: t.jsonl"]
    assert account_text(result).splitlines() == told


def failing(reason: str, shown: str) -> Failure:
    event = Print(index=1, line=shown)
    rows = (LaneRow(event, 0, Mark.BREAKING, None, 1),)
    explanation = Explanation("it may not; but it did", "", (), (Lane(None),), rows, 0)
    return Failure(reason, explanation, place=PLACE)


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


def test_a_broken_promise_takes_twelve_lines_whatever_else_there_is() -> None:
    rows = tuple(LaneRow(Print(index=n, line="x"), 0, Mark.CLAIMED, n, 0) for n in range(8))
    promises = tuple(PromiseStatus(n, "x", Status.HELD, n) for n in range(8))
    explanation = Explanation(
        "it may not; but it did", "OnPrint", promises, (Lane(None),), rows, 99_992, ("any pid on line 7",)
    )
    failure = Failure("a.yaml:7: one", explanation, place=PLACE)
    check = CheckResult((), (failure, *TWO.failures, *TWO.failures), (), (), 100_000)
    result = RunResult(
        "a",
        Path("a.yaml"),
        1,
        Verdict(Outcome.BROKEN, "a.yaml:7: one", check=check, notes=("a note",) * 30),
        trace=Path("t.jsonl"),
    )
    lines = account_text(result, "how often: 1 of 2 runs (seed 1)").splitlines()
    assert len(lines) == ACCOUNT_LINES
    assert lines[1] == "  in OnPrint: it may not; but it did"
    assert [line.split()[0] for line in lines[2:4]] == ["+6", "7"]
    assert lines[4:6] == [
        "  lines 0-7 held; 99998 events folded (+)",
        "  does not matter: any pid on line 7",
    ]
    assert lines[6:] == [
        "also: a.yaml:1: one (and 3 more broken or not judged)",
        "how often: 1 of 2 runs (seed 1)",
        "a note",
        "and 29 more lines, which `procnotify check` says",
        "no debugger had the target",
        "trace: t.jsonl",
    ]
    alone = rejudged(result, check=replace(check, failures=(failure,)), notes=())
    assert len(account_text(alone).splitlines()) == ACCOUNT_LINES


def test_an_explanation_is_values_that_json_has() -> None:
    (failure, _) = TWO.failures
    proof = RuleBreach("seq_unique", 1, 0)
    said = explanation_as_json(replace(failure.explanation, proof=proof))
    assert json.loads(json.dumps(said)) == {
        "contradiction": "it may not; but it did",
        "callback": None,
        "promises": [],
        "lanes": [{"pid": None, "image": None}],
        "rows": [{"event": 1, "lane": 0, "mark": "breaking", "line": None, "folded": 1}],
        "folded_after": 0,
        "irrelevant": [],
        "proof": {"kind": "rule", "event": 1, "earlier": 0},
        "unproved": None,
    }
    branch = Branch(None, None, None, 0, (), End.WAITING, None)
    order = OrderRefuted((ScopeRefuted((), (branch, branch)),))
    assert explanation_as_json(replace(failure.explanation, proof=order))["proof"] == {
        "kind": "order",
        "branches": 2,
    }


def test_what_a_target_names_makes_no_lines() -> None:
    hostile = "a\n::error::b\r\u202e" * 20_000
    event = ImageLoad(index=0, pid=1, image=hostile, witness="target")
    said = Explanation(
        hostile, hostile, (), (Lane(1, hostile),), (LaneRow(event, 0, Mark.BREAKING, 7, 0),), 0
    )
    check = CheckResult((), (Failure("a.yaml:7: one", said, place=PLACE),), (), (), 1)
    verdict = Verdict(Outcome.BROKEN, "a.yaml:7: one", check=check)
    text = account_text(RunResult("a", Path("a.yaml"), 1, verdict))
    assert len(text.splitlines()) == 4
    assert len(text) < 2_000
