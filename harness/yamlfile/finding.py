"""Finding YAML files: those below a folder, and what kind of file one is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

__all__ = ["SUFFIXES", "head_of", "is_begun_by", "yaml_files_below"]

SUFFIXES = frozenset({".yaml", ".yml"})
"""How the name of a YAML file ends."""
SKIPPED_FOLDERS = ("*.egg", ".*", "_darcs", "build", "CVS", "dist", "node_modules", "venv", "{arch}")
"""Folders that are not looked into unless they are named: pytest's list (its setting ``norecursedirs``)."""
HEAD_BYTES = 64 * 1024
"""How far into a file its keys are looked for."""


def head_of(path: Path) -> list[bytes]:
    """The lines at the beginning of a file.

    :raises OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").splitlines()


def is_begun_by(path: Path, key: str) -> bool:
    """Whether the first key of a YAML file is this one.

    :raises OSError: it cannot be read.
    """
    for line in head_of(path):
        if line.strip() and not line.startswith((b"#", b"---", b"%")):
            return line.startswith(f"{key}:".encode())
    return False


def yaml_files_below(folder: Path) -> Iterator[Path]:
    """The YAML files in and below ``folder``, sorted; a link to a folder is not followed."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not any(fnmatch(name, skipped) for skipped in SKIPPED_FOLDERS)
        )
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix.lower() in SUFFIXES and path.is_file():
                yield path
