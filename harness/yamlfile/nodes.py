"""The values of a YAML file with their places, and reading them as what they must be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

from harness.errors import UserFileError

__all__ = [
    "DURATION",
    "MAX_MISTAKES",
    "ListNode",
    "MapNode",
    "Node",
    "ScalarNode",
    "Source",
]

MAX_MISTAKES = 20
"""After that many mistakes a file is not read on."""

_LONGEST_MESSAGE = 300

DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(us|ms|s|m)")
"""How a duration is written."""
_UNITS = {"us": 10, "ms": 10_000, "s": 10_000_000, "m": 600_000_000}
_LONGEST = 24 * 60 * _UNITS["m"]

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class _ToldAlready(UserFileError):
    """A mistake that comes of one that was noted."""


class _EnoughMistakes(Exception):
    """There are :data:`MAX_MISTAKES`."""


@dataclass(frozen=True)
class ScalarNode:
    """A number, a truth value, a text or nothing."""

    value: int | bool | str | None
    line: int
    misread: bool = False
    """It is wrong whatever it stands for, and that was noted."""


@dataclass(frozen=True)
class ListNode:
    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True)
class MapNode:
    """Keys are texts; each has the line it stands on."""

    entries: dict[str, Node]
    key_lines: dict[str, int]
    line: int


Node: TypeAlias = ScalarNode | ListNode | MapNode


@dataclass(frozen=True)
class Source:
    """A file that the user wrote: makes its errors, and reads its nodes as what they must be.

    A mistake ends the reading of what it stands in (:meth:`fail`), not of the file: :meth:`each` and
    :meth:`going_on` keep it and go on, and :meth:`read_all` raises the lot.
    """

    path: Path
    kind: type[UserFileError]
    """The class of its errors: what kind of file it is."""
    mistakes: list[UserFileError] = field(default_factory=list)
    """What was kept so far."""

    def fail(self, at: Node | int, message: str, *, hint: str = "") -> NoReturn:
        """Raise the file's error with the place."""
        line = at if isinstance(at, int) else at.line
        told = isinstance(at, ScalarNode) and at.misread
        raise (_ToldAlready if told else self.kind)(
            _in_one_line(message), path=self.path, line=line, hint=hint
        )

    def note(self, at: Node | int, message: str, *, hint: str = "") -> None:
        """Keep a mistake that does not hinder reading on."""
        with self.going_on():
            self.fail(at, message, hint=hint)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Keep a mistake in the block and go on behind it."""
        try:
            yield
        except _ToldAlready:
            pass
        except UserFileError as error:
            self.mistakes.append(error)
            if len(self.mistakes) == MAX_MISTAKES:
                raise _EnoughMistakes from None

    def each(
        self,
        parts: Iterable[_In],
        read: Callable[[_In], _Out],
        *,
        instead: Callable[[_In], _Out] | None = None,
    ) -> tuple[_Out, ...]:
        """Each part as ``read`` gives it; where that fails, as ``instead`` does, or without it."""
        found: list[_Out] = []
        for part in parts:
            expected = len(found) + 1
            with self.going_on():
                found.append(read(part))
            if len(found) < expected and instead is not None:
                found.append(instead(part))
        return tuple(found)

    def entry(
        self, entries: Mapping[str, Node], key: str, read: Callable[[Node], _Out], default: _Out
    ) -> _Out:
        """What ``read`` makes of an entry; ``default`` where that fails or there is none."""
        if key in entries:
            with self.going_on():
                return read(entries[key])
        return default

    def read_all(self, read: Callable[[], _Out]) -> _Out:
        """What ``read`` gives.

        :raises UserFileError: the first mistake of the file; the others are its ``others``.
        """
        enough = False
        try:
            with self.going_on():
                result = read()
        except _EnoughMistakes:
            enough = True
        if not self.mistakes:
            return result
        first, *others = sorted(self.mistakes, key=lambda mistake: mistake.line)
        if enough:
            last = [first, *others][-1]
            message = f"{MAX_MISTAKES} mistakes; the file is not read on"
            others.append(self.kind(message, path=self.path, line=last.line))
        first.take(others)
        raise first

    def mapping(
        self, node: Node, what: str, *, required: Iterable[str] = (), optional: Iterable[str] = ()
    ) -> dict[str, Node]:
        """The entries of a mapping that has every required key; unknown ones are noted and left out."""
        if not isinstance(node, MapNode):
            self.fail(node, f"{what} must be a mapping, not {describe(node)}")
        known = [*required, *optional]
        unknown = [key for key in node.entries if key not in known]
        lacking = [key for key in required if key not in node.entries]
        for key in unknown:
            self.note(node.key_lines[key], f"unknown key '{key}' in {what}", hint=self.suggest(key, known))
        if lacking and unknown:  # the one may well stand for the other
            raise _ToldAlready(f"{what} lacks '{lacking[0]}'", path=self.path, line=node.line)
        if lacking:
            self.fail(node, f"{what} lacks '{lacking[0]}'")
        return {key: value for key, value in node.entries.items() if key in known}

    def single(self, node: Node, what: str, known: Iterable[str]) -> tuple[str, Node]:
        """Key and value of a mapping with one key, which must be known."""
        if not isinstance(node, MapNode):
            self.fail(node, f"{what} must be a mapping with one key, not {describe(node)}")
        if not node.entries:
            self.fail(node, f"{what} must be a mapping with one key, not {describe(node)}")
        if len(node.entries) != 1:
            self.fail(
                node,
                f"{what} must be a mapping with one key, not several ({', '.join(node.entries)})",
                hint="begin each with its own '- '",
            )
        ((key, value),) = node.entries.items()
        if key not in known:
            self.fail(node.key_lines[key], f"unknown {what} '{key}'", hint=self.suggest(key, known))
        return key, value

    def list(self, node: Node, what: str) -> tuple[Node, ...]:
        """The items of a list that is not empty."""
        if not isinstance(node, ListNode):
            self.fail(node, f"{what} must be a list, not {describe(node)}")
        if not node.items:
            self.fail(node, f"{what} is empty")
        return node.items

    def text(self, node: Node, what: str) -> str:
        """A text that is not empty."""
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            self.fail(node, f"{what} must be a text, not {describe(node)}")
        if not node.value:
            self.fail(node, f"{what} is empty")
        return node.value

    def integer(self, node: Node, what: str, *, minimum: int, maximum: int) -> int:
        """A whole number in the given range, both ends included."""
        value = node.value if isinstance(node, ScalarNode) else None
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(node, f"{what} must be a whole number, not {describe(node)}")
        if not minimum <= value <= maximum:
            self.fail(node, f"{what} must be {minimum} to {maximum}, not {value}")
        return value

    def boolean(self, node: Node, what: str) -> bool:
        """``true`` or ``false``."""
        if not isinstance(node, ScalarNode) or not isinstance(node.value, bool):
            self.fail(node, f"{what} must be true or false, not {describe(node)}")
        return node.value

    def duration(self, node: Node, what: str) -> int:
        """``300ms``, ``2s``, ``1.5s``, ``50us``; in 100 ns units."""
        text = node.value if isinstance(node, ScalarNode) else None
        match = DURATION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            self.fail(
                node,
                f"{what} must be a duration, not {describe(node)}",
                hint="write a number and its unit: 50us, 300ms, 2s, 1m",
            )
        units = round(float(match[1]) * _UNITS[match[2]])
        if not 0 < units <= _LONGEST:
            self.fail(node, f"{what} must be longer than nothing and at most 24 hours, not {text}")
        return units

    @staticmethod
    def suggest(word: str, known: Iterable[str]) -> str:
        """The way out for a word that is not known: the closest one, or all of them."""
        known = list(known)
        if len(known) < 2:
            return f"known is only '{known[0]}'" if known else "there is nothing to say here"
        close = difflib.get_close_matches(word, known, n=1)
        return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"


def describe(node: Node) -> str:
    """A value as the reader of an error message would name it."""
    match node:
        case MapNode(entries):
            return "a mapping" if entries else "an empty mapping"
        case ListNode(items):
            return "a list" if items else "an empty list"
        case ScalarNode(None):
            return "nothing"
        case ScalarNode(bool(value)):
            return str(value).lower()
        case ScalarNode(int(value)):
            return f"the number {value}"
        case _:
            text = str(node.value)
            return f"'{text[:40]}...'" if len(text) > 40 else f"'{text}'"


def _in_one_line(message: str) -> str:
    """What the file says may stand in a message: without line ends and what a terminal would obey."""
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]}..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in message)
