"""The command in a process that can be interrupted in every way that its system has.

To one process alone POSIX sends a signal. Windows sends Ctrl-C and the end of a console to all that share it,
the tests too; so there the process does to itself, on a thread as Windows does, what its standard input says.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import harness

__all__ = ["WAYS", "interrupt", "started"]

WAYS = (
    ("SIGINT", "SIGBREAK", "console closed") if sys.platform == "win32" else ("SIGINT", "SIGTERM", "SIGHUP")
)


_IGNORED = "INTERRUPTIBLE_IGNORED"
_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",
    "PYTHONPATH": str(Path(harness.__file__).resolve().parent.parent),
}


class Started(subprocess.Popen[str]):
    """A process that a test which fails does not wait for."""

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, trace)


def started(
    *words: str, environment: dict[str, str] | None = None, ignored: str = "", **options: Any
) -> Started:
    """``procnotify WORDS``, with its output as text in pipes.

    :param ignored: the signal that it is started to ignore, as by ``nohup``; POSIX.
    """
    return Started(
        [sys.executable, __file__, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, **_ENVIRONMENT, **(environment or {}), _IGNORED: ignored},
        **options,
    )


def interrupt(process: subprocess.Popen[str], way: str) -> tuple[str, str]:
    """Interrupt it; what it had still to say on standard output and standard error."""
    if sys.platform == "win32":
        assert process.stdin is not None
        process.stdin.write(f"{way}\n")
        process.stdin.flush()
    else:
        process.send_signal(getattr(signal, way))
    return process.communicate(timeout=60)


def _obey() -> None:
    from harness.cli import _interrupts

    way = sys.stdin.readline().strip()
    if way == "console closed":
        _interrupts.on_console_event(2)  # type: ignore[attr-defined,unused-ignore]  # Windows alone has it
    elif way:
        signal.raise_signal(getattr(signal, way))


if __name__ == "__main__":
    from harness.cli import main

    if sys.platform == "win32":
        threading.Thread(target=_obey, daemon=True).start()
    else:  # what starts the tests may have them ignore some: a shell in the background, nohup
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if os.environ[_IGNORED]:
            signal.signal(getattr(signal, os.environ[_IGNORED]), signal.SIG_IGN)
    main()
