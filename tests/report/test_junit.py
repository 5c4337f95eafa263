"""JUnit XML as its readers see it."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

from harness.debuggers.base import Release
from harness.outcome import Outcome
from harness.report.junit import write_junit
from harness.runs.result import RunResult
from harness.verdict.judge import Verdict

LEFT = Release(True, "its clock moved")


def result(outcome: Outcome, *, seed: int = 1, name: str = "notepad-launch", reason: str = "") -> RunResult:
    return RunResult(
        name,
        Path(f"scenarios/{name}.yaml"),
        seed,
        Verdict(outcome, reason, events=10),
        seconds=0.5,
        trace=Path(f"traces/{name}-{seed}.jsonl"),
        release=LEFT,
    )


def written(path: Path, *results: RunResult) -> ElementTree.Element:
    write_junit(path, results)
    return ElementTree.parse(path).getroot()


def test_each_run_is_a_case_and_faults_are_kept_apart(tmp_path: Path) -> None:
    root = written(
        tmp_path / "new" / "junit.xml",
        result(Outcome.PASSED, name="a"),
        result(Outcome.BROKEN, name="b", reason="scenarios/b.yaml:7: \x1b[1mno <exit>"),
        result(Outcome.RIG, name="c", reason="the link died"),
        result(Outcome.BUGCHECK, name="d", reason="the target bugchecked: 0x00000050"),
    )
    suite = root.find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "4",
        "failures": "2",
        "errors": "1",
    }
    a, b, c, d = suite.findall("testcase")
    assert (a.get("name"), a.get("classname"), a.get("time")) == ("a", "scenarios.a", "0.5")
    assert a.find("failure") is None and a.find("error") is None
    failure = b.find("failure")
    assert failure is not None and failure.text is not None
    assert failure.get("message") == "scenarios/b.yaml:7: \\x1b[1mno <exit>"
    assert "the target was left running: its clock moved" in failure.text
    assert f"trace: {Path('traces/b-1.jsonl')}" in failure.text
    error = c.find("error")
    assert error is not None and (error.get("type"), error.get("message")) == ("rig failed", "the link died")
    bugcheck = d.find("failure")
    assert bugcheck is not None and bugcheck.get("type") == "bugcheck"
    assert a.findtext("system-out") == f"trace: {Path('traces/a-1.jsonl')}"
    facts = {fact.get("name"): fact.get("value") for fact in d.iter("property")}
    assert facts == {
        "seed": "1",
        "outcome": "4",
        "events": "10",
        "promises_held": "0",
        "promises_not_judged": "0",
        "trace": str(Path("traces/d-1.jsonl")),
    }


def test_each_case_has_file_and_line(tmp_path: Path) -> None:
    cases = written(
        tmp_path / "junit.xml",
        result(Outcome.PASSED, name="a"),
        result(Outcome.RIG, name="b", reason=f"{Path('scenarios/b.yaml')}:7: launch: no such file"),
    ).iter("testcase")
    assert [(case.get("file"), case.get("line")) for case in cases] == [
        ("scenarios/a.yaml", "1"),
        ("scenarios/b.yaml", "7"),
    ]


def test_runs_of_one_scenario_are_told_apart_by_seed(tmp_path: Path) -> None:
    root = written(tmp_path / "junit.xml", *(result(Outcome.PASSED, seed=seed) for seed in (1, 2)))
    names = [case.get("name") for case in root.iter("testcase")]
    assert names == ["notepad-launch[seed=1]", "notepad-launch[seed=2]"]


def test_names_that_are_no_text_are_written_out(tmp_path: Path) -> None:
    odd = "caf\udce9\x07\x1b[2J"
    run = RunResult(
        "odd",
        Path(f"folder\x01/{odd}.yaml"),
        1,
        Verdict(Outcome.RIG, f"{odd}: \ud800 \uffff"),
        trace=Path(f"traces/{odd}-1.jsonl"),
    )
    (case,) = written(tmp_path / "junit.xml", run).iter("testcase")
    shown = "caf\\udce9\\x07\\x1b[2J"
    assert case.get("file") == f"folder\\x01/{shown}.yaml"
    assert case.get("classname") == f"folder\\x01.{shown}"
    assert case.findtext("system-out") == f"trace: traces{os.sep}{shown}-1.jsonl"
    error = case.find("error")
    assert error is not None and error.get("message") == f"{shown}: \\ud800 \\uffff"
