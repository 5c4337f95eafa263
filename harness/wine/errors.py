"""What can be wrong with Wine and its prefix: always the rig, never the driver."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from harness.errors import RigError

__all__ = ["DownloadError", "PrefixError", "WineMissing", "one_line_errors"]


class WineMissing(RigError):
    """There is no Wine that runs 64-bit programs."""


class DownloadError(RigError):
    """A file could not be had, or is not what it should be."""


class PrefixError(RigError):
    """The prefix could not be built, or does not do what it was built for."""


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """What the system refuses in the block (a full disk, a read-only folder) is a :class:`PrefixError`."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: " if error.filename is not None else ""
        raise PrefixError(
            f"the system refused: {what}{error.strerror or error}",
            hint="the cache folder must be writable and have 1 GB free; PROCNOTIFY_CACHE moves it",
        ) from error
