"""The text of a line grammar file becomes a :class:`~harness.lines.Grammar`, or errors with file and line."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Final

from harness.errors import GrammarError
from harness.grammars.forms import FormReader, template
from harness.grammars.overlap import note_hidden
from harness.lines import MARKERS, Form, Grammar, Splits
from harness.lines.grammar import Piece, pattern_of
from harness.yamlfile.nodes import Node, Source
from harness.yamlfile.parse import parse_yaml

__all__ = [
    "ENCODINGS",
    "MAX_FORMS",
    "MAX_GRAMMAR",
    "NAME",
    "OPTIONAL_KEYS",
    "REQUIRED_KEYS",
    "UNITS",
    "parse_grammar",
]

MAX_GRAMMAR: Final = 32 << 10
"""Bytes of a grammar file; the header of a trace holds it whole."""

MAX_FORMS: Final = 64
"""Forms of a grammar, and lines to ignore: a line is held to one after the other."""

ENCODINGS: Final = (
    *("utf-8", "ascii", "latin-1", "gbk", "gb18030", "big5", "cp932", "cp949", "koi8-r"),
    *(f"cp{page}" for page in (437, 850, 852, 866, 874, *range(1250, 1259))),
)
"""What a driver may print in: 8-bit, as a DbgPrint call is."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
"""Of a line grammar."""
REQUIRED_KEYS = ("lines", "forms")
OPTIONAL_KEYS = ("summary", "prefix", "tail", "parts", "unit", "encoding", "ignore", "complete")
UNITS = ("line", "print")
"""What is held to the forms."""
_NUMBERS = ("seq", "time", "cpu")
"""Fields that every event has."""
_NOTHING: tuple[Piece, ...] = ()
_NO_FORMS: tuple[Form, ...] = ()
_PARTS = ("part", "parts", "key", "piece")


def parse_grammar(text: str, path: Path) -> Grammar:
    """The grammar in ``text``; ``path`` is for its errors.

    :raises GrammarError: the first mistake in it, which carries the others.
    """
    source = Source(path, GrammarError)
    return source.read_all(lambda: _read(source, text))


def _read(source: Source, text: str) -> Grammar:
    if len(text.encode("utf-8", "replace")) > MAX_GRAMMAR:
        source.fail(1, f"a line grammar of more than {MAX_GRAMMAR} bytes")
    entries = source.mapping(
        parse_yaml(text, source), "line grammar", required=REQUIRED_KEYS, optional=OPTIONAL_KEYS
    )
    name = source.entry(entries, "lines", lambda node: _name(source, node), "")
    source.entry(entries, "summary", lambda node: source.text(node, "summary"), "")
    prefix, tail = (
        source.entry(entries, key, partial(template, source, what=key, known=_NUMBERS), _NOTHING)
        for key in ("prefix", "tail")
    )
    reader = FormReader(source, prefix, tail)
    forms = source.entry(entries, "forms", lambda node: _forms(source, node, reader), _NO_FORMS)
    ignored = source.entry(entries, "ignore", lambda node: _ignored(source, node, reader), _NO_FORMS)
    splits = source.entry(entries, "parts", lambda node: _splits(source, node, prefix), None)
    if not source.mistakes:
        note_hidden(source, forms)
    return Grammar(
        name,
        forms,
        markers=MARKERS,
        prefix=_literal(prefix),
        tail=tail,
        splits=splits,
        ignored=ignored,
        encoding=source.entry(entries, "encoding", lambda node: _encoding(source, node), "utf-8"),
        complete=source.entry(entries, "complete", lambda node: source.boolean(node, "complete"), False),
        by_print=source.entry(entries, "unit", lambda node: _unit(source, node), "line") == "print",
        text=text,
    )


def _name(source: Source, node: Node) -> str:
    name = source.text(node, "lines")
    if not NAME.fullmatch(name):
        source.fail(node, f"'{name}' is not a name for a line grammar", hint="small letters, digits and -")
    return name


def _encoding(source: Source, node: Node) -> str:
    name = source.text(node, "encoding").lower()
    if name not in ENCODINGS:
        source.fail(node, f"unknown encoding '{name}'", hint=source.suggest(name, ENCODINGS))
    return name


def _unit(source: Source, node: Node) -> str:
    unit = source.text(node, "unit")
    if unit not in UNITS:
        source.fail(node, f"unknown unit '{unit}'", hint="line: what ends with a line end; print: a DbgPrint")
    return unit


def _forms(source: Source, node: Node, reader: FormReader) -> tuple[Form, ...]:
    items = source.list(node, "forms")
    if len(items) > MAX_FORMS:
        source.fail(node, f"{len(items)} forms; {MAX_FORMS} are allowed")
    return tuple(form for forms in source.each(items, reader.forms) for form in forms)


def _ignored(source: Source, node: Node, reader: FormReader) -> tuple[Form, ...]:
    items = source.list(node, "ignore")
    if len(items) > MAX_FORMS:
        source.fail(node, f"{len(items)} lines to ignore; {MAX_FORMS} are allowed")
    return source.each(items, reader.ignored)


def _splits(source: Source, node: Node, prefix: tuple[Piece, ...]) -> Splits:
    pieces = template(source, node, "parts", _PARTS)
    given = {piece.name for piece in pieces if not isinstance(piece, str)}
    for name in _PARTS:
        if name not in given:
            source.fail(node, f"parts lack {{{name}}}", hint="part({part:d}/{parts:d}) of {key:d}: {piece}")
    tag = _literal(prefix)
    if not tag:
        source.fail(node, "parts want a prefix of literal text", hint="the joined line begins with it")
    return Splits(tag, re.compile(pattern_of((tag, *pieces)), re.ASCII | re.DOTALL))


def _literal(prefix: tuple[Piece, ...]) -> str:
    """The prefix, where it is the same in every line."""
    match prefix:
        case (str(text),):
            return text
        case _:
            return ""
