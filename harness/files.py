"""Files: read within limits, renamed although somebody looks at them, and whose fault it is that one cannot
be written."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from harness.errors import ProcnotifyError, RigError, UsageError

__all__ = [
    "CONFINING_VARIABLE",
    "cannot_write",
    "confining_folder",
    "leads_out",
    "patiently",
    "read_file",
    "same_file",
    "whole_file",
    "write_whole",
]

CONFINING_VARIABLE = "PROCNOTIFY_CONFINED_TO"
"""The folder below which everything must lie that scenarios and replay files name; unset or empty: anywhere.
A process hands it on to those that it starts."""

_PAUSES = (0.02, 0.04, 0.08, 0.16, 0.3, 0.6, 0.8)
"""Seconds before each further try of what was refused: two in all."""

_MAX_PATH = 259 if sys.platform == "win32" else None
"""Characters of a path that Windows takes unless long paths are enabled (Microsoft, "Maximum Path Length
Limitation"); None: no such limit."""

_MACHINE = frozenset(
    {
        errno.EDQUOT,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
    }
)
"""The machine is at its limit: another name would not help."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_file(path: Path, *, limit: int) -> bytes:
    """The content of a regular file. What would never end, or wait for ever, is not opened.

    :param limit: bytes that the file may have.
    :raises OSError: it cannot be read, is no regular file or is larger; ``strerror`` says which.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = next((words for test, words in _KINDS if test(mode)), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit} bytes", str(path))
    return data


def confining_folder() -> Path | None:
    """The folder that :data:`CONFINING_VARIABLE` names, without links; None: it names none."""
    named = os.environ.get(CONFINING_VARIABLE)
    return Path(named).resolve() if named else None


def leads_out(path: Path) -> bool:
    """Whether a file that a user's file names lies outside of the :func:`confining_folder`, links followed;
    this package's own files do not."""
    folder = confining_folder()
    if folder is None:
        return False
    found = path.resolve()
    return not (found.is_relative_to(folder) or found.is_relative_to(Path(__file__).resolve().parent))


def same_file(one: Path, other: Path) -> bool:
    """Whether two names are of one file, by any way that leads to it, also where it is yet to be written."""
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def patiently(work: Callable[[], object], *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Rename or delete, and try again for about two seconds while that is refused.

    Windows refuses it while another process has the file open, or one in the folder; a virus scanner does
    that with whatever has just been written.

    :raises OSError: the last refusal, or any other failure at once.
    """
    for pause in _PAUSES:
        try:
            work()
        except PermissionError:
            sleep(pause)
        else:
            return
    work()


def write_whole(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file that appears whole or not at all; one that is there is replaced, folders are made.

    :param mode: its permissions, where the system has such.
    :raises OSError: the place cannot be written, or the disk is full.
    """
    with whole_file(path, mode=mode) as temporary:
        temporary.write_bytes(data)


@contextmanager
def whole_file(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """An empty file beside ``path``, to be written: at the end of the ``with`` block it takes that name, and
    it is deleted instead where the block raises. Folders are made.

    :param mode: its permissions, where the system has such.
    :raises OSError: the place cannot be written.
    """
    if path.is_symlink():
        path = path.resolve()  # the file is replaced, and not the name that leads to it
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(mode)
        patiently(partial(temporary.replace, path))
    finally:
        temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError, *, hint: str = "") -> ProcnotifyError:
    """The error for a file that the user named and that cannot be written.

    A place that does not exist or is not allowed is the user's mistake; a full disk or a lack of descriptors
    is the rig's failure.

    :param hint: what the user can do about a mistake.
    """
    message = f"cannot write {path}: {error.strerror or error}"
    if error.errno in _MACHINE:
        return RigError(message)
    length = len(str(path.absolute()))
    if _MAX_PATH is not None and length > _MAX_PATH:
        hint = f"the path has {length} characters: shorten it, or set LongPathsEnabled in Windows"
    return UsageError(message, hint=hint)
