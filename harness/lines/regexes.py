"""Regular expressions that a user wrote, for lines that a hostile target prints: their cost is bounded.

The matcher tries out how the repeated parts of an expression share a line between them. What is refused here
is what would make that number of ways grow without a bound: a repetition of something that repeats itself or
has alternatives, and more repetitions side by side than :data:`MAX_WAYS` allows.
"""

from __future__ import annotations

import re
import warnings
from typing import Final, NoReturn

from harness.lines.grammar import MAX_REGEX_LINE

__all__ = ["MAX_REGEX", "MAX_WAYS", "RegexError", "check_regex"]

MAX_REGEX: Final = 512
"""Characters of a regular expression."""

MAX_WAYS: Final = 1 << 22
"""Ways in which the repetitions of an expression can share a line of
:data:`~harness.lines.grammar.MAX_REGEX_LINE` characters: some 0.1 s of trying at the worst."""

_GROUP = re.compile(r"\((?:\?P<\w+>|\?:|(?!\?))")
_REPEAT = re.compile(r"(?:\*|\+|\?|\{([0-9]*)(,?)([0-9]*)\})[?+]?")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_BACK = re.compile(r"\\[1-9]")


class RegexError(ValueError):
    """The expression is wrong, or may cost too much."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class _OpenGroup:
    """What is open: whether there is a choice in it."""

    def __init__(self) -> None:
        self.choice = False


def check_regex(text: str) -> re.Pattern[str]:
    """The expression, compiled; only ASCII counts as a digit or a word, and ``.`` is any character.

    :raises RegexError: it is none, has something in it whose cost nobody can tell, or costs too much.
    """
    if len(text) > MAX_REGEX:
        raise RegexError(f"a regular expression of {len(text)} characters; {MAX_REGEX} are allowed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python reads in a way that its author may not have meant
            pattern = re.compile(text, re.ASCII | re.DOTALL)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise RegexError(f"not a regular expression: {error}") from None
    ways = _ways(text)
    if ways > MAX_WAYS:
        raise RegexError(
            f"its repetitions can share a line of {MAX_REGEX_LINE} characters in {ways:,} ways;"
            f" {MAX_WAYS:,} are allowed",
            "bound them: [0-9]{1,10} instead of [0-9]+",
        )
    return pattern


def _ways(text: str) -> int:
    """In how many ways the repetitions and alternatives of an expression can share a line, at most."""
    ways = 1
    groups = [_OpenGroup()]
    at = 0
    while at < len(text):
        closed: _OpenGroup | None = None
        if text[at] == "(":
            group = _GROUP.match(text, at)
            if group is None:
                _refuse(at, f"'{text[at : at + 3]}'")
            groups.append(_OpenGroup())
            at = group.end()
            continue
        if text[at] == ")":
            closed = groups.pop()
            groups[-1].choice |= closed.choice
            at += 1
        elif text[at] == "|":
            groups[-1].choice = True
            ways *= 2
            at += 1
            continue
        elif text[at] == "\\":
            if _BACK.match(text, at):
                _refuse(at, "a reference to a group")
            at += 2
        elif text[at] == "[":
            found = _CLASS.match(text, at)
            if found is None:
                _refuse(at, "'['")
            at = found.end()
        else:
            at += 1
        repeat = _REPEAT.match(text, at)
        if repeat is None:
            continue
        at = repeat.end()
        least, most = _bounds(repeat)
        if closed is not None and closed.choice and most > 1:
            raise RegexError(
                f"character {repeat.start() + 1}: a repetition of what repeats itself or has alternatives",
                "write the part out, or use the form's placeholders",
            )
        if least > MAX_REGEX_LINE:
            raise RegexError(f"character {repeat.start() + 1}: more repetitions than a line has characters")
        if most > least:
            groups[-1].choice = True
        # What is in a group may be empty, so that each of its repetitions costs by itself.
        ways *= max(most - least + 1, most if closed is not None else 1)
    return ways


def _bounds(repeat: re.Match[str]) -> tuple[int, int]:
    sign = repeat[0][0]
    if sign == "?":
        return 0, 1
    if sign in "*+":
        return int(sign == "+"), MAX_REGEX_LINE
    least = int(repeat[1] or 0)
    if not repeat[2]:
        return least, least
    return least, min(int(repeat[3]), MAX_REGEX_LINE) if repeat[3] else MAX_REGEX_LINE


def _refuse(at: int, what: str) -> NoReturn:
    raise RegexError(
        f"character {at + 1}: {what} is not for a regular expression here",
        "groups are (?P<name>...) and (?:...)",
    )
