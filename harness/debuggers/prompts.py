"""What is typed when a target asks its debugger something (DbgPrompt)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["PREFERENCE", "PROMPT_END", "answer_prompt"]

PREFERENCE: Final = "iocyn"
"""Which of a prompt's choices is typed, the most wanted first: ignore, once, continue, yes, no. What lets the
target go on comes first; terminating a process or a thread, and breaking each time, are never chosen."""
PROMPT_END: Final = 256
"""Characters at a prompt's end in which choices are looked for; a target decides how long a prompt is."""

_ENCLOSED = re.compile(r"[(\[]([A-Za-z]{1,16}|[A-Za-z](?: ?[/,|] ?[A-Za-z]){1,15})[)\]]\W*\Z", re.ASCII)
"""At the end: ``(boipt)?``, ``[b/i]``, ``(y, n):``."""
_BARE = re.compile(r"(?<![^\s:;,?.])([A-Za-z](?:[/|][A-Za-z]){1,15})\W*\Z", re.ASCII)
"""At the end: ``Go on? y/n``."""
_INITIAL = re.compile(r"(?<!\w)[(\[]([A-Za-z])[)\]](?=[A-Za-z])", re.ASCII)
"""Anywhere: ``(c)ontinue or (b)reak?``."""


def answer_prompt(prompt: str) -> str:
    """What is typed at a DbgPrompt: the most wanted (:data:`PREFERENCE`) of the choices that it names, in its
    own case; nothing where it names none of these."""
    named = list(_choices(prompt[-PROMPT_END:]))
    return next((choice for wanted in PREFERENCE for choice in named if choice.lower() == wanted), "")


def _choices(prompt: str) -> Iterator[str]:
    end = _ENCLOSED.search(prompt[-64:]) or _BARE.search(prompt[-64:])
    if end is not None:
        yield from (letter for letter in end.group(1) if letter.isalpha())
    else:
        yield from _INITIAL.findall(prompt)
