"""A learnt grammar as the text of its file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from harness.learning.entries import GrammarEntry
from harness.learning.forms import LearntForm, Slot

__all__ = ["ENTRY", "MAX_DOUBTS", "escaped", "grammar_text", "template_of"]

MAX_DOUBTS: Final = 64
"""Of what is not known so many stand in the file; the others are counted."""
MAX_SHOWN: Final = 300
"""Characters of one of them."""
ENTRY: Final = "  - "
_NOT_IN_A_NAME: Final = frozenset('<>|"*?:\t')
"""What no file name holds, so that a path ends there."""


def template_of(form: LearntForm) -> str:
    """The form as the grammar file writes it."""
    text = ""
    for piece, behind in zip(form.pieces, (*form.pieces[1:], ""), strict=True):
        text += escaped(piece) if isinstance(piece, str) else _placeholder(piece, behind)
    return text


def escaped(text: str) -> str:
    """Literal text, as a form has it."""
    return text.replace("{", "{{").replace("}", "}}")


def _placeholder(slot: Slot, behind: str | Slot) -> str:
    if slot.type != "text":
        return f"{{{slot.name}:{slot.type}}}"
    end = behind.split("{")[0].split("}")[0] if isinstance(behind, str) else ""
    if end and (_NOT_IN_A_NAME.intersection(end)):
        return f"{{{slot.name}:until {end}}}"
    return f"{{{slot.name}:path}}" if slot.name else "{:skip}"


def grammar_text(
    name: str,
    entries: Sequence[GrammarEntry],
    ignored: Sequence[str],
    doubts: Sequence[str],
    *,
    origin: str,
    by_print: bool,
    encoding: str,
    complete: bool = False,
) -> str:
    """The whole file.

    :param ignored: lines that report nothing, as the file writes them.
    :param doubts: what is not known, in words.
    :param origin: what it was learnt from, in words.
    """
    lines = [f"# {_comment(origin)}", f"lines: {name}"]
    if by_print:
        lines.append("unit: print")
    if encoding != "utf-8":
        lines.append(f"encoding: {encoding}")
    if complete:
        lines.append("complete: true")
    lines.append("forms:")
    for entry in entries:
        lines += _entry(entry)
    if ignored:
        lines.append("ignore:")
        lines += [f"{ENTRY}{_quoted(text)}" for text in ignored]
    lines += [f"# not known: {_comment(doubt)}" for doubt in doubts[:MAX_DOUBTS]]
    if len(doubts) > MAX_DOUBTS:
        lines.append(f"# not known: {len(doubts) - MAX_DOUBTS} more")
    return "\n".join(lines) + "\n"


def _entry(entry: GrammarEntry) -> list[str]:
    head = entry.head
    lines = [f"{ENTRY}{head.kind}: {_quoted(template_of(head))}"]
    if entry.then:
        lines.append("    then:")
    for form, optional in entry.then:
        text = _quoted(template_of(form))
        lines.append(f"      - optional: {text}" if optional else f"      - {text}")
    return lines


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _comment(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}..."
