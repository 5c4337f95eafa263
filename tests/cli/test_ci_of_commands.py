"""What CI services are told by commands that run no series of scenarios themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from launches import ONE_LIFE

from harness.cli import cli
from harness.cli._reports import relay_to_ci_service
from harness.events import Event, ProcessCreate, ProcessExit
from harness.report.ci.telling import commands_among
from harness.toolchain import default_driver
from harness.trace import Header, TraceWriter

ROOT = Path(__file__).resolve().parents[2]
BORN, DIED = ProcessCreate(index=0, pid=8, parent_pid=4, line="::error::forged"), ProcessExit(index=1, pid=8)


@pytest.fixture
def on_github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    return tmp_path


def errors_of(output: str) -> list[tuple[str, int, str]]:
    found = re.findall(r"^::error file=(.*?),line=(\d+),title=.*?::(.*)$", output, re.MULTILINE)
    return [(file, int(line), message) for file, line, message in found]


def checked(folder: Path, events: list[Event], *words: str) -> str:
    (folder / "s.yaml").write_text(ONE_LIFE, encoding="utf-8")
    with TraceWriter(folder / "t.jsonl", Header(scenario="one")) as writer:
        writer.write(events)
        writer.finish(outcome="passed")
    result = CliRunner().invoke(cli, ["check", str(folder / "t.jsonl"), str(folder / "s.yaml"), *words])
    return result.stderr if "--json" in words else result.output


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_check_annotates_the_promise_that_a_trace_breaks(on_github: Path, words: tuple[str, ...]) -> None:
    ((file, line, message),) = errors_of(checked(on_github, [BORN], *words))
    assert (file, line) == ("s.yaml", 8)
    assert "not found: process_exit" in message and message.endswith("t.jsonl")
    assert not (on_github / "summary").exists(), "one recording is no series"


def test_check_says_nothing_of_a_trace_that_holds(on_github: Path) -> None:
    assert errors_of(checked(on_github, [BORN, DIED])) == []


def test_elsewhere_check_writes_no_command(tmp_path: Path) -> None:
    assert "not found: process_exit" in (said := checked(tmp_path, [BORN]))
    assert errors_of(said) == []


def test_explore_annotates_each_cause(on_github: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(on_github)
    text = (ROOT / "scenarios" / "create-thread.yaml").read_text(encoding="utf-8")
    text += "  - order:\n      - process_create: {pid: 7}\n"
    (on_github / "s.yaml").write_text(text, encoding="utf-8", newline="\n")
    words = ["s.yaml", "--seeds", "2", "--cpus", "1", "--no-shrink", "--driver", str(default_driver().path)]
    result = CliRunner().invoke(cli, ["explore", *words], standalone_mode=False)
    assert result.return_value == 1, result.output
    ((file, line, message),) = errors_of(result.output)
    assert (file, line) == ("s.yaml", len(text.splitlines()))
    assert "broken in 2 of 2" in message and "replay file: " in message


def test_matrix_passes_on_what_its_cells_told_the_service(
    on_github: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "compiling\n::error file=a.yaml,line=3,title=t::m\n\\x3a:error::forged\n"
    logs = [on_github / "1.log", on_github / "2.log", on_github / "not there"]
    for log in logs[:2]:
        log.write_text(said, encoding="utf-8", newline="\n")
    relay_to_ci_service(logs, to_stderr=False)
    assert capsys.readouterr().out == "::error file=a.yaml,line=3,title=t::m\n"


@pytest.mark.parametrize(
    ("environment", "heard"),
    [({}, []), ({"GITHUB_ACTIONS": "true"}, ["::error a::b"]), ({"TF_BUILD": "True"}, ["##vso[task.x]"])],
)
def test_each_service_gets_its_own_commands(environment: dict[str, str], heard: list[str]) -> None:
    lines = ["::error a::b", "##vso[task.x]", "words", "::set-output name=a::b"]
    assert list(commands_among(environment, lines)) == heard
