"""Reference made from the code: nothing is left out, and nothing in it is markup by accident."""

from __future__ import annotations

import click
import pytest

import harness
from harness.cli import cli
from harness.schemas import SCHEMAS
from tools.reference import draw_commands, draw_keys, draw_python
from tools.reference.commands import leaves
from tools.reference.markdown import escaped, from_docstring


def test_every_command_and_option_is_there() -> None:
    drawn = draw_commands()
    found = list(leaves(cli))
    assert {"run", "driver build", "wine setup"} <= {words for words, _ in found}
    for words, command in found:
        _, _, section = f"\n{drawn}".partition(f"\n## {words}\n")
        section = section.partition("\n## ")[0]
        options = [option for option in command.params if isinstance(option, click.Option)]
        missing = [option.opts[0] for option in options if f"`{option.opts[0]}" not in section]
        assert missing == [], words


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_key_of_a_file_is_there(kind: str) -> None:
    schema = SCHEMAS[kind]()
    drawn = draw_keys(kind)
    parts = [schema, *schema.get("$defs", {}).values(), *(case["then"] for case in schema.get("allOf", ()))]
    keys = {key for part in parts for key in part.get("properties", ())}
    assert len(keys) > 10
    assert [key for key in keys if f"`{key}`" not in drawn] == []


def test_everything_that_the_package_offers_is_there_or_on_a_page_of_its_own() -> None:
    drawn = draw_python()
    named = {name for name in harness.__all__ if f"### {name}\n" in drawn}
    events = {cls.__name__ for cls in harness.KINDS.values()}
    errors = {name for name in harness.__all__ if issubclass_of_errors(name)}
    assert set(harness.__all__) - named - events - errors == {"KINDS", "Event"}


def issubclass_of_errors(name: str) -> bool:
    value = getattr(harness, name)
    return isinstance(value, type) and issubclass(value, harness.ProcnotifyError)


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("plain", "plain"),
        ("a|b *.dll <x> [y]", r"a\|b \*.dll \<x> \[y\]"),
        ("see docs/lines.md.", "see [lines.md](lines.md)."),
        ("`kept`", "`kept`"),
    ],
)
def test_text_is_no_markup(text: str, markdown: str) -> None:
    assert escaped(text) == markdown


def test_literals_and_roles_of_docstrings_are_literals() -> None:
    text = "One of ``a*`` and\n    :class:`harness.trace.Trace`, *not* it."
    assert from_docstring(text) == r"One of `a*` and `Trace`, \*not\* it."
