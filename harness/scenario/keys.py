"""The keys of a scenario file, and of a block of its ``expect``."""

from __future__ import annotations

from typing import Final

__all__ = ["EXPECT_KEYS", "OPTIONAL_KEYS", "REQUIRED_KEYS"]

REQUIRED_KEYS: Final = ("scenario", "summary", "expect")
"""At the top level; ``observe`` stands for ``expect``."""
OPTIONAL_KEYS: Final = (
    *("observe", "steps", "lifecycle", "seed", "profile", "policy", "processors", "print_mask"),
    *("lines", "requires", "rules"),
)
EXPECT_KEYS: Final = ("requires", "scope", "free", "order", "never", "only")
