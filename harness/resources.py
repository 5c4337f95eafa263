"""Where the project's own non-Python files lie, installed or in a checkout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import platformdirs

from harness.errors import RigError

__all__ = [
    "CACHE_VARIABLE",
    "DATA_VARIABLE",
    "CacheError",
    "UserFolderError",
    "cache_dir",
    "data_dir",
    "driver_sources",
]

CACHE_VARIABLE: Final = "PROCNOTIFY_CACHE"
"""A folder to keep in what is otherwise in the user's cache folder: on Windows no variable moves that."""


DATA_VARIABLE: Final = "PROCNOTIFY_DATA"
"""The same for what is otherwise in the user's data folder: what is made once and cannot be made again."""


class UserFolderError(RigError):
    """A folder of the user's for programs' files cannot be written.

    :param what: which of them, ``cache``.
    :param variable: that names another one.
    """

    def __init__(self, what: str, folder: Path, error: OSError, *, variable: str) -> None:
        super().__init__(
            f"cannot write the {what} folder {folder}: {error.strerror}",
            hint=f"name another one with {variable}",
        )


class CacheError(UserFolderError):
    """The user's cache folder cannot be written."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__("cache", folder, error, variable=CACHE_VARIABLE)


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
    path = _user_folder(CACHE_VARIABLE, platformdirs.user_cache_dir("procnotify", appauthor=False), parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(path, error) from None
    return path


def data_dir(*parts: str) -> Path:
    """The same of :data:`DATA_VARIABLE` and the user's data (``XDG_DATA_HOME`` on Linux).

    :raises UserFolderError: it cannot be made.
    """
    path = _user_folder(DATA_VARIABLE, platformdirs.user_data_dir("procnotify", appauthor=False), parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserFolderError("data", path, error, variable=DATA_VARIABLE) from None
    return path


def _user_folder(variable: str, usual: str, parts: tuple[str, ...]) -> Path:
    return Path(os.environ.get(variable) or usual).absolute().joinpath(*parts)
