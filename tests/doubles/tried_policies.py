"""The policies that whole runs are tried with; what is peculiar to the others is tested with them alone."""

from __future__ import annotations

from typing import Final

__all__ = ["POLICIES_TRIED"]

POLICIES_TRIED: Final = ("default", "random")
"""Who runs goes on until it waits or returns; and anybody, at any point."""
