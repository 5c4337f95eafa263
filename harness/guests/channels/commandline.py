"""A program's words as the one text that a guest's shell takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final

from harness.errors import GuestError

__all__ = ["posix_command_line", "windows_command_line"]

_PLAIN: Final = re.compile(r"[\w:\\/.+~@-]+", re.ASCII)
"""What neither cmd.exe nor a program's own reading of its command line changes."""
_MARKS: Final = re.compile(r'[()%!^"<>&|]')
"""What cmd.exe acts on; a caret takes the meaning away, outside of quotes."""


def posix_command_line(argv: Sequence[str]) -> str:
    """For a POSIX shell, whose place the program takes: a signal to the shell is one to the program.

    :raises GuestError: a word has a NUL in it.
    """
    _require_no(argv, "\0")
    return f"exec {shlex.join(argv)}"


def windows_command_line(argv: Sequence[str]) -> str:
    """For cmd.exe, which reads it before the program does by the rules of Microsoft's C runtime.

    The program's own name is quoted only where it must be: with a quote at the beginning cmd.exe takes the
    first and the last one away (``cmd /?``), unless whoever starts it has put quotes around the whole.

    :raises GuestError: a word has a line feed or a NUL in it, or the program's name a quote or a per cent
        sign: nothing hides these from cmd.exe.
    """
    _require_no(argv, "\0\r\n")
    _require_no(argv[:1], '"%')
    program = argv[0] if _PLAIN.fullmatch(argv[0]) else f'"{argv[0]}"'
    return " ".join([program, *(_escaped(word) for word in argv[1:])])


def _escaped(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    # Backslashes are only special to the C runtime before a quote, and before the one that ends the word.
    quoted = re.sub(r'(\\*)"', r'\1\1\\"', word)
    quoted = re.sub(r"(\\+)$", r"\1\1", quoted)
    # Every quote gets a caret as well, so that cmd.exe never takes itself to be inside of any.
    return _MARKS.sub(r"^\g<0>", f'"{quoted}"')


def _require_no(words: Sequence[str], marks: str) -> None:
    for word in words:
        if found := set(marks) & set(word):
            raise GuestError(f"{word!r:.200} has {sorted(found)!r} in it, which the guest's shell would read")
