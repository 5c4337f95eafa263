"""Where the project's own non-Python files lie, installed or in a checkout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import platformdirs

from harness.errors import RigError

__all__ = ["CACHE_VARIABLE", "CacheError", "cache_dir", "driver_sources"]

CACHE_VARIABLE: Final = "PROCNOTIFY_CACHE"
"""A folder to keep in what is otherwise in the user's cache folder: on Windows no variable moves that."""


class CacheError(RigError):
    """The user's cache folder cannot be written."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(
            f"cannot write the cache folder {folder}: {error.strerror}",
            hint=f"name another one with {CACHE_VARIABLE}",
        )


def driver_sources() -> Path:
    """The folder of C sources (``driver/`` of the repository, ``_driver`` inside an installed package)."""
    package = Path(__file__).resolve().parent
    installed = package / "_driver"
    return installed if installed.is_dir() else package.parent / "driver"


def cache_dir(*parts: str) -> Path:
    """A folder in the one that :data:`CACHE_VARIABLE` names, or else in the user's cache (``XDG_CACHE_HOME``
    on Linux); created if missing.

    :raises CacheError: it cannot be made.
    """
    named = os.environ.get(CACHE_VARIABLE)
    path = (
        Path(named or platformdirs.user_cache_dir("procnotify", appauthor=False)).absolute().joinpath(*parts)
    )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(path, error) from None
    return path
