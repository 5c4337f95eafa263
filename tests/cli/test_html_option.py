"""``--html`` of the commands that judge."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import pytest
from click.testing import CliRunner
from launches import ONE_LIFE, write_trace

from harness.cli import cli
from harness.events import ProcessCreate, ProcessExit

LINES = """\
lines: own
summary: Two forms.
prefix: "my: "
forms:
  - process_create: "+ {pid:d} of {parent_pid:d}"
  - process_exit: "- {pid:d}"
"""
BORN = ProcessCreate(index=0, pid=8, parent_pid=4, line="born <b>")


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("one.yaml")
    path.write_text(ONE_LIFE, encoding="utf-8", newline="\n")
    return path


def invoke(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [str(word) for word in words], standalone_mode=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return int(getattr(result.exception, "exit_code", -1)), str(result.exception)
    code = result.exit_code if result.return_value is None else result.return_value
    return int(code), result.output


def test_check_writes_what_it_found(scenario: Path) -> None:
    write_trace(Path("t.jsonl"), [BORN])
    code, _ = invoke("check", "t.jsonl", scenario, "--html", "new/report.html")
    assert code == 1
    page = Path("new/report.html").read_text(encoding="utf-8")
    assert "Broken promise: 1 of 1 run" in page
    assert "one.yaml:8: not found: process_exit {pid: $p}" in page
    assert "born &lt;b&gt;" in page


def test_check_writes_also_what_held(scenario: Path) -> None:
    write_trace(Path("t.jsonl"), [BORN, ProcessExit(index=1, pid=8, line="gone")])
    code, _ = invoke("check", "t.jsonl", scenario, "--html", "report.html")
    assert code == 0
    assert "<h1>Passed: 1 of 1 run</h1>" in Path("report.html").read_text(encoding="utf-8")


def test_check_shows_a_log_with_the_lines_that_it_was_read_by(scenario: Path) -> None:
    Path("own.lines.yaml").write_text(LINES, encoding="utf-8", newline="\n")
    Path("log.txt").write_text("my: + 8 of 4\nmy: - 8\n", encoding="utf-8", newline="\n")
    words = ("check", "log.txt", scenario, "--partial", "--lines", "own.lines.yaml", "--html", "report.html")
    code, said = invoke(*words)
    assert code == 0, said
    page = Path("report.html").read_text(encoding="utf-8")
    assert "No timeline" not in page
    packed = page.partition('<script type="application/octet-stream">')[2].partition("<")[0]
    drawn = json.loads(zlib.decompress(base64.b64decode(packed)))
    assert drawn["kinds"] == ["process_create", "process_exit"]


def test_check_shows_a_capture_that_its_key_opens(shared_data: Path, scenario: Path) -> None:
    scenario.write_text(
        "scenario: boot\nsummary: It boots.\nexpect:\n  - order:\n      - print: {text: never}\n",
        encoding="utf-8",
        newline="\n",
    )
    capture = shared_data / "kdnet" / "windbg-win10-key-8.8.8.8.pcapng.gz"
    code, said = invoke("check", capture, scenario, "--key", "8.8.8.8", "--partial", "--html", "report.html")
    assert code == 3, said
    page = Path("report.html").read_text(encoding="utf-8")
    assert "No timeline" not in page
    packed = page.partition('<script type="application/octet-stream">')[2].partition("<")[0]
    drawn = json.loads(zlib.decompress(base64.b64decode(packed)))
    assert "BD: Boot Debugger Initialized" in drawn["lines"]["forms"]


def test_check_shows_nothing_as_broken_that_the_rest_of_a_log_may_hold(scenario: Path) -> None:
    Path("own.lines.yaml").write_text(LINES, encoding="utf-8", newline="\n")
    Path("log.txt").write_text("my: + 8 of 4\nmy: + 9 of 4\n", encoding="utf-8", newline="\n")
    words = ("check", "log.txt", scenario, "--partial", "--lines", "own.lines.yaml", "--html", "report.html")
    code, said = invoke(*words)
    assert code == 3 and "what was not recorded may hold it" in said
    page = Path("report.html").read_text(encoding="utf-8").partition("</style>")[2]
    assert "not judged: one.yaml:8: not found: process_exit {pid: $p}; what was not recorded" in page
    assert "must come" not in page and "✗" not in page.partition("<script>")[0]


def test_a_report_that_cannot_be_written_is_said_before_anything_runs(scenario: Path) -> None:
    for words in (("check", "t.jsonl", scenario), ("run", scenario)):
        code, said = invoke(*words, "--html", ".")
        assert code == 2
        assert said.startswith("--html cannot write .: ")
        assert "choose another --html" in said


def test_instances_have_no_report(scenario: Path) -> None:
    code, said = invoke("check", "t.jsonl", scenario, "--select", "image=a.exe", "--html", "report.html")
    assert code == 2
    assert "leave out --select" in said


@pytest.mark.parametrize("words", [("--replay", "a.replay.json"), ("--fail-calls", "--debugger", "none")])
def test_what_has_no_page_is_refused_beside_it(scenario: Path, words: tuple[str, ...]) -> None:
    code, said = invoke("run", scenario, *words, "--html", "report.html")
    assert (code, said) == (2, f"--html has no page for {words[0]}; leave out the one or the other")
    assert not Path("report.html").exists()


def test_run_reports_every_run(scenario: Path) -> None:
    words = ("run", scenario, "--debugger", "none", "--repeat", "2", "--html", "report.html", "-q")
    code, _ = invoke(*words)
    page = Path("report.html").read_text(encoding="utf-8")
    assert page.count("<article ") == {0: 1, 1: 2}[code]
    assert 'title="' in page


def test_show_writes_the_events_that_pass_its_filters(scenario: Path) -> None:
    write_trace(Path("t.jsonl"), [BORN, ProcessExit(index=1, pid=8, line="gone")])
    code, _ = invoke("show", "t.jsonl", "--html", "shown.html", "--kind", "process_exit")
    assert code == 0
    page = Path("shown.html").read_text(encoding="utf-8")
    assert "<h1>t.jsonl</h1>" in page
    assert "1 events: 1 process_exit" in page
    assert page.count('<script type="application/octet-stream">') == 1


def test_show_refuses_more_events_than_a_page_has_room_for(
    scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.cli.show.MAX_EVENTS", 1)
    write_trace(Path("t.jsonl"), [BORN, ProcessExit(index=1, pid=8, line="gone")])
    code, said = invoke("show", "t.jsonl", "--html", "shown.html")
    assert code == 2
    assert said.startswith("the page would have more than 1 events; take a part of the recording by --from")
    assert not Path("shown.html").exists()
