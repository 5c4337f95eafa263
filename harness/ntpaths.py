"""Paths of Windows, as text: nothing of this computer's own."""

from __future__ import annotations

__all__ = ["base_name"]


def base_name(path: str) -> str:
    """The last component of an NT or a Win32 path, as it is spelt; of a name alone the name."""
    return path.rpartition("\\")[2]
