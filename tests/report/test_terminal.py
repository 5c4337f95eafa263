"""What people see, on a terminal and in a log."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from harness.debuggers.base import Release
from harness.events import Print
from harness.order import CheckResult, Failure
from harness.order.result import Mark, Row
from harness.outcome import Outcome
from harness.report.terminal import TerminalReport
from harness.run.progress import EventCaptured, PhaseEntered, RunFinished, RunStarted, StepStarted
from harness.run.result import RunResult

REASON = "wild.yaml:7: nothing fits [bold]\x1b[2J"
ROW = Row(Print(index=13, line="\x07rings"), Mark.BREAKING)
CHECK = CheckResult((), (Failure(REASON, (ROW,), bindings={"p": 8}),), (), (), 20)
PASSED = RunResult("calm", Path("calm.yaml"), 1, Outcome.PASSED, events=3, seconds=0.25)
BROKEN = RunResult(
    "wild",
    Path("wild.yaml"),
    2,
    Outcome.BROKEN,
    REASON,
    CHECK,
    events=20,
    seconds=1.5,
    trace=Path("traces/wild-2.jsonl"),
    release=Release(True, "its clock moved"),
)


def shown(*, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False, color_system=None)
    with TerminalReport(console, runs=2) as report:
        for result in (PASSED, BROKEN):
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
    assert [line.rstrip() for line in shown(terminal=False).splitlines()] == [
        "passed         calm                         seed 1        0.25 s       3 events",
        "broken promise wild                         seed 2        1.50 s      20 events",
        "    wild.yaml:7: nothing fits [bold]\\x1b[2J",
        "      with $p = 8",
        "      the trace there (! breaks it):",
        "      !     13  \\x07rings",
        "    the target was left running: its clock moved",
        "    trace: traces/wild-2.jsonl",
        "scenario  result          runs  passed  seconds  events",
        "calm      passed             1       1     0.25       3",
        "wild      broken promise     1       0     1.50      20",
        "1 passed, 1 broken promise in 1.75 s",
    ]


def test_a_terminal_shows_the_current_run_below_the_finished_ones() -> None:
    text = shown(terminal=True)
    assert "1/2 calm  launch notepad.exe  1 events" in text
    assert "2/2 wild  launch notepad.exe  1 events" in text
    assert "\x1b[2Jgone" not in text and "[bold]\\x1b[2J" in text
