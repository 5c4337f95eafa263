"""Every way out that an error names is there: the command, and the option."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from harness.cli import cli

ROOT = Path(__file__).resolve().parent.parent
COMMAND = re.compile(r"(?:[`(]|with |use )procnotify ((?:[a-z]+ ?)+)")
OPTION = re.compile(r"(?<![\w,-])--[a-z][a-z-]*")
OTHERS = {"--no-install-recommends", "--nthreads", "--resources"}
"""Options of other programs that hints name."""


def texts() -> Iterator[tuple[str, str]]:
    """Place and text of every string that is handed on as a hint, also by way of a name."""
    for path in sorted((ROOT / "harness").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        values = [n.value for n in ast.walk(tree) if isinstance(n, ast.keyword) and n.arg == "hint"]
        names = {n.id for value in values for n in ast.walk(value) if isinstance(n, ast.Name)} | {"hint"}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if names & {ast.unparse(target) for target in targets}:
                    values.append(node.value)
            elif isinstance(node, ast.FunctionDef) and node.name == "way_out":
                values += [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value]
        for value in values:
            for part in ast.walk(value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield f"{path.relative_to(ROOT)}:{part.lineno}", part.value


def commands(group: click.Group, name: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        yield f"{name}{word}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{name}{word} ")


ALL = dict(commands(cli))
OPTIONS = {opt for command in ALL.values() for parameter in command.params for opt in parameter.opts}
PYTEST_OPTIONS = (ROOT / "harness" / "pytest_plugin" / "options.py").read_text(encoding="utf-8")
OPTIONS |= set(re.findall(r'"(--procnotify-[a-z-]+)"', PYTEST_OPTIONS))
HINTS = list(texts())


def test_there_are_hints() -> None:
    assert len(HINTS) > 100
    assert any(OPTION.search(text) for _, text in HINTS)
    assert any(COMMAND.search(text) for _, text in HINTS)


@pytest.mark.parametrize(
    ("place", "text"), [pytest.param(*hint, id=hint[0]) for hint in HINTS if OPTION.search(hint[1])]
)
def test_an_option_that_a_hint_names_is_there(place: str, text: str) -> None:
    assert set(OPTION.findall(text)) <= OPTIONS | OTHERS, place


@pytest.mark.parametrize(
    ("place", "text"), [pytest.param(*hint, id=hint[0]) for hint in HINTS if COMMAND.search(hint[1])]
)
def test_a_command_that_a_hint_names_is_there(place: str, text: str) -> None:
    for words in COMMAND.findall(text):
        first, *more = words.split()
        assert first in ALL, place
        assert not isinstance(ALL[first], click.Group) or not more or f"{first} {more[0]}" in ALL, place
