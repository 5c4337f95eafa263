"""What is typed when a target asks its debugger something (DbgPrompt)."""

from __future__ import annotations

__all__ = ["answer_prompt"]


def answer_prompt(prompt: str) -> str:
    """What is typed at a DbgPrompt: ``i`` (ignore) where the prompt offers it, as an ASSERT's does; otherwise
    nothing."""
    return "i" if "i" in prompt.rpartition("(")[2] or "gnore" in prompt else ""
