"""``procnotify check``: one exit code for each kind of ending, and one line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.check import command
from harness.errors import LinesLost, ScenarioError, TraceError
from harness.events import Event, ProcessCreate, ProcessExit
from harness.lines import EventAssembler
from harness.trace import Header, TraceWriter

SCENARIO = """\
scenario: one
summary: One process lives and dies.
steps:
  - sleep: 1ms
expect:
  - order:
      - process_create: {pid: $p}
      - process_exit: {pid: $p}
"""
BORN = ProcessCreate(index=0, pid=8, parent_pid=4, line="born")


def files(tmp_path: Path, events: list[Event], *, scenario: str = SCENARIO) -> list[str]:
    (tmp_path / "s.yaml").write_text(scenario)
    with TraceWriter(tmp_path / "t.jsonl", Header(scenario="one")) as writer:
        writer.write(events)
        writer.finish(outcome="passed")
    return [str(tmp_path / "t.jsonl"), str(tmp_path / "s.yaml")]


def test_a_trace_that_holds(tmp_path: Path) -> None:
    arguments = files(tmp_path, [BORN, ProcessExit(index=1, pid=8)])
    result = CliRunner().invoke(command, [*arguments, "-v"])
    assert result.exit_code == 0, result.output
    assert "2 events keep the promises of one" in result.output
    assert "line    8  process_exit: event 1" in result.output


def test_a_broken_order(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, files(tmp_path, [BORN]))
    assert result.exit_code == 1
    assert "s.yaml:8: not found: process_exit {pid: $p}" in result.output


def test_control_characters_of_a_trace_do_not_reach_the_terminal(tmp_path: Path) -> None:
    evil = ProcessCreate(index=0, pid=8, parent_pid=4, line="\x1b[2Jgone")
    result = CliRunner().invoke(command, files(tmp_path, [evil]))
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "\\x1b[2Jgone" in result.output


def test_a_bugcheck(tmp_path: Path) -> None:
    (crash,) = EventAssembler().bugcheck(0x50, (1, 2, 3, 4), "bad.sys")
    result = CliRunner().invoke(command, files(tmp_path, [crash]))
    assert result.exit_code == 4
    assert "bugcheck 0x00000050 (0x0000000000000001," in result.output


def test_lost_lines_are_no_failure_of_the_driver(tmp_path: Path) -> None:
    gone = [
        ProcessCreate(index=0, pid=8, parent_pid=4, seq=1),
        ProcessExit(index=1, pid=8, seq=3),
    ]
    result = CliRunner().invoke(command, files(tmp_path, gone))
    assert isinstance(result.exception, LinesLost)
    assert "seq 2" in str(result.exception)


def test_a_trace_that_was_cut_off(tmp_path: Path) -> None:
    trace, scenario = files(tmp_path, [BORN, ProcessExit(index=1, pid=8)])
    whole = Path(trace).read_bytes()
    Path(trace).write_bytes(whole[: whole.rfind(b'{"kind":"footer"') + 20])
    result = CliRunner().invoke(command, [trace, scenario])
    assert isinstance(result.exception, TraceError)
    assert "cut off" in str(result.exception)


@pytest.mark.parametrize("content", [b"", b"MZ\x90\x00", b'{"a": 1}\n', b"\xff\xfe\n"])
def test_a_foreign_file(tmp_path: Path, content: bytes) -> None:
    trace, scenario = files(tmp_path, [BORN])
    Path(trace).write_bytes(content)
    result = CliRunner().invoke(command, [trace, scenario])
    assert isinstance(result.exception, TraceError)
    assert str(result.exception).startswith(f"{trace}:1: ")


def test_a_wrong_scenario(tmp_path: Path) -> None:
    arguments = files(tmp_path, [BORN], scenario=SCENARIO.replace("order:", "ordre:"))
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, ScenarioError)
    assert "did you mean" in str(result.exception)
