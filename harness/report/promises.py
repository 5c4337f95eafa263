"""How many promises held, how many could not be judged, and why, in lines."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["promise_count", "promise_lines"]


def promise_count(held: int, not_judged: int) -> str:
    """``104 promises held, 12 not judged``"""
    told = "1 promise" if held == 1 else f"{held} promises"
    return f"{told} held, {not_judged} not judged" if not_judged else f"{told} held"


def promise_lines(held: int, not_judged: int, why: Sequence[str]) -> list[str]:
    """The count, and a line for each reason why something could not be judged."""
    return [promise_count(held, not_judged), *why]
