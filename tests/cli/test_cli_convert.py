"""``procnotify convert``: a recording of another tool as a trace, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from procmon_rows import export, row

from harness.cli import cli
from harness.errors import TraceError, UsageError
from harness.trace import TraceReader
from harness.trace.sources import open_trace

ROWS = [
    row("1:00:00.0000000 AM", 8, "Process Start", detail="Parent PID: 12, x"),
    row("1:00:00.0000001 AM", 8, "Thread Create", detail="Thread ID: 10"),
    row("1:00:00.0000002 AM", 8, "RegOpenKey"),
    row("1:00:00.0000003 AM", 8, "Thread Exit", detail="Thread ID: 10, x", tid=10),
    row("1:00:00.0000004 AM", 8, "Process Exit"),
]
SCENARIO = """
scenario: life
summary: s.
expect:
  order:
    - process_create: {pid: $p, parent_pid: 12}
    - thread_create: {pid: $p, creating_pid: 12}
    - process_exit: {pid: $p}
    - print: {text: "bye"}
"""


def call(*words: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, words)], standalone_mode=False)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "Logfile.CSV"
    path.write_text(export(*ROWS), encoding="utf-8-sig", newline="")
    return path


def test_the_trace_says_what_the_recording_says(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "t.jsonl"
    done = call("convert", recording, out)
    assert done.return_value == 0
    assert done.output.splitlines() == [
        f"{out}: 4 events: 1 process_create, 1 process_exit, 1 thread_create, 1 thread_exit",
        "order: the rows of the recording, by their time of 100 ns",
        "left out: 1 RegOpenKey",
    ]
    source, trace = open_trace(recording), TraceReader(out)
    assert list(trace) == list(source)
    assert (trace.header, trace.footer) == (source.header, source.footer)
    assert [path.name for path in out.parent.iterdir()] == ["t.jsonl"]


def test_check_judges_both_alike_and_says_what_it_could_not_judge(recording: Path, tmp_path: Path) -> None:
    out, scenario = tmp_path / "t.jsonl", tmp_path / "life.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    call("convert", recording, out)
    for path in (recording, out):
        done = CliRunner().invoke(cli, ["check", str(path), str(scenario), "-v"])
        assert done.exit_code == 0, done.output
        assert "not judged: creating_pid" in done.output
        assert "not judged: print (line 9 of life.yaml): another tool recorded it" in done.output
        assert "left out: 1 RegOpenKey" in done.output
    scenario.write_text(SCENARIO.replace("12}", "13}", 1), encoding="utf-8")
    assert CliRunner().invoke(cli, ["check", str(recording), str(scenario)]).exit_code == 1


def test_json(recording: Path, tmp_path: Path) -> None:
    found = json.loads(call("convert", recording, tmp_path / "t.jsonl", "--json").stdout)
    assert found["counts"] == dict.fromkeys(
        ("process_create", "thread_create", "thread_exit", "process_exit"), 1
    )
    assert found["left_out"] == {"RegOpenKey": 1}
    assert (found["exit_code"], found["source"], found["damage"]) == (0, "Process Monitor CSV", "")


def test_a_file_that_is_there_stays_without_force(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    out.write_text("mine", encoding="utf-8")
    done = call("convert", recording, out)
    assert isinstance(done.exception, UsageError)
    assert "is there already; replace it with --force" in str(done.exception)
    assert out.read_text(encoding="utf-8") == "mine"
    assert call("convert", recording, out, "--force").return_value == 0
    assert len(list(TraceReader(out))) == 4
    assert isinstance(call("convert", recording, tmp_path, "--force").exception, UsageError)
    was = recording.read_bytes()
    done = call("convert", recording, recording.parent / "." / recording.name, "--force")
    assert isinstance(done.exception, UsageError)
    assert "is the recording itself" in str(done.exception)
    assert recording.read_bytes() == was


def test_what_is_damaged_is_written_up_to_there_and_check_says_so(recording: Path, tmp_path: Path) -> None:
    recording.write_bytes(recording.read_bytes()[:-30])
    out, scenario = tmp_path / "t.jsonl", tmp_path / "life.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    done = call("convert", recording, out)
    assert done.return_value == 3
    assert f"{recording}: not read to its end: {recording}:6: damaged: " in done.stderr
    assert len(list(TraceReader(out))) == 3
    for path in (recording, out):
        checked = CliRunner().invoke(cli, ["check", str(path), str(scenario)])
        assert checked.exit_code == 3
        assert "the recording cannot be read to its end" in checked.output


def test_a_capture_of_kdnet_wants_its_key(shared_data: Path, tmp_path: Path) -> None:
    capture = shared_data / "kdnet" / "windbg-win10-key-8.8.8.8.pcapng.gz"
    out = tmp_path / "t.jsonl"
    for words in ((), ("--key", "8.8.8.9"), ("--key", "8.8")):
        assert isinstance(call("convert", capture, out, *words).exception, UsageError)
        assert list(tmp_path.iterdir()) == []
    assert call("convert", capture, out, "--key", "8.8.8.8").return_value == 0
    assert next(event.line for event in TraceReader(out)) == "BD: Boot Debugger Initialized"


def test_nothing_is_left_of_what_cannot_be_read(tmp_path: Path) -> None:
    there = tmp_path / "x"
    there.write_text("hello", encoding="utf-8")
    done = call("convert", there, tmp_path / "t.jsonl")
    assert isinstance(done.exception, TraceError)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_trace_that_was_cut_off_is_cut_off_in_the_copy(recording: Path, tmp_path: Path) -> None:
    out, copy = tmp_path / "t.jsonl", tmp_path / "copy.jsonl"
    call("convert", recording, out)
    out.write_bytes(out.read_bytes().rpartition(b'{"kind":"footer"')[0])
    assert call("convert", out, copy).return_value == 3
    assert len(list(TraceReader(copy))) == 4
    footer = TraceReader(copy).footer
    assert footer is not None and footer.complete is False
