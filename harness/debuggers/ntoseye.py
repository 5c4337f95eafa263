"""ntoseye: a KDNET debugger written by others in Rust (the optional extra ``ntoseye``; Linux and macOS)."""

from __future__ import annotations

import importlib.util
import sys

from harness.debuggers.workerdebugger import WORKER, WorkerDebugger, WorkerProgram
from harness.errors import RigError

__all__ = ["NtoseyeMissing", "open_ntoseye"]


class NtoseyeMissing(RigError):
    """The optional extra is not installed."""


def open_ntoseye(connection: str) -> WorkerDebugger:
    """The debugger; whether it is installed is seen when it begins to listen."""
    return WorkerDebugger("ntoseye", connection, _program)


def _program() -> WorkerProgram:
    if importlib.util.find_spec("ntoseye") is None:
        raise NtoseyeMissing(
            "ntoseye is not installed" if sys.platform != "win32" else "there is no ntoseye for Windows",
            hint="pip install 'procnotify[ntoseye]'" if sys.platform != "win32" else "use native or pykd",
        )
    return WorkerProgram([sys.executable, str(WORKER / "main.py"), "ntoseye"])
