"""What can be wrong with Wine and its prefix: always the rig, never the driver."""

from __future__ import annotations

from harness.errors import RigError

__all__ = ["DownloadError", "PrefixError", "WineMissing"]


class WineMissing(RigError):
    """There is no Wine that runs 64-bit programs."""


class DownloadError(RigError):
    """A file could not be had, or is not what it should be."""


class PrefixError(RigError):
    """The prefix could not be built, or does not do what it was built for."""
