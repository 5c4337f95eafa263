"""What a line grammar says of a driver's completeness."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import GrammarError
from harness.grammars import builtin_grammar, parse_grammar

TEXT = 'lines: mine\nforms:\n  - process_exit: "gone {pid:d}"\n'


@pytest.mark.parametrize(
    ("said", "complete"), [("", False), ("complete: true\n", True), ("complete: false\n", False)]
)
def test_it_is_promised_where_it_is_said(said: str, complete: bool) -> None:
    assert parse_grammar(TEXT + said, Path("mine.yaml")).complete is complete


def test_the_projects_driver_promises_it() -> None:
    assert builtin_grammar().complete


def test_what_is_neither_is_an_error() -> None:
    with pytest.raises(GrammarError, match=r"mine.yaml:4: .*complete"):
        parse_grammar(TEXT + "complete: mostly\n", Path("mine.yaml"))
