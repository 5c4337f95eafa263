"""``procnotify lines``: what it shows, its JSON and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.errors import GrammarError, ProcnotifyError, TraceError

GRAMMAR = 'lines: mine\nforms:\n  - process_exit: "gone {pid:d}"\nignore:\n  - "hello"\n'


def called(folder: Path, log: str, grammar: str, *more: str) -> Result:
    (folder / "my.log").write_text(log, encoding="utf-8", newline="\n")
    (folder / "my.yaml").write_text(grammar, encoding="utf-8", newline="\n")
    words = ["lines", str(folder / "my.log"), "--lines", str(folder / "my.yaml"), *more]
    return CliRunner().invoke(cli, words, standalone_mode=False)


def test_a_log_that_is_understood_whole(tmp_path: Path) -> None:
    found = called(tmp_path, "gone 5\nhello\n[actor] begin exit id=1 pid=4\n", GRAMMAR, "--json")
    assert (found.return_value, found.exception) == (0, None)
    told = json.loads(found.stdout)
    assert (told["lines"], told["markers"], told["ignored"], told["left"]) == (3, 1, 1, 0)
    assert told["forms"] == [{"kind": "process_exit", "line": 3, "text": "gone {pid:d}", "count": 1}]
    assert (told["exit_code"], told["grammar"]["name"]) == (0, "mine")
    assert "3 lines, read by mine" in found.stderr


def test_lines_that_are_left_are_shown_with_where_they_stopped_fitting(tmp_path: Path) -> None:
    found = called(tmp_path, "gone 5\ngone x\n", GRAMMAR, "--json")
    assert found.return_value == 1
    told = json.loads(found.stdout)
    assert told["left"] == told["exit_code"] == 1
    (line,) = told["left_lines"]
    assert (line["number"], line["line"], line["position"], line["kind"]) == (2, "gone x", 6, "process_exit")
    assert line["expected"] == "a decimal number"


@pytest.mark.parametrize(
    ("log", "grammar", "error", "code"),
    [
        ("gone 5\n", "lines: mine\nforms:\n  - process_exit: '{pid:q}'\n", GrammarError, 2),
        ("", GRAMMAR, TraceError, 3),
    ],
)
def test_what_is_wrong_has_its_exit_code(
    log: str, grammar: str, error: type[ProcnotifyError], code: int, tmp_path: Path
) -> None:
    found = called(tmp_path, log, grammar)
    assert isinstance(found.exception, error)
    assert found.exception.exit_code == code
