"""Altitudes: where a callback stands among those that watch the same operations.

Source: Microsoft, *Load Order Groups and Altitudes for Minifilter Drivers*: a decimal string of any length,
with or without a fraction. The highest is called first before an operation, and last after it.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["Altitude", "altitude_of"]

Altitude: TypeAlias = tuple[int, str, str]
"""Compares as the numbers do."""


def altitude_of(text: str) -> Altitude:
    """The altitude that a string says; zeros at either end count for nothing."""
    whole, _, fraction = text.strip().partition(".")
    whole = whole.lstrip("0")
    return len(whole), whole, fraction.rstrip("0")
