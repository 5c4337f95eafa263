"""DbgEng's driver replacement map: copies of what is mapped, where its worker may read them."""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

from harness.debuggers.base import path_parts
from harness.debuggers.workers.link import WorkerLink
from harness.errors import UsageError
from harness.resources import cache_dir
from harness.wine.errors import one_line_errors
from harness.wine.prefix import PYTHON_HOME, WinePrefix

__all__ = ["MappedCopies"]

MAP_SECONDS: Final = 30.0
"""For DbgEng to take a mapping."""
OPENED_SECONDS: Final = 5.0
"""For the worker's word that a file was opened. DbgEng opens it before the target can have it, so that it is
on its way whenever it is asked for."""


class MappedCopies:
    """The :class:`~harness.debuggers.base.ReplacementMap` of one DbgEng.

    :param link: gives the worker, whose target is halted.
    """

    def __init__(self, link: Callable[[], WorkerLink]) -> None:
        self._link = link
        self._worker: WorkerLink | None = None
        self._folder: Path | None = None
        self._numbers = count()
        self._files: dict[tuple[str, ...], str] = {}

    def add(self, path: str, data: bytes) -> None:
        """See :meth:`harness.debuggers.base.ReplacementMap.add`.

        :raises UsageError: DbgEng's command cannot have that path in it.
        """
        if '"' in path or not path.isprintable():
            raise UsageError(
                f"DbgEng cannot map {path!r}: it has quotes or control characters in it",
                hint="rename the file, or choose --debugger native",
            )
        self._worker = self._link()
        with one_line_errors():
            if self._folder is None:
                self._folder = _fresh_folder()
            copy = self._folder / f"{next(self._numbers)}.sys"
            copy.write_bytes(data)
        file = str(copy) if sys.platform == "win32" else f"{PYTHON_HOME}\\{self._folder.name}\\{copy.name}"
        self._worker.ask("map_file", {"path": path, "file": file}, MAP_SECONDS)
        self._files[path_parts(path)] = file

    def was_opened(self, path: str) -> bool:
        """See :meth:`harness.debuggers.base.ReplacementMap.was_opened`."""
        file = self._files.get(path_parts(path))
        if file is None or self._worker is None:
            return False
        return self._worker.has_opened(file, OPENED_SECONDS)

    def close(self) -> None:
        """Take the copies away; the worker has ended."""
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _fresh_folder() -> Path:
    parent = cache_dir("kdfiles") if sys.platform == "win32" else WinePrefix().python
    folder = parent / f"kdfiles-{secrets.token_hex(8)}"
    folder.mkdir()
    return folder
