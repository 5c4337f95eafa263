"""What people see, on a terminal and in a log."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from judged_runs import rejudged
from rich.console import Console

from harness.debuggers.base import Release
from harness.events import Print
from harness.order import CheckResult, Failure
from harness.order.lifecycle import Violation
from harness.order.result import Explanation, Lane, LaneRow, Mark
from harness.outcome import Outcome
from harness.report.terminal import NAMED, TerminalReport
from harness.runs.progress import EventCaptured, PhaseEntered, RunFinished, RunStarted, StepStarted
from harness.runs.result import RunResult
from harness.verdict.causes import cause_of
from harness.verdict.judge import Verdict

REASON = "wild.yaml:7: nothing fits [bold]\x1b[2J"
EVENT = Print(index=13, line="\x07rings")
EXPLANATION = Explanation(
    "nothing rings; but this does",
    "OnPrint",
    (),
    (Lane(None),),
    (LaneRow(EVENT, 0, Mark.BREAKING, None, 13),),
    6,
)
CHECK = CheckResult((), (Failure(REASON, EXPLANATION),), (), (), 20)
PASSED = RunResult("calm", Path("calm.yaml"), 1, Verdict(Outcome.PASSED, events=3), 0.25)
BROKEN = RunResult(
    "wild",
    Path("wild.yaml"),
    2,
    Verdict(Outcome.BROKEN, REASON, check=CHECK, events=20),
    1.5,
    trace=Path("traces/wild-2.jsonl"),
    release=Release(True, "its clock moved"),
)


class Screen(io.StringIO):
    """Where a terminal would be."""

    def isatty(self) -> bool:
        return True


def shown(*results: RunResult, terminal: bool = False, quiet: bool = False) -> str:
    out = Screen() if terminal else io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False, color_system=None)
    with TerminalReport(console, runs=2, quiet=quiet) as report:
        for result in results or (PASSED, BROKEN):
            report(RunStarted(result.scenario, result.path, result.seed, 3))
            report(PhaseEntered("boot"))
            report(StepStarted("launch notepad.exe", 4))
            report(EventCaptured(Print(index=0, line="x")))
            if terminal and report._live is not None:
                report._live.refresh()
            report(RunFinished(result))
    report.summary()
    return out.getvalue()


def test_a_log_has_a_line_a_run_the_failure_at_its_place_and_the_table() -> None:
    assert [line.rstrip() for line in shown().splitlines()] == [
        "passed         calm                         seed 1        0.25 s       3 events",
        "broken promise wild                         seed 2        1.50 s      20 events",
        "    wild.yaml:7: nothing fits [bold]\\x1b[2J",
        "      in OnPrint: nothing rings; but this does",
        "         +13     13          breaks it  \\x07rings",
        "      19 events folded (+)",
        "    the target was left running: its clock moved",
        f"    trace: {Path('traces/wild-2.jsonl')}",
        "scenario  result          runs  passed  held  not judged  seconds  events",
        "calm      passed             1       1     0           0     0.25       3",
        "wild      broken promise     1       0     0           0     1.50      20",
        "broken promise wild (seed 2): wild.yaml:7: nothing fits [bold]\\x1b[2J",
        f"    trace: {Path('traces/wild-2.jsonl')}",
        "1 passed, 1 broken promise in 1.75 s",
    ]


def test_a_terminal_shows_the_current_run_below_the_finished_ones() -> None:
    text = shown(terminal=True)
    assert "1/2 calm  launch notepad.exe  1 events" in text
    assert "2/2 wild  launch notepad.exe  1 events" in text
    assert "\x1b[2Jgone" not in text and "[bold]\\x1b[2J" in text


def broken(name: str, seed: int, reason: str, failure: Failure | None = None) -> RunResult:
    check = None if failure is None else CheckResult((), (failure,), (), (), 1)
    trace = Path(f"traces/{name}-{seed}.jsonl")
    return RunResult(
        name, Path(f"{name}.yaml"), seed, Verdict(Outcome.BROKEN, reason, check=check), trace=trace
    )


def rule(name: str, seed: int, message: str) -> RunResult:
    violation = Violation("process_created_first", 3, message)
    reason = f"process_created_first: {message}"
    return broken(name, seed, reason, Failure(reason, EXPLANATION, violation=violation))


def test_what_has_one_cause_is_told_at_length_once_and_named_in_the_summary() -> None:
    many = [rule(f"s{n}", 1, f"process {n} is created late") for n in range(20)]
    other = broken("wild", 2, "wild.yaml:7: not found: thread_exit {pid: 1552}")
    lines = [line.rstrip() for line in shown(*many, other).splitlines()]
    assert sum("nothing rings" in line for line in lines) == 1
    assert sum(line == "    the same as in s0 (seed 1)" for line in lines) == 19
    summary = lines[
        lines.index("wild      broken promise     1       0     0           0     0.00       0") + 1 :
    ]
    named = ", ".join(f"s{n} (seed 1)" for n in range(1, 1 + NAMED))
    assert summary == [
        "broken promise s0 (seed 1): s0.yaml: process_created_first: process 0 is created late",
        f"    trace: {Path('traces/s0-1.jsonl')}",
        "    how often: 20 of 20 runs (seed 1)",
        f"    the same in 19 more run(s): {named} and {19 - NAMED} more",
        "broken promise wild (seed 2): wild.yaml:7: not found: thread_exit {pid: 1552}",
        f"    trace: {Path('traces/wild-2.jsonl')}",
        "21 broken promise in 0.00 s",
    ]
    assert len(lines) < 21 * 5


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        (
            broken("a", 1, "a.yaml:7: not found: x {pid: 8}"),
            broken("b", 2, "b.yaml:9: not found: x {pid: 12}"),
            True,
        ),
        (
            broken("a", 1, "a.yaml:7: not found: x {pid: 8}"),
            broken("b", 1, "b.yaml:7: not found: y {pid: 8}"),
            False,
        ),
        (
            broken("a", 1, "silent for 10 s at 0xfffff800"),
            broken("b", 1, "silent for 5.5 s at 0xfffff801"),
            True,
        ),
        (rule("a", 1, "process 8"), rule("b", 2, "quite other words"), True),
        (rule("a", 1, "process 8"), broken("b", 2, "process_created_first: process 8"), False),
        (PASSED, PASSED, True),
    ],
)
def test_reasons_that_differ_in_numbers_and_names_have_one_cause(
    one: RunResult, two: RunResult, alike: bool
) -> None:
    assert (cause_of(one) == cause_of(two)) is alike


def test_quiet_says_the_failures_and_the_totals() -> None:
    assert shown(quiet=True).splitlines() == [
        "broken promise wild (seed 2): wild.yaml:7: nothing fits [bold]\\x1b[2J",
        f"    trace: {Path('traces/wild-2.jsonl')}",
        "1 passed, 1 broken promise in 1.75 s",
    ]
    assert shown(PASSED, quiet=True) == "1 passed in 0.25 s\n"


PROGRAM = """
from pathlib import Path
from harness.outcome import Outcome
from harness.report.console import is_live, make_console
from harness.report.terminal import TerminalReport
from harness.runs.progress import RunFinished, RunStarted
from harness.runs.result import RunResult
from harness.verdict.judge import Verdict
console = make_console()
with TerminalReport(console, runs=1) as report:
    report(RunStarted("calm", Path("calm.yaml"), 1, 1))
    report(RunFinished(RunResult("calm", Path("calm.yaml"), 1, Verdict(Outcome.PASSED))))
report.summary()
"""


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
    ],
)
def test_a_pipe_gets_colours_when_asked_and_never_cursor_movements(
    environment: dict[str, str], colours: bool
) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_COLOR")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=inherited | environment,
    )
    assert ("\x1b[" in done.stdout) is colours
    assert set(re.findall(r"\x1b\[[0-9;?]*(.)", done.stdout)) <= {"m"}
    assert re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).splitlines()[-1] == "1 passed in 0.00 s"


def test_the_notes_of_a_run_that_passed_are_told_once_for_a_scenario() -> None:
    notes = ("nothing was executed", "  event {}")
    runs = [rejudged(replace(PASSED, seed=seed), notes=(notes[0], notes[1].format(seed))) for seed in (1, 2)]
    retried = replace(PASSED, path=Path("other.yaml"), retries=1)
    retried = rejudged(retried, notes=("lacks x", "retry 1: lost"))
    lines = [line.strip() for line in shown(*runs, retried).splitlines()]
    told = [line for line in lines if line in ("nothing was executed", "event 1", "event 2", "lacks x")]
    assert told == ["nothing was executed", "event 1", "lacks x"]
    assert "retry 1: lost" not in lines
