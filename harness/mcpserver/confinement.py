"""Paths that a caller names, held to one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.errors import UsageError

__all__ = ["MAX_PATH", "confined"]

MAX_PATH: Final = 1024
"""Characters of a path."""


def confined(folder: Path, text: str) -> Path:
    """The file or folder that ``text`` names, relative to ``folder``; no link on the way to it leads out.

    :param folder: absolute, without links.
    :raises UsageError: it lies elsewhere, or is no path.
    """
    if not text or len(text) > MAX_PATH or any(ord(c) < 32 for c in text):
        raise UsageError(f"{text[:80]!r} is no path", hint=f"give 1 to {MAX_PATH} characters, no controls")
    found = (folder / text).resolve()
    if not found.is_relative_to(folder):
        raise UsageError(
            f"{text!r} is outside of the folder {folder}",
            hint="give a path below it, or start the server with another --folder",
        )
    return Path(found.relative_to(folder))
