"""Text that came from a target, made harmless for a terminal and for XML."""

from __future__ import annotations

import re

__all__ = ["one_line", "printable"]

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""C0 and C1 controls except tab and line feed, marks that turn the writing direction, and what XML 1.0 has no
character for."""


def printable(text: str) -> str:
    """``text`` with every character that a terminal would obey or XML refuses written as its escape."""
    return _UNPRINTABLE.sub(_escape, text)


def one_line(text: str) -> str:
    """``text`` made printable, with its line ends and tabs written as their escapes too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
