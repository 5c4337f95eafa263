"""YAML with the place of every value, and none of its surprises.

The YAML that scenarios and machine files are written in is a safe part of YAML 1.2: mappings, lists and
scalars; no tags, no anchors, no duplicate keys, no ``yes`` that means true, no ``1:30`` that means ninety. A
file may come from anywhere, so its size and depth are bounded.
"""

from __future__ import annotations

import re

import yaml

from harness.files import leads_out, read_file
from harness.yamlfile.nodes import ListNode, MapNode, Node, ScalarNode, Source

__all__ = ["MAX_DEPTH", "MAX_FILE", "parse_yaml", "read_text"]

MAX_FILE = 1 << 20
"""Bytes of a file."""

MAX_DEPTH = 50
"""Lists and mappings inside one another."""


def read_text(source: Source) -> str:
    """The text of a file.

    :raises UserFileError: it cannot be read, lies outside of the confining folder, or is no UTF-8.
    """
    if leads_out(source.path):
        raise source.kind("lies outside of the folder that this command is held to", path=source.path, line=1)
    try:
        data = read_file(source.path, limit=MAX_FILE)
    except OSError as error:
        raise source.kind(f"cannot be read: {error.strerror}", path=source.path, line=1) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "save the file as UTF-8"
        raise source.kind("not UTF-8 text", path=source.path, line=line, hint=hint) from None


def parse_yaml(text: str, source: Source) -> Node:
    """The document in ``text``.

    :raises UserFileError: it is not YAML, or not of the part of YAML described above.
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
        source.fail(1, "the file is empty", hint=source.kind.documentation)
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


_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")
_HEXADECIMAL = re.compile(r"0[xX][0-9A-Fa-f]{1,16}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LOOKS_LIKE_A_NUMBER = re.compile(r"[-+]?[0-9][0-9_]*")


def _convert(node: yaml.Node, source: Source) -> Node:
    line = node.start_mark.line + 1
    if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
        source.note(line, f"the tag {node.tag}", hint="write the value without it")
        return ScalarNode(None, line, misread=True)
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
                source.note(key_line, f"duplicate key '{key}'", hint=f"the first is on line {key_lines[key]}")
                continue
            key_lines[key] = key_line
            entries[key] = _convert(value_node, source)
        return MapNode(entries, key_lines, line)
    assert isinstance(node, yaml.ScalarNode)  # the third and last kind of node
    (scalar,) = source.each(
        [node],
        lambda node: ScalarNode(_scalar(node, source, line), line),
        instead=lambda node: ScalarNode(str(node.value), line, misread=True),
    )
    return scalar


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


def _line_of_bad_character(text: str) -> int:
    for number, line in enumerate(text.split("\n"), 1):
        if any(not _printable(character) for character in line):
            return number
    return 1


def _printable(character: str) -> bool:
    # YAML 1.2, production c-printable
    code = ord(character)
    return code in (0x9, 0xD, 0x85) or 0x20 <= code <= 0x7E or 0xA0 <= code <= 0xD7FF or code >= 0xE000
