"""The libraries that read some recordings, and that not everybody needs."""

from __future__ import annotations

from pathlib import Path

from harness.errors import TraceError

__all__ = ["EXTRA", "missing_extra"]

EXTRA = "procnotify[import]"
"""What pip installs them with."""


def missing_extra(path: Path, what: str, library: str) -> TraceError:
    """The error for a recording whose library is not installed.

    :param what: the kind of file.
    """
    return TraceError(
        f"{path}: {what} is read by the library {library}, which is not installed",
        hint=f"install it: pip install '{EXTRA}'",
    )
