"""The examples of ``docs/json.md``, executed: the documents have the keys and the kinds of value shown."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness.cli import COMMANDS, cli
from harness.report.json_document import JSON_FORMAT
from harness.toolchain import default_driver

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```console\n\$ procnotify (.*?)\n```\n```json\n(.*?)```", PAGE, re.DOTALL)


def shape(value: object) -> object:
    """Keys and kinds of value; of a list what its elements have in common."""
    match value:
        case dict():
            return {key: shape(item) for key, item in value.items()}
        case list():
            return [shape(value[0])] if value else []
        case bool() | None:
            return value
        case int() | float():
            return "number"
        case _:
            return type(value).__name__


@pytest.mark.parametrize(("words", "text"), [pytest.param(*row, id=row[0]) for row in EXAMPLES])
def test_an_example_says_what_the_page_says(words: str, text: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    shown = json.loads(text)
    if "mydriver.sys" in words and "--out" not in words:
        shutil.copyfile(default_driver().path, tmp_path / "mydriver.sys")
    done = subprocess.run(
        [sys.executable, "-m", "harness", *shlex.split(words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = json.loads(done.stdout)
    assert done.stdout.isascii()
    assert shape(found) == shape(shown), done.stderr
    assert done.returncode == found["exit_code"] == shown["exit_code"]
    assert (found["format"], found["command"]) == (JSON_FORMAT, shown["command"])
    assert found.get("error") == shown.get("error")


def test_the_page_has_examples_of_what_runs_anywhere() -> None:
    assert {json.loads(text)["command"] for _, text in EXAMPLES} >= {
        "run",
        "try",
        "driver build",
        "debug",
        "keygen",
    }


def leaves(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return [(name, command)]
    context = click.Context(command)
    found = [(word, command.get_command(context, word)) for word in command.list_commands(context)]
    return [leaf for word, sub in found if sub is not None for leaf in leaves(sub, f"{name} {word}")]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_the_option_and_is_on_the_page(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for words, leaf in leaves(command, name):
        options = {option for parameter in leaf.params for option in parameter.opts}
        assert "--json" in options, f"{words} has no --json"
        assert re.search(rf"^## .*\b{words}\b", PAGE, re.MULTILINE), f"{words} is not on the page"
