"""Locks between processes: a file that one holds at a time, freed by the system when its holder dies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["HeldElsewhere", "held_alone"]


class HeldElsewhere(Exception):
    """Another process, or another place in this one, holds the lock."""


@contextmanager
def held_alone(path: Path) -> Iterator[None]:
    """Hold the lock that the file ``path`` stands for; the file is made if need be, and stays.

    :raises HeldElsewhere: at once.
    :raises OSError: the file cannot be opened.
    """
    with path.open("a", encoding="ascii", newline="\n") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HeldElsewhere(str(path)) from None
        yield
