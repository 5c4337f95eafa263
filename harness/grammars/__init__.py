"""Line grammar files: YAML that says what a driver's lines look like; the project's own driver's is one."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from harness.errors import GrammarError, TraceError
from harness.grammars.read import parse_grammar
from harness.lines import Grammar
from harness.yamlfile.nodes import Source
from harness.yamlfile.parse import read_text

__all__ = ["BUILTIN", "builtin_grammar", "described", "load_grammar", "parse_grammar", "recorded_grammar"]

BUILTIN = Path(__file__).with_name("procnotify.yaml")
"""The grammar of the project's own driver."""


def load_grammar(path: Path) -> Grammar:
    """The grammar in a file.

    :raises GrammarError: it cannot be read or is wrong; with file, line and the way out. Of several mistakes
        it is the first, which carries the others.
    """
    return parse_grammar(read_text(Source(path, GrammarError)), path)


@cache
def builtin_grammar() -> Grammar:
    """The grammar of the project's own driver, :data:`BUILTIN`, read once."""
    return load_grammar(BUILTIN)


def described(grammar: Grammar) -> dict[str, str]:
    """What the header of a trace says of the grammar that read its lines: name and SHA-256 of its file, and
    the file's text where it is not the built-in one."""
    facts = {"name": grammar.name, "sha256": hashlib.sha256(grammar.text.encode()).hexdigest()}
    return facts if grammar is builtin_grammar() else {**facts, "text": grammar.text}


def recorded_grammar(described: dict[str, str], path: Path) -> Grammar:
    """The grammar that read the lines of a trace.

    :param described: what its header says, see :func:`described`; without a text it is the built-in one.
    :param path: of the trace, for errors.
    :raises TraceError: the text in the header is no grammar.
    """
    text = described.get("text", "")
    try:
        return parse_grammar(text, path) if text else builtin_grammar()
    except GrammarError as error:
        raise TraceError(f"{path}: the line grammar in its header is wrong: {error.message}") from None
