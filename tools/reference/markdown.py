"""Text of the code as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["escaped", "fenced", "from_docstring", "table"]

_PAGE = re.compile(r"\bdocs/([\w-]+\.md)")
_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")


def escaped(text: str) -> str:
    """Plain text, with nothing in it that is markup but literals; the pages that it names are links."""
    plain = re.sub(r"([\\*<|\[\]])", r"\\\1", text)
    return _PAGE.sub(r"[\1](\1)", plain)


def from_docstring(text: str) -> str:
    """Text of a docstring, whose literals and roles become literals, on one line."""
    line = _ROLE.sub(r"``\1``", " ".join(text.split()))
    parts = line.split("``")
    return "".join(f"`{part}`" if number % 2 else escaped(part) for number, part in enumerate(parts))


def fenced(text: str, language: str = "text") -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
