"""Exceptions that nobody foresaw: kept in a file with their traceback, told in one line, the rig's fault."""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import threading
import traceback

import harness
from harness.errors import InternalError

__all__ = ["internal_error", "reserve_descriptor"]

MESSAGE_LENGTH = 300
"""Of an exception's own words at most this many characters stand in the line; the file has them all."""

_WAY_OUT = {
    errno.EMFILE: "raise the limit of open files (ulimit -n) and try again",
    errno.ENFILE: "the system has no file descriptors left; end other programs and try again",
    errno.ENOSPC: "free space on the disk and try again",
    errno.EDQUOT: "free space in your quota and try again",
}
"""What the user can do where the machine is at its limit; everything else wants to be reported."""

_lock = threading.Lock()
_reserve: list[int] = []


def reserve_descriptor() -> None:
    """Keep one file descriptor back, so that a traceback can be written when there are none left."""
    if not _reserve:
        _reserve.append(os.open(os.devnull, os.O_RDONLY))


def internal_error(error: BaseException) -> InternalError:
    """The one line for ``error``; its traceback is in a file in the temporary folder, which the line names.

    Where no file can be written either, the line says so and the traceback goes to standard error.

    :raises KeyboardInterrupt: it was one that hit Python's own locks.
    """
    if _is_of_interrupt(error):
        raise KeyboardInterrupt from error
    words = " ".join(str(error).split())
    if len(words) > MESSAGE_LENGTH:
        words = f"{words[:MESSAGE_LENGTH]}..."
    name = type(error).__name__
    hint = _WAY_OUT.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    return InternalError(
        f"internal error: {name}: {words}" if words else f"internal error: {name}",
        hint="; ".join(filter(None, (hint, _kept(error)))),
    )


def _is_of_interrupt(error: BaseException) -> bool:
    """Ctrl-C that comes while ``threading.Condition.wait`` takes its lock back leaves it released, and to
    release it once more is what is raised then."""
    hit_lock = isinstance(error, RuntimeError) and "unlocked lock" in str(error)
    return hit_lock and isinstance(error.__context__, KeyboardInterrupt)


def _kept(error: BaseException) -> str:
    """Where the traceback is, in words."""
    with _lock:
        if _reserve:
            os.close(_reserve.pop())
    # Not platform.platform(): that starts a process, and there may be no descriptor for its pipe.
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    text = "".join(
        (
            f"procnotify {harness.__version__}, Python {sys.version.split()[0]}, {system}\n\n",
            *traceback.format_exception(error),
        )
    )
    try:
        handle, path = tempfile.mkstemp(prefix="procnotify-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
    except OSError as failed:
        if sys.stderr is not None:
            print(text, file=sys.stderr)
        return f"the traceback could be written nowhere ({failed.strerror}) and stands on standard error"
    return f"the traceback is in {path}"
