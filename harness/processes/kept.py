"""Child programs that work in a folder of their own; neither outlives us, not even when we are killed."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from harness.processes import keeper
from harness.processes.child import ChildProcess

__all__ = ["MAX_OUTPUT", "KeptProcess"]

MAX_OUTPUT: Final = 1 << 20
"""Bytes of the end of a program's output that are read."""
END_SECONDS: Final = keeper.END_SECONDS + 5.0


class KeptProcess:
    """A program with a fresh folder below the system's temporary one. POSIX only.

    :param argv: its command line, made for the folder.
    :param cwd: its current folder.
    :raises OSError: no folder or no process can be made. A program that cannot be started has ended with exit
        code 127.
    """

    def __init__(self, argv: Callable[[Path], Sequence[str]], *, cwd: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="procnotify-"))
        try:
            self._keeper = ChildProcess(
                [sys.executable, "-I", "-S", keeper.__file__, str(self.folder), *argv(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=cwd,
            )
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.folder / keeper.EXIT_CODE).read_text(encoding="utf-8"))
        return self._keeper.poll()

    @property
    def output(self) -> bytes:
        """The end of what it has said so far on standard output and standard error."""
        return read_end(self.folder / keeper.OUTPUT)

    def close(self) -> None:
        """End the program and delete the folder. Idempotent."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        try:
            self._keeper.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        shutil.rmtree(self.folder, ignore_errors=True)  # of a keeper that somebody killed


def read_end(path: Path, start: int = 0) -> bytes:
    """At most the last :data:`MAX_OUTPUT` bytes of a file from ``start`` on; none of one that is not
    there."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(start, path.stat().st_size - MAX_OUTPUT))
        return file.read(MAX_OUTPUT)
    return b""
