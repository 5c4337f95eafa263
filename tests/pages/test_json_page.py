"""The examples of ``docs/json.md``, executed: the documents have the keys and the kinds of value shown."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest
from reader import GIVEN, ROOT, blocks_of, commands_of

from harness.cli import COMMANDS, cli
from harness.report.json_document import JSON_FORMAT
from tools.reference.commands import leaves

PATH = ROOT / "docs" / "json.md"
PAGE = PATH.read_text(encoding="utf-8")
BLOCKS = list(blocks_of(PATH))
EXAMPLES = [
    (command.words.removeprefix("procnotify "), after.text)
    for block, after in pairwise(BLOCKS)
    for command in commands_of(block)
]


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
    GIVEN["scenarios"](tmp_path)
    shown = json.loads(text)
    if "mydriver.sys" in words and "--out" not in words:
        GIVEN["mydriver.sys"](tmp_path)
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
    if sys.platform != "win32":  # whose Python here has no jsonschema
        from printed_documents import mistakes_in

        assert mistakes_in(found) == []
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
    assert [block.language for block in BLOCKS] == ["console", "json"] * len(EXAMPLES)


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"mcp"}))  # whose answers are documents of others
def test_every_command_has_the_option_and_is_on_the_page(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for words, leaf in leaves(command, name):
        options = {option for parameter in leaf.params for option in parameter.opts}
        assert "--json" in options, f"{words} has no --json"
        assert re.search(rf"^## .*\b{words}\b", PAGE, re.MULTILINE), f"{words} is not on the page"
