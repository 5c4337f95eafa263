"""How a long setup tells what it is doing; the command line draws it, tests collect it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Reporter", "Silent"]


class Reporter(Protocol):
    """Someone who wants to know."""

    def step(self, text: str) -> None:
        """A new piece of work begins."""

    def progress(self, done: int, total: int) -> None:
        """How far a download is, in bytes."""


class Silent:
    """Nobody wants to know."""

    def step(self, text: str) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        pass
