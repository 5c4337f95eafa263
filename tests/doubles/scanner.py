"""A virus scanner, as far as it matters here: another process that has a file open and shares it with nobody.

Windows alone has this. ``python scanner.py FILE`` says when it has the file, and lets go once it is told to.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

__all__ = ["Scanner"]


class Scanner:
    """Has ``file`` open from entering until :meth:`let_go`, or leaving."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> Scanner:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self._file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "held\n", self._process.communicate()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()

    def let_go(self) -> None:
        """It has seen enough. Idempotent."""
        if self._process.poll() is None:
            self._process.communicate("\n", timeout=60)


if __name__ == "__main__":
    if sys.platform == "win32":
        import _winapi

        nobody = 0
        held = _winapi.CreateFile(
            sys.argv[1], _winapi.GENERIC_READ, nobody, _winapi.NULL, _winapi.OPEN_EXISTING, 0, _winapi.NULL
        )
        print("held", flush=True)
        sys.stdin.readline()
        _winapi.CloseHandle(held)
