"""Where the project's own non-Python files lie, installed or in a checkout."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from harness.errors import RigError

__all__ = ["CacheError", "cache_dir", "driver_sources"]


class CacheError(RigError):
    """The user's cache folder cannot be written."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(
            f"cannot write the cache folder {folder}: {error.strerror}",
            hint="name another one with XDG_CACHE_HOME (on Windows LOCALAPPDATA)",
        )


def driver_sources() -> Path:
    """The folder of C sources (``driver/`` of the repository, ``_driver`` inside an installed package)."""
    package = Path(__file__).resolve().parent
    installed = package / "_driver"
    return installed if installed.is_dir() else package.parent / "driver"


def cache_dir(*parts: str) -> Path:
    """A folder in the user's cache, created if missing (``XDG_CACHE_HOME`` on Linux).

    :raises CacheError: it cannot be made.
    """
    path = Path(platformdirs.user_cache_dir("procnotify", appauthor=False)).joinpath(*parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(path, error) from None
    return path
