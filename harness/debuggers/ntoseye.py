"""ntoseye: a KDNET debugger written by others in Rust (the optional extra ``ntoseye``; Linux and macOS)."""

from __future__ import annotations

import importlib.util
import os
import sys

from harness.debuggers.workers.debugger import WorkerDebugger
from harness.debuggers.workers.link import WORKER, WorkerProgram
from harness.errors import RigError

__all__ = ["NtoseyeMissing", "open_ntoseye", "worker_program"]


class NtoseyeMissing(RigError):
    """The optional extra is not installed."""


def open_ntoseye(connection: str) -> WorkerDebugger:
    """The debugger; whether it is installed is seen when it begins to listen."""
    return WorkerDebugger("ntoseye", connection, worker_program)


def worker_program() -> WorkerProgram:
    """How to start the worker; raises what is missing."""
    if importlib.util.find_spec("ntoseye") is None:
        raise NtoseyeMissing(
            "ntoseye is not installed" if sys.platform != "win32" else "there is no ntoseye for Windows",
            hint="python -m pip install 'ntoseye>=0.52,<0.53'"
            if sys.platform != "win32"
            else "use native or pykd",
        )
    # With PYTHONSAFEPATH the worker's scripts would not find one another.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    return WorkerProgram([sys.executable, str(WORKER / "main.py"), "ntoseye"], environment)
