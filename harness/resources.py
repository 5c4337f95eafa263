"""Where the project's own non-Python files lie, installed or in a checkout."""

from __future__ import annotations

from pathlib import Path

import platformdirs

__all__ = ["cache_dir", "driver_sources"]


def driver_sources() -> Path:
    """The folder of C sources (``driver/`` of the repository, ``_driver`` inside an installed package)."""
    package = Path(__file__).resolve().parent
    installed = package / "_driver"
    return installed if installed.is_dir() else package.parent / "driver"


def cache_dir(*parts: str) -> Path:
    """A folder in the user's cache, created if missing (``XDG_CACHE_HOME`` on Linux)."""
    path = Path(platformdirs.user_cache_dir("procnotify", appauthor=False)).joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path
