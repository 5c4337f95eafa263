"""Text that came from a target, made harmless for a terminal, for XML and for the log of a CI service."""

from __future__ import annotations

import re

__all__ = ["one_line", "printable", "shortened"]

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""C0 and C1 controls except tab and line feed, marks that turn the writing direction or end a line, and what
XML 1.0 has no character for."""
_COMMAND = re.compile(r"^(?P<white>[^\S\n]*):(?=:)|#(?=#(?:vso)?\[)", re.IGNORECASE | re.MULTILINE)
"""What a CI service takes for a command to it: ``::`` where a line begins and ``##[`` anywhere in it (GitHub
Actions), ``##vso[`` anywhere (Azure Pipelines)."""


def printable(text: str) -> str:
    """``text`` with every character that a terminal would obey or XML refuses written as its escape, and the
    first character of what a CI service would obey."""
    # What isprintable() says yes to has none of these characters, and is asked in no time.
    shown = text if text.isprintable() else _UNPRINTABLE.sub(_escape, text)
    return _COMMAND.sub(_escape_command, shown)


def one_line(text: str) -> str:
    """``text`` made printable, with its line ends and tabs written as their escapes too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def shortened(text: str, limit: int) -> str:
    """``text``, of which at most ``limit`` characters are left; three dots stand for the rest."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _escape_command(match: re.Match[str]) -> str:
    return "\\x23" if match["white"] is None else f"{match['white']}\\x3a"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
