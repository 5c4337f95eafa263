"""``procnotify show``: the tree, the table, the filters, what is damaged, and what is hostile.

``--update`` rewrites the golden files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from procmon_rows import export, row

from harness.cli import cli
from harness.errors import TraceError, UsageError
from harness.events import (
    Bugcheck,
    Disconnect,
    Driver,
    Event,
    ImageLoad,
    Marker,
    Print,
    ProcessCreate,
    ProcessExit,
    Reboot,
    RuleBroken,
    Stop,
    ThreadCreate,
    ThreadExit,
)
from harness.report.showing import tree as tree_module
from harness.trace import Header, TraceWriter

GOLDEN = Path(__file__).parent / "shown"
SECOND = 10_000_000
EVENTS: list[Event] = [
    Driver(
        index=0, function="DriverEntry", routine="PsSetLoadImageNotifyRoutine", status=0, time=SECOND, cpu=0
    ),
    ProcessCreate(index=1, pid=100, parent_pid=40, creating_pid=40, creating_tid=44, time=2 * SECOND, cpu=1),
    ThreadCreate(index=2, pid=100, tid=104, creating_pid=40, creating_tid=44, time=2 * SECOND + 1, cpu=1),
    ImageLoad(index=3, pid=100, image="\\D\\boss.exe", base=0x140000000, size=0x1000, time=2 * SECOND + 9),
    Marker(index=4, action="launch", phase="begin", step=1, pid=100),
    ProcessCreate(index=5, pid=200, parent_pid=100, image="C:\\work er.exe", time=3 * SECOND, cpu=0),
    ThreadCreate(index=6, pid=200, tid=204, time=3 * SECOND + 10),
    ImageLoad(index=7, pid=200, image="\\D\\<b>\x1b[31m\u202e\n\ufffe.dll", base=0x7FF000000000),
    ThreadExit(index=8, pid=200, tid=204, time=3 * SECOND + 20_010),
    ProcessExit(index=9, pid=200, time=3 * SECOND + 30_000),
    Marker(index=10, action="launch", phase="end", step=1, pid=100, status=0),
    ImageLoad(index=11, pid=0, image="\\D\\driver.sys", base=0xFFFFF80000000000),
    Stop(index=12, code=0xC0000005, address=0xFFFFF80000001000, first_chance=False),
    Bugcheck(index=13, code=0xD1, parameters=(1, 2, 3, 4), module="driver.sys"),
    RuleBroken(index=14, rule="pool", module="driver.sys", message="leaked"),
    Disconnect(index=15, line="closed"),
    Reboot(index=16),
    ThreadExit(index=17, pid=100, tid=104, time=5),
    Print(index=18, line="tab\there \x1b]0;title\x07", time=7),
]


def call(*words: object) -> Result:
    return CliRunner().invoke(cli, ["show", *map(str, words)], standalone_mode=False)


def written(path: Path, events: Iterable[Event] = EVENTS) -> Path:
    with TraceWriter(path, Header()) as writer:
        writer.write(list(events))
        writer.finish(complete=True, outcome="passed")
    return path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return written(tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tree", []),
        ("tree-verbose", ["-v"]),
        ("tree-of-one-process", ["--process", "work er"]),
        ("table", ["--table"]),
        ("table-of-images", ["--table", "--kind", "image_load", "--image", "*.DLL"]),
    ],
)
def test_what_is_shown(name: str, words: list[str], trace: Path, update: bool) -> None:
    done = call(trace, *words)
    assert done.return_value == 0
    path = GOLDEN / f"{name}.txt"
    if update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(done.stdout, encoding="utf-8", newline="\n")
    assert done.stdout == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [[], ["-v"], ["--table"], ["--json"]])
def test_nothing_of_the_target_commands_the_terminal(words: list[str], trace: Path) -> None:
    shown = call(trace, *words).output
    assert not set(shown) & {chr(code) for code in range(0xA0) if 32 > code != 10 or code >= 0x7F}
    assert not set(shown) & {"\u202e", "\ufffe"}


def test_there_are_colours_where_they_are_asked_for(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1mboss.exe 100\x1b[0m" in call(trace).stdout
    assert "\x1b[" not in call(trace, "--json").output


@pytest.mark.parametrize("words", [[], ["--table"]])
def test_filters_that_match_nothing_are_said(words: list[str], trace: Path) -> None:
    done = call(trace, "--process", "nobody.exe", *words)
    assert (done.return_value, done.output) == (0, "no event passes the filters\n")


@pytest.mark.parametrize("words", [[], ["--table"], ["--process", "100"]])
def test_of_a_damaged_recording_what_there_is_is_shown(words: list[str], trace: Path) -> None:
    lines = trace.read_bytes().splitlines(keepends=True)
    trace.write_bytes(b"".join(lines[:4]) + b'{"kind":"nonsense"}\n' + b"".join(lines[4:]))
    done = call(trace, *words)
    assert done.return_value == 3
    assert "100" in done.stdout
    assert "200" not in done.stdout
    assert "not read to its end" in done.stderr


def test_a_trace_that_was_cut_off_is_shown(trace: Path) -> None:
    trace.write_bytes(b"".join(trace.read_bytes().splitlines(keepends=True)[:-1]))
    done = call(trace)
    assert (done.return_value, "it has no footer, so it was cut off" in done.stderr) == (3, True)
    assert "19 events" in done.stdout


def test_the_recording_of_another_tool(tmp_path: Path) -> None:
    path = tmp_path / "Logfile.CSV"
    rows = [
        row("1:00:00.0000000 AM", 8, "Process Start", detail="Parent PID: 12, x"),
        row("1:00:00.0000002 AM", 8, "RegOpenKey"),
        row("1:00:00.0000005 AM", 8, "Process Exit"),
    ]
    path.write_text(export(*rows), encoding="utf-8-sig", newline="")
    done = call(path)
    assert done.return_value == 0
    assert "left out: 1 RegOpenKey" in done.stdout
    assert "ended after 0.500 us" in done.stdout


def test_the_document_has_each_process_after_its_parent(trace: Path) -> None:
    found = json.loads(call(trace, "-v", "--json").stdout)
    rows = {(process["boot"], process["pid"]): process for process in found["processes"]}
    child, parent = rows[0, 200], rows[0, 100]
    assert (found["events"], found["boots"], found["damage"], found["beyond"]) == (19, 2, "", 0)
    assert child["parent"] == parent["number"]
    assert (child["program"], child["duration"]) == ("work er.exe", 30_000)
    assert child["created"] == {"index": 5, "time": 3 * SECOND}
    assert (child["threads"], child["ended_threads"], child["images"]) == (1, 1, 1)
    assert child["thread_list"] == [{"tid": 204, "created": 3 * SECOND + 10, "ended": 3 * SECOND + 20_010}]
    assert parent["image_list"] == [{"image": "boss.exe", "base": "0x140000000"}]
    numbers = [process["number"] for process in found["processes"]]
    for at, process in enumerate(found["processes"]):
        assert process["parent"] is None or process["parent"] in numbers[:at]


def test_what_is_listed_has_a_limit(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "MAX_LISTED", 2)
    done = call(trace, "-v")
    assert "are not listed" not in call(trace).stdout
    assert "4 further threads and images are not listed" in done.stdout


def test_a_line_of_a_thousand_generations_is_shown(tmp_path: Path) -> None:
    events = [ProcessCreate(index=at, pid=at + 2, parent_pid=at + 1) for at in range(1000)]
    lines = call(written(tmp_path / "deep.jsonl", events)).stdout.splitlines()
    assert len(lines) == 1002
    assert max(map(len, lines)) < 160


def test_the_timeline_is_written(trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "timeline.json"
    done = call(trace, "--perfetto", out)
    assert done.return_value == 0
    names = {record["name"] for record in json.loads(out.read_bytes())["traceEvents"]}
    assert {"boss.exe 100", "work er.exe 200", "thread 204", "driver.sys"} <= names
    assert [path.name for path in out.parent.iterdir()] == ["timeline.json"]
    assert isinstance(call(trace, "--perfetto", tmp_path).exception, UsageError)


def test_wrong_input(trace: Path, tmp_path: Path) -> None:
    assert isinstance(call(trace, "--from", "soon").exception, UsageError)
    assert isinstance(call(trace, "--table", "--json").exception, UsageError)
    assert isinstance(call(tmp_path / "none").exception, TraceError)
    assert call(trace, "--kind", "nonsense").exit_code != 0
