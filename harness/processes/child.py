"""Child processes: out of reach of the terminal's Ctrl-C, without a window, and ended whole.

Ctrl-C goes to every process of a terminal's group, or of a console; a child of ours is ended by us, in order.
On Windows it has a console of its own that nobody sees: none flashes up where we have none, and closing ours
does not end it. What it has started ends with it there, and all when we are killed: they are one job object.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from harness.waiting import wait_in_slices

if sys.platform == "win32":
    from harness.processes.jobobject import SUSPENDED, JobObject

    _OPTIONS: Final[dict[str, Any]] = {
        "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW | SUSPENDED
    }
else:
    _OPTIONS: Final[dict[str, Any]] = {"process_group": 0}

__all__ = ["ChildProcess", "run_child"]


class ChildProcess(subprocess.Popen[bytes]):
    """A child in a process group of its own.

    :param argv: its command line.
    :param options: further ones of :class:`subprocess.Popen`.
    :raises OSError: it cannot be started.
    """

    def __init__(self, argv: Sequence[str], **options: Any) -> None:
        super().__init__(argv, **options, **_OPTIONS)
        if sys.platform == "win32":
            # It does not run before it is in the job, so nothing that it starts is outside.
            self._job = JobObject(self.pid)

    def kill(self) -> None:
        """End it at once; on Windows also what it has started. Idempotent."""
        if sys.platform == "win32":
            self._job.end()
        super().kill()


def run_child(argv: Sequence[str], *, timeout: float, **options: Any) -> tuple[int, bytes]:
    """Run a child to its end; its exit code, and its standard output where that is a pipe.

    :param timeout: seconds.
    :raises OSError: it cannot be started.
    :raises subprocess.TimeoutExpired: it did not end in time, and was killed.
    """
    output = b""
    with ChildProcess(argv, **options) as child:

        def ended(seconds: float) -> bool:
            nonlocal output
            try:
                output = child.communicate(timeout=seconds)[0] or b""
            except subprocess.TimeoutExpired:
                return False
            return True

        try:
            if not wait_in_slices(ended, timeout):
                raise subprocess.TimeoutExpired(argv, timeout)
        except BaseException:
            child.kill()
            raise
    return child.returncode, output
