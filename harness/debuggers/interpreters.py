"""Windows interpreters that have pykd."""

from __future__ import annotations

__all__ = ["find_interpreter"]


def find_interpreter() -> list[str]:
    """The beginning of a command line."""
    raise NotImplementedError
