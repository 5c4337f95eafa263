"""``procnotify check``: one exit code for each kind of ending, and one line for each mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from launches import ONE_LIFE, indexed, launch, write_trace
from this_system import NO_SUCH_FILE

from harness.cli import cli, main
from harness.cli.check import command
from harness.errors import ScenarioError, UsageError
from harness.events import Event, ProcessCreate, ProcessExit
from harness.grammars import builtin_grammar
from harness.lines import EventAssembler
from harness.trace import FORMAT, Header, TraceWriter
from harness.trace.reader import MAX_RECORD

BORN = ProcessCreate(index=0, pid=8, parent_pid=4, line="born")


def files(tmp_path: Path, events: list[Event], *, scenario: str = ONE_LIFE) -> list[str]:
    (tmp_path / "s.yaml").write_text(scenario, encoding="utf-8")
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
    (crash,) = EventAssembler(builtin_grammar()).bugcheck(0x50, (1, 2, 3, 4), "bad.sys")
    result = CliRunner().invoke(command, files(tmp_path, [crash]))
    assert result.exit_code == 4
    assert ": event 0: the target bugchecked: 0x00000050 PAGE_FAULT_IN_NONPAGED_AREA (0x00" in result.output


def test_lost_lines_are_no_failure_of_the_driver(tmp_path: Path) -> None:
    gone = [
        ProcessCreate(index=0, pid=8, parent_pid=4, seq=1),
        ProcessExit(index=1, pid=8, seq=3),
    ]
    result = CliRunner().invoke(command, files(tmp_path, gone))
    assert (result.exit_code, result.stdout) == (3, "")
    assert "1 line of the driver never arrived (seq 2); nothing is judged" in result.stderr


def test_a_trace_that_was_cut_off(tmp_path: Path) -> None:
    trace, scenario = files(tmp_path, [BORN, ProcessExit(index=1, pid=8)])
    whole = Path(trace).read_bytes()
    Path(trace).write_bytes(whole[: whole.rfind(b'{"kind":"footer"') + 20])
    result = CliRunner().invoke(command, [trace, scenario])
    assert (result.exit_code, result.stdout) == (3, "")
    assert "has no footer, so it may have been cut off; judge what there is of it" in result.stderr


def whole(tmp_path: Path) -> list[bytes]:
    """The lines of a trace that holds: header, two events, footer."""
    trace, _ = files(tmp_path, [BORN, ProcessExit(index=1, pid=8)])
    return Path(trace).read_bytes().splitlines(keepends=True)


NOT_OURS = "; a trace begins with the header that procnotify writes"
HEADER = b'{"kind":"header","format":1}\n'
TRACES = [
    ("an empty file", [], f":1: the file is empty{NOT_OURS}"),
    ("a blank line", [b"\n"], f":1: not a trace: ''{NOT_OURS}"),
    ("a program", [b"MZ\x90\x00\x03\x00"], ": not a trace but a Windows program"),
    ("a compressed file", [b"\x1f\x8b\x08\x08"], ": cut off: the gzip data ends before its end"),
    ("another's bytes", [b"\x00\x8b\x08\x08"], f":1: not a trace: '\\x00\\ufffd\\x08\\x08'{NOT_OURS}"),
    ("NUL bytes", [b"\x00" * 3], f":1: not a trace: '\\x00\\x00\\x00'{NOT_OURS}"),
    ("another's JSON Lines", [b'{"a": 1}\n', b'{"a": 2}\n'], f":1: not a trace: '{{\"a\": 1}}'{NOT_OURS}"),
    ("a JSON list", [b"[1, 2]\n"], f":1: not a trace: '[1, 2]'{NOT_OURS}"),
    ("a number", [b"7"], f":1: not a trace: '7'{NOT_OURS}"),
    (
        "a scenario in its place",
        [b"scenario: one\n", b"summary: x.\n"],
        f":1: not a trace: 'scenario: one'{NOT_OURS}",
    ),
    ("events without a header", [1, 2, 3], ':1: not a trace: \'{"kind":"process_create",'),
    (
        "a newer format",
        [b'{"kind":"header","format":%d}\n' % (FORMAT + 1), 1, 2, 3],
        f":1: the trace has format {FORMAT + 1}, known is {FORMAT}; update procnotify",
    ),
    (
        "a header only",
        [0],
        ": the recording has no footer, so it may have been cut off; judge what there is of it with",
    ),
    (
        "no footer",
        [0, 1, 2],
        ": the recording has no footer, so it may have been cut off; judge what there is of it with",
    ),
    ("half an event", [0, 1, b'{"kind":"proc'], ": the recording has no footer, so it may"),
    ("a missing event", [0, 2, 3], ":2: event 1 stands where event 0 is expected"),
    ("an event twice", [0, 1, 1, 2, 3], ":3: event 0 stands where event 1 is expected"),
    ("two traces in one file", [0, 1, 2, 3, 0, 1, 2, 3], ":5: damaged: "),
    ("an event after the footer", [0, 1, 2, 3, 1], ":5: there is more after the footer"),
    ("a line that is no JSON", [0, 1, b"oops\n", 2, 3], ":3: damaged: "),
    ("another's JSON between", [0, 1, b'{"a":1}\n', 2, 3], ":3: damaged: "),
    (
        "a huge line",
        [0, b'{"kind":"print","index":0,"line":"' + b"x" * (MAX_RECORD + (1 << 20)) + b'"}\n', 3],
        ":2: a line of more than 4194304 bytes",
    ),
    ("a huge first line", [b'{"kind":"header","scenario":"' + b"x" * (MAX_RECORD + 9)], ":1: not a trace: "),
    ("nested too deep", [0, b'{"kind":"print","index":0,"x":' + b"[" * 100_000 + b"\n", 3], ":2: damaged: "),
    ("nested too deep at once", [b"[" * 100_000], ":1: not a trace: "),
    (
        "what a terminal obeys",
        [0, b'{"kind":"\\u001b[2J\\n"}\n', 3],
        ":2: damaged: Invalid value '\\x1b[2J\\n'",
    ),
    (
        "a bugcheck that is counted only",
        [
            HEADER,
            b'{"kind":"footer","events":0,"counts":{"bugcheck":1},"loss":{}}\n',
        ],
        ": the footer counts 1 bugcheck, the trace holds 0; the file was changed after it was recorded",
    ),
    (
        "a reason that a terminal obeys",
        [
            HEADER,
            b'{"kind":"footer","events":0,"counts":{},"loss":{},"complete":false,"reason":"\\u001b[2J\\nx"}\n',
        ],
        ": the capture ended early: \\x1b[2J\\nx",
    ),
]


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str]:
    """Exit code and what stands on stderr; nothing may stand on stdout."""
    monkeypatch.setattr(sys, "argv", ["procnotify", "check", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert said.out == ""
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.err


@pytest.mark.parametrize(("parts", "message"), [pytest.param(*row, id=name) for name, *row in TRACES])
def test_what_is_no_whole_trace_is_one_line_and_exit_code_3(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    parts: list[int | bytes],
    message: str,
) -> None:
    lines = whole(tmp_path)
    trace = tmp_path / "t.jsonl"
    trace.write_bytes(b"".join(lines[part] if isinstance(part, int) else part for part in parts))
    code, said = run(capsys, monkeypatch, trace, tmp_path / "s.yaml")
    assert code == 3
    assert said.startswith(f"procnotify: {trace}{message}")
    assert said.removesuffix("\n").isprintable()
    assert len(said) < 600 + len(str(trace))


@pytest.mark.parametrize(
    ("trace", "scenario", "code", "message"),
    [
        pytest.param("none", "s.yaml", 3, "procnotify: {trace}: cannot be read: {missing}", id="no trace"),
        pytest.param(".", "s.yaml", 3, "procnotify: {trace}: cannot be read: ", id="a directory"),
        pytest.param(
            "t.jsonl", "none", 2, "procnotify: {scenario}:1: cannot be read: {missing}", id="no scenario"
        ),
        pytest.param(
            "t.jsonl", "t.jsonl", 2, "procnotify: {scenario}:2: not YAML: ", id="the trace as scenario"
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    trace: str,
    scenario: str,
    code: int,
    message: str,
) -> None:
    whole(tmp_path)
    files = {"trace": tmp_path / trace, "scenario": tmp_path / scenario}
    found, said = run(capsys, monkeypatch, *files.values())
    assert found == code
    assert said.startswith(message.format(**files, missing=NO_SUCH_FILE))
    assert said.removesuffix("\n").isprintable()


def test_the_command_itself_says_one_line(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(ONE_LIFE, encoding="utf-8")
    (tmp_path / "t.jsonl").write_bytes(b"\x7fELF" + bytes(100))
    command_line = [
        sys.executable,
        "-m",
        "harness",
        "check",
        str(tmp_path / "t.jsonl"),
        str(tmp_path / "s.yaml"),
    ]
    ended = subprocess.run(command_line, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 3
    assert ended.stdout == ""
    assert ended.stderr == f"procnotify: {tmp_path / 't.jsonl'}: not a trace but an ELF program\n"
    assert ended.stderr.count("\n") == 1


def test_a_wrong_scenario(tmp_path: Path) -> None:
    arguments = files(tmp_path, [BORN], scenario=ONE_LIFE.replace("order:", "ordre:"))
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, ScenarioError)
    assert "did you mean" in str(result.exception)


def test_a_scenario_with_three_mistakes_is_three_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "scenario: one\nsummary: x.\nseed: soon\nprofil: x\nexpect:\n  never: [process_exti: any]\n"
    trace, scenario = files(tmp_path, [BORN], scenario=text)
    monkeypatch.setattr(sys, "argv", ["procnotify", "check", trace, scenario])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines] == [f"{scenario}:{number}" for number in (3, 4, 6)]


def test_select_judges_each_launch_by_itself_and_shows_the_first_that_fails(tmp_path: Path) -> None:
    kept, broken = "+ t a.exe b.dll c.dll x1 -", "+ t a.exe c.dll b.dll x1 -"
    lives = [event for n, words in enumerate((kept, broken, kept)) for event in launch(words, 1000 * (n + 1))]
    trace = write_trace(tmp_path / "trace.jsonl", lives, complete=False)
    scenario = tmp_path / "order.yaml"
    scenario.write_text(
        "scenario: order\nsummary: b before c.\nsteps:\n  - launch: {image: a.exe, as: p}\n"
        "expect:\n  - scope: {pid: $p}\n"
        "    order: [image_load: {image: b.dll}, image_load: {image: c.dll}]\n",
        encoding="utf-8",
    )
    words = ["check", str(trace), str(scenario), "--select", "image=a.exe"]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert done.exit_code == 1
    first, second, *_ = done.stdout.splitlines()
    assert first == f"{trace}: 2 of 3 instances of image=a.exe keep the promises of order"
    assert second.startswith(f"{trace}: instance 2, PID 2000, events 7 to 13: {scenario}:7: not found")
    found = json.loads(CliRunner().invoke(cli, [*words, "--json"], standalone_mode=False).stdout)
    assert (found["exit_code"], found["outcome"]) == (1, "broken promise")
    assert [each["outcome"] for each in found["instances"]] == ["passed", "broken promise", "passed"]
    done = CliRunner().invoke(cli, [*words, "--from", "x"], standalone_mode=False)
    assert isinstance(done.exception, UsageError)
    assert "cut the trace in two ways" in str(done.exception)


def test_instances_of_which_nothing_can_be_judged_keep_no_promise(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "scenario: ends\nsummary: A thread exits.\nsteps:\n  - launch: {image: a.exe, as: p}\n"
        "expect:\n  - order: [thread_exit: {pid: $p}]\n",
        encoding="utf-8",
    )
    machine = {"type": "recorded", "reports_not": '[{"thread_exit": "any"}]'}
    with TraceWriter(tmp_path / "t.jsonl", Header(machine=machine)) as writer:
        writer.write(indexed([*launch("+ t a.exe -"), *launch("+ t a.exe -", 2000)]))
        writer.finish(complete=True)
    words = ["check", str(tmp_path / "t.jsonl"), str(tmp_path / "s.yaml"), "--select", "image=a.exe"]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert done.exit_code == 5
    said = "0 of 2 instances of image=a.exe keep the promises of ends; of 2 nothing can be judged"
    assert done.stdout.splitlines()[0] == f"{tmp_path / 't.jsonl'}: {said}"
