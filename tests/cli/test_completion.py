"""What the shell is told to complete; the lines of the README that switch it on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from harness.cli import cli

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def completed(*words: str) -> list[tuple[str, str]]:
    *before, incomplete = words
    shell = ShellComplete(cli, {}, "procnotify", "_PROCNOTIFY_COMPLETE")
    return [(item.type, item.value) for item in shell.get_completions(before, incomplete)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ru"], [("plain", "run")]),
        (["run", "--debugger", "n"], [("plain", "native"), ("plain", "ntoseye"), ("plain", "none")]),
        (["run", "--machine", "vi"], [("file", "vi"), ("plain", "virtual")]),
        (["run", "--machine", "la"], [("file", "la")]),
        (["run", "--policy", "po"], [("plain", "pos")]),
        (["run", "scen"], [("file", "scen")]),
        (["record", "--debugger", "py"], [("plain", "pykd")]),
        (["run", "--witness", "t"], [("plain", "target")]),
        (["new", "sc"], [("plain", "scenario")]),
    ],
)
def test_a_word_is_completed(words: list[str], found: list[tuple[str, str]]) -> None:
    assert completed(*words) == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_of_the_readme_gives_a_script(shell: str) -> None:
    (variable,) = re.findall(rf"_PROCNOTIFY_COMPLETE={shell}_source", README)
    name, _, value = variable.partition("=")
    program = "import sys; sys.argv = ['procnotify']; from harness.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, name: value, "PATH": os.defpath},  # click asks bash for its version
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "_procnotify_completion" in done.stdout, done.stderr
