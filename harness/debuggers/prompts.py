"""What is typed when a target asks its debugger something (DbgPrompt)."""

from __future__ import annotations

import re

__all__ = ["answer_prompt"]

_CHOICES = re.compile(r"[(\[]([A-Za-z]{1,16}|[A-Za-z](?:[/,][A-Za-z]){1,15})[)\]]\W*\Z", re.ASCII)


def answer_prompt(prompt: str) -> str:
    """What is typed at a DbgPrompt: ``i`` (ignore), in the prompt's own case, where it is one of the choices
    that end the prompt (``(bipt)?``, ``[b/i]``), as an ASSERT's are; otherwise nothing."""
    choices = _CHOICES.search(prompt[-64:])
    return next((letter for letter in choices.group(1) if letter in "iI"), "") if choices else ""
