"""A reader who does what the pages say gets what they show; what no test does has a reason."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path

import click
import pytest
from reader import ELSEWHERE, PAGES, Block, Command, Reader, blocks_of, commands_of, unlike
from this_system import SHELL

from harness.cli import cli
from tools.reference.commands import leaves

OF_THEIR_OWN = ("json.md",)
"""Pages whose commands a test of their own runs."""
COMMANDS = [
    (block, command)
    for page in PAGES
    if page.name not in OF_THEIR_OWN
    for block in blocks_of(page)
    for command in commands_of(block)
]
DONE = [
    page
    for page in PAGES
    if any(block.page == page.name and block.note != "not run" for block, _ in COMMANDS)
]


@SHELL
@pytest.mark.parametrize("page", DONE, ids=lambda page: page.name)
def test_a_reader_gets_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks_of(page):
        reader.follow(block)
    reader.end()


def test_the_pages_have_commands_that_are_run() -> None:
    assert {page.name for page in DONE} >= {"tutorial.md", "guests.md", "notifybench.md"}
    notes = Counter(block.value for block, _ in COMMANDS if block.note == "not run")
    assert set(notes) <= set(ELSEWHERE), "a reason that nobody knows"
    assert set(ELSEWHERE) <= set(notes), "a reason that no page has"
    done = sum(block.note != "not run" for block, _ in COMMANDS)
    assert done >= 18
    assert notes.total() <= 70, "run what can be run"


@pytest.mark.parametrize(
    ("block", "command"), [pytest.param(*row, id=f"{row[0].place} {row[1].words}") for row in COMMANDS]
)
def test_a_command_is_one_that_there_is(block: Block, command: Command) -> None:
    """Whether it is run or not: click knows its words; nothing is done with them."""
    know_words(command.words)


def know_words(line: str) -> None:
    """:raises click.UsageError: a command of ours has no such option."""
    known = dict(leaves(cli))
    for part in re.split(r"&&|\|", line.partition("  #")[0]):
        words = shlex.split(part.replace("\\", "\\\\"))
        if not words or Path(words[0]).name != "procnotify":
            continue
        name, rest = next(
            (" ".join(words[1:end]), words[end:]) for end in (3, 2) if " ".join(words[1:end]) in known
        )
        known[name].make_parser(click.Context(known[name], info_name=name)).parse_args(rest)


@pytest.mark.parametrize(
    "line", ["procnotify run scenarios --seedz 3", "x && procnotify driver build --ouch a"]
)
def test_a_command_with_an_option_that_there_is_not_is_none(line: str) -> None:
    with pytest.raises(click.NoSuchOption):
        know_words(line)


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
