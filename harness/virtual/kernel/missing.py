"""Imports that this target lacks, bound all the same.

A driver with such an import loads: its slot gets an address of its own that is never mapped, so that the
first instruction which calls it, or touches the variable of that name, faults at an address that tells which.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.memory import PAGE

__all__ = ["MISSING_BASE", "MissingImports"]

MISSING_BASE: Final = 0xFFFFF80F_00000000
"""Where the addresses begin that stand for missing imports: a page each, never mapped."""


class MissingImports:
    """The addresses that stand for the missing imports of all drivers."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def bind(self, name: str) -> int:
        """The address that stands for an import; one for each name."""
        return MISSING_BASE + PAGE * self._numbers.setdefault(name, len(self._numbers))

    def at(self, address: int) -> str | None:
        """Which import an address stands for; None: for none."""
        number = (address - MISSING_BASE) // PAGE
        return next((name for name, known in self._numbers.items() if known == number), None)
