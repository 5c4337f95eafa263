"""One text for a shell, read again as the shell and then the program read it."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import GuestError
from harness.guests.channels.commandline import posix_command_line, windows_command_line

text = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=20)
marks = st.text(st.sampled_from("ab \"\\^%!&|<>()'="), max_size=12)


def read_by_cmd(line: str) -> str:
    """What cmd.exe hands to the program: carets outside of quotes are taken away, and nothing in it may mean
    anything to cmd.exe."""
    handed, quoted, at = "", False, 0
    while at < len(line):
        mark = line[at]
        if mark == "^" and not quoted:
            at += 1
            handed += line[at]
        else:
            assert quoted or mark not in "&|<>()%!", f"cmd.exe reads {mark} in {line}"
            quoted ^= mark == '"'
            handed += mark
        at += 1
    return handed


def read_by_program(line: str) -> list[str]:
    """Microsoft's C runtime, "Parsing C command-line arguments"."""
    words: list[str] = []
    word, quoted, begun, slashes = "", False, False, 0
    for mark in line + " ":
        if mark == "\\":
            slashes, begun = slashes + 1, True
            continue
        if mark == '"':
            word, odd, slashes = word + "\\" * (slashes // 2), slashes % 2, 0
            begun = True
            if odd:
                word += '"'
            else:
                quoted = not quoted
            continue
        word, slashes = word + "\\" * slashes, 0
        if mark in " \t" and not quoted:
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + mark, True
    return words


@given(st.lists(text | marks, max_size=5))
def test_words_survive_cmd(words: list[str]) -> None:
    line = windows_command_line([r"C:\a b\x.exe", *words])
    assert read_by_program(read_by_cmd(line)) == [r"C:\a b\x.exe", *words]


@given(st.lists(text | marks, max_size=5))
def test_words_survive_a_posix_shell(words: list[str]) -> None:
    assert shlex.split(posix_command_line(["/a b", *words])) == ["exec", "/a b", *words]


def test_a_line_without_anything_odd_is_as_typed() -> None:
    words = [r"C:\procnotify\actor.exe", "--id", "3", "launch", "cmd.exe", "/c"]
    assert windows_command_line(words) == " ".join(words)


def test_quotes_stand_only_where_they_must() -> None:
    line = windows_command_line([r"C:\a b\x.exe", "a b", 'a"b', "c d\\", "", "%PATH%"])
    assert line == '"C:\\a b\\x.exe" ^"a b^" ^"a\\^"b^" ^"c d\\\\^" ^"^" ^"^%PATH^%^"'


@pytest.mark.parametrize(
    "words", [["a", "b\nc"], ["a", "b\rc"], ["a", "\0"], ["a\0"], ['a"b'], ["%a%"]], ids=repr
)
def test_what_cannot_be_hidden_from_cmd_is_refused(words: list[str]) -> None:
    with pytest.raises(GuestError, match="which the guest's shell would read"):
        windows_command_line(words)


def test_a_nul_is_refused_by_a_posix_shell_too() -> None:
    with pytest.raises(GuestError, match="which the guest's shell would read"):
        posix_command_line(["a", "\0"])
