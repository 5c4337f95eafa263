"""A reader who does what the pages say gets what they show."""

from __future__ import annotations

from pathlib import Path

import pytest
from reader import ELSEWHERE, PAGES, ROOT, Reader, blocks_of, unlike
from this_system import SHELL


@SHELL
@pytest.mark.parametrize("name", ["tutorial"])
def test_a_reader_gets_what_the_page_shows(name: str, tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks_of(ROOT / "docs" / f"{name}.md"):
        reader.follow(block)
    reader.end()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_run_has_one_of_the_known_reasons(page: Path) -> None:
    assert {block.value for block in blocks_of(page) if block.note == "not run"} <= set(ELSEWHERE)


@pytest.mark.parametrize(
    ("shown", "printed", "alike"),
    [
        ("one\n", "one\n", True),
        ("one\n", "two\n", False),
        ("one\n", "one\ntwo\n", False),
        ("one\n...\n", "one\ntwo\nthree\n", True),
        ("one\n...\nthree\n", "one\nthree\n", True),
        ("one\n...\nfour\n", "one\ntwo\nthree\n", False),
        ("a ... c\n", "a b b c\n", True),
        ("a ... c\n", "a b\nc\n", False),
        ("took 0.87 s\n", "took 12.3 s\n", True),
        ("took 0.87 s\n", "took 12 s\n", False),
        ("of 12\n", "of 13\n", False),
        ("traces/20261128-130550-eadffd\n", "traces/20270101-000000-012abc\n", True),
        ("a  b\n", "a      b\n", True),
        (f"SHA-256 {'a' * 64}\n", f"SHA-256 {'0' * 64}\n", True),
    ],
)
def test_what_is_shown_and_what_came(shown: str, printed: str, alike: bool) -> None:
    assert (unlike(shown, printed) == "") is alike
