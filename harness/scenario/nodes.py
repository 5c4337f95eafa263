"""YAML with the place of every value, and none of its surprises.

The YAML that scenarios are written in is a safe part of YAML 1.2: mappings, lists and scalars; no tags, no
anchors, no duplicate keys, no ``yes`` that means true, no ``1:30`` that means ninety. A scenario file may
come from anywhere, so its size and depth are bounded.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeAlias

import yaml

from harness.errors import ScenarioError

__all__ = [
    "MAX_DEPTH",
    "MAX_FILE",
    "ListNode",
    "MapNode",
    "Node",
    "ScalarNode",
    "Source",
    "parse_yaml",
]

MAX_FILE = 1 << 20
"""Bytes of a scenario file."""

MAX_DEPTH = 50
"""Lists and mappings inside one another."""


@dataclass(frozen=True)
class ScalarNode:
    """A number, a truth value, a text or nothing."""

    value: int | bool | str | None
    line: int


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
    """A scenario file: makes its errors, and reads its nodes as what they must be."""

    path: Path

    def fail(self, at: Node | int, message: str, *, hint: str = "") -> NoReturn:
        """Raise ScenarioError with the place."""
        line = at if isinstance(at, int) else at.line
        raise ScenarioError(_in_one_line(message), path=self.path, line=line, hint=hint)

    def mapping(
        self, node: Node, what: str, *, required: Iterable[str] = (), optional: Iterable[str] = ()
    ) -> dict[str, Node]:
        """The entries of a mapping that has every required key and no unknown one."""
        if not isinstance(node, MapNode):
            self.fail(node, f"{what} must be a mapping, not {describe(node)}")
        known = [*required, *optional]
        for key in node.entries:
            if key not in known:
                self.fail(
                    node.key_lines[key], f"unknown key '{key}' in {what}", hint=self.suggest(key, known)
                )
        for key in required:
            if key not in node.entries:
                self.fail(node, f"{what} lacks '{key}'")
        return node.entries

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
        match = _DURATION.fullmatch(text) if isinstance(text, str) else None
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


def parse_yaml(text: str, source: Source) -> Node:
    """The document in ``text``.

    :raises ScenarioError: it is not YAML, or not of the part of YAML described above.
    """
    if len(text.encode("utf-8", "replace")) > MAX_FILE:
        source.fail(1, f"the file is larger than {MAX_FILE} bytes")
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line[: len(line) - len(line.lstrip())]:
            source.fail(number, "a tab in the indentation", hint="YAML is indented with spaces")
    try:
        loader = _Loader(text, source)
    except yaml.YAMLError as error:  # a character that YAML does not allow
        source.fail(_line_of_bad_character(text), f"not YAML: {str(error).splitlines()[0]}")
    try:
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = str(error.problem or error.context)
        if problem.startswith("but "):  # the one problem that goes on with the sentence of its context
            problem = f"{error.context}, {problem}"
        source.fail(mark.line + 1 if mark else 1, f"not YAML: {problem}", hint=_begin_of(error))
    except (ValueError, OverflowError):  # PyYAML reads the digits of an escape or a version without a limit
        source.fail(loader.line + 1, "not YAML: a number that is out of range")
    if root is None:
        source.fail(1, "the file is empty", hint="docs/scenarios.md shows a whole scenario")
    return _convert(root, source)


def _begin_of(error: yaml.MarkedYAMLError) -> str:
    """Where the bracket or quote was opened in which the error came; that is often where the mistake is."""
    opened = re.search("a (flow .*|.*quoted scalar)", str(error.context))
    if opened is None or error.context_mark is None:
        return ""
    return f"{opened[0]} begins on line {error.context_mark.line + 1}"


class _Loader(yaml.SafeLoader):
    """Composes nodes; refuses depth and anchors while it does, before they cost anything."""

    def __init__(self, text: str, source: Source) -> None:
        super().__init__(text)
        self._source = source
        self._depth = -1

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            self._source.fail(line, f"the alias *{event.anchor}", hint="write the value out")
        if self._depth == MAX_DEPTH:
            self._source.fail(line, f"lists and mappings are nested deeper than {MAX_DEPTH}")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


_LONGEST_MESSAGE = 300

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(us|ms|s|m)")
_UNITS = {"us": 10, "ms": 10_000, "s": 10_000_000, "m": 600_000_000}
_LONGEST = 24 * 60 * _UNITS["m"]

_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")
_HEXADECIMAL = re.compile(r"0[xX][0-9A-Fa-f]{1,16}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LOOKS_LIKE_A_NUMBER = re.compile(r"[-+]?[0-9][0-9_]*")


def _convert(node: yaml.Node, source: Source) -> Node:
    line = node.start_mark.line + 1
    if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
        source.fail(line, f"the tag {node.tag}", hint="scenarios have no tags")
    if isinstance(node, yaml.SequenceNode):
        return ListNode(tuple(_convert(item, source) for item in node.value), line)
    if isinstance(node, yaml.MappingNode):
        entries: dict[str, Node] = {}
        key_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                source.fail(key_line, "a key must be a word")
            key = _text(key_node, source, key_line)
            if key in entries:
                source.fail(key_line, f"duplicate key '{key}'", hint=f"the first is on line {key_lines[key]}")
            key_lines[key] = key_line
            entries[key] = _convert(value_node, source)
        return MapNode(entries, key_lines, line)
    assert isinstance(node, yaml.ScalarNode)  # the third and last kind of node
    return ScalarNode(_scalar(node, source, line), line)


def _scalar(node: yaml.ScalarNode, source: Source, line: int) -> int | bool | str | None:
    text = _text(node, source, line)
    if node.style is not None:
        return text
    if text in ("", "null", "~"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    if _LOOKS_LIKE_A_NUMBER.fullmatch(text):
        source.fail(line, f"'{text}' is not a number here", hint="write 10, 0x10, or quote it to mean a text")
    return text


def _text(node: yaml.ScalarNode, source: Source, line: int) -> str:
    text = str(node.value)
    if _SURROGATE.search(text):
        source.fail(
            line, "half a character: an escape of the range \\ud800 to \\udfff", hint="write \\U0001f600"
        )
    return text


def _in_one_line(message: str) -> str:
    """What the file says may stand in a message: without line ends and what a terminal would obey."""
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]}..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in message)


def _line_of_bad_character(text: str) -> int:
    for number, line in enumerate(text.split("\n"), 1):
        if any(not _printable(character) for character in line):
            return number
    return 1


def _printable(character: str) -> bool:
    # YAML 1.2, production c-printable
    code = ord(character)
    return code in (0x9, 0xD, 0x85) or 0x20 <= code <= 0x7E or 0xA0 <= code <= 0xD7FF or code >= 0xE000
