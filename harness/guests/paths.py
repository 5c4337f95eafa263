"""Paths of a guest's files, whose system is not this one's."""

from __future__ import annotations

import re

__all__ = ["guest_path", "is_windows_path"]

_WINDOWS = re.compile(r"[A-Za-z]:|\\")


def is_windows_path(path: str) -> bool:
    """Whether a path begins with a drive letter or a backslash."""
    return _WINDOWS.match(path) is not None


def guest_path(folder: str, name: str) -> str:
    """The path of the file ``name`` in ``folder``, as the guest writes it."""
    mark = "\\" if is_windows_path(folder) else "/"
    return folder + name if folder.endswith(mark) else folder + mark + name
