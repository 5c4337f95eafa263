"""What this system lacks and what it says otherwise than others: tried, and said once for all tests."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

import pytest

__all__ = [
    "DEV_FULL",
    "FIFOS",
    "KILL",
    "KILLED",
    "LINKS",
    "NO_SUCH_FILE",
    "SHELL",
    "is_running",
    "under_wine",
]


def under_wine() -> bool:
    """Whether this Python is a Windows one, and its Windows is Wine."""
    if sys.platform != "win32":
        return False
    return hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


def _why_no_links() -> str:
    """Why no symbolic link can be made here; empty where one can."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "link"
        try:
            link.symlink_to("target")
        except OSError as error:
            return f"symbolic links are not allowed here: {error.strerror}"
        return "" if link.is_symlink() else "no symbolic link is there after one was made (seen with Wine 8)"


_NO_LINKS: Final = _why_no_links()

LINKS: Final = pytest.mark.skipif(bool(_NO_LINKS), reason=_NO_LINKS)
FIFOS: Final = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the file system has no FIFOs")
SHELL: Final = pytest.mark.skipif(sys.platform == "win32", reason="the commands are a POSIX shell's")
# Under Wine a path that begins with / leads to the files of the host.
DEV_FULL: Final = pytest.mark.skipif(
    sys.platform == "win32" or not Path("/dev/full").exists(), reason="there is no /dev/full on this system"
)

KILL: Final = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL
"""What :func:`os.kill` takes to end a process that has no say in it."""
KILLED: Final = int(KILL) if sys.platform == "win32" else -KILL
"""The exit code of a process that was ended by it."""


def _no_such_file() -> str:
    try:
        Path("no file has this name").stat()
    except OSError as error:
        return error.strerror or ""
    raise AssertionError("there is one")


NO_SUCH_FILE: Final = _no_such_file()
"""The system's words for a file that is not there."""


def is_running(pid: int) -> bool:
    """Whether there is a process ``pid`` that has not ended. (The signal 0 is Ctrl-C on Windows.)"""
    if sys.platform != "win32":
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    synchronize, timed_out = 0x100000, 0x102
    kernel32 = ctypes.WinDLL("kernel32")
    kernel32.OpenProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(kernel32.OpenProcess(synchronize, False, pid))
    if not process:
        return False
    try:
        return bool(kernel32.WaitForSingleObject(process, 0) == timed_out)
    finally:
        kernel32.CloseHandle(process)
