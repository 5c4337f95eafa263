"""A promise broken in a hundred thousand events is told in twelve lines, and proved."""

from __future__ import annotations

from pathlib import Path

from harness.events import Event, ProcessCreate, ProcessExit, ThreadCreate
from harness.order import check
from harness.order.proof import refusal
from harness.order.result import MAX_ROWS
from harness.outcome import Outcome
from harness.report.explanation import ACCOUNT_LINES, account_text
from harness.runs.result import RunResult
from harness.scenario import parse
from harness.verdict.judge import Verdict

EVENTS = 100_000
SCENARIO = """\
scenario: long
summary: Ten processes, each with its thread, and the last one's end.
steps:
  - sleep: 1ms
expect:
  order:
"""
PIDS = range(10, 20)


def events() -> list[Event]:
    """The processes of the order come and go among others; the last one's end comes before its thread."""
    found: list[Event] = []
    while len(found) < EVENTS - 30:
        index, pid = len(found), 100 + len(found) // 2 % 5_000
        line = f"OnCreateProcess PID({pid})"
        if index % 2:
            found.append(ProcessExit(index=index, pid=pid, line=f"{line} was terminated"))
        else:
            found.append(ProcessCreate(index=index, pid=pid, line=line))
    for pid in PIDS:
        found.append(ProcessCreate(index=len(found), pid=pid, line=f"OnCreateProcess PID({pid})"))
        if pid == PIDS[-1]:
            found.append(ProcessExit(index=len(found), pid=pid, line=f"OnCreateProcess PID({pid}) ended"))
        found.append(ThreadCreate(index=len(found), pid=pid, tid=pid, line=f"OnCreateThread PID({pid})"))
    return found


def test_a_promise_broken_in_a_hundred_thousand_events_is_told_in_twelve_lines() -> None:
    items = "".join(
        f"    - process_create: {{pid: {pid}}}\n    - thread_create: {{pid: {pid}}}\n" for pid in PIDS
    )
    text = f"{SCENARIO}{items}    - process_exit: {{pid: {PIDS[-1]}}}\n"
    scenario = parse(f"{text}lifecycle: {{off: [nothing_after_process_exit]}}\n", Path("long.yaml"))
    trace = events()
    result = check(scenario, trace, {})
    (failure,) = result.failures
    said = failure.explanation
    assert said.proof is not None
    assert len(said.rows) == MAX_ROWS
    assert refusal(said.proof, scenario, failure.expectation, trace, {}) == ""
    run = RunResult(
        "long",
        Path("long.yaml"),
        1,
        Verdict(Outcome.BROKEN, result.reason, check=result),
        trace=Path("long-1.jsonl"),
    )
    lines = account_text(run, "how often: 1 of 2 runs (seed 1)").splitlines()
    assert len(lines) == ACCOUNT_LINES
    assert lines[1].startswith("  in OnCreateProcess: process_exit {pid: 19} must come after event")
    (place,) = (number for number, line in enumerate(lines) if "folded (+)" in line)
    rows = lines[2:place]
    assert 2 <= len(rows) <= MAX_ROWS
    assert "nearest to line 27" in "".join(rows)
    assert f"{len(trace) - len(rows)} events folded (+)" in lines[place]
