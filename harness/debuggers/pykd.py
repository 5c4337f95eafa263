"""Microsoft's DbgEng through pykd: which interpreter its worker runs in.

pykd is published for Windows CPython up to 3.9, so it never runs in the harness's own interpreter. On Windows
one that has it is looked for; elsewhere the private Wine prefix has one (:mod:`harness.wine`).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

from harness.debuggers.interpreters import PykdMissing, find_interpreter
from harness.debuggers.workerdebugger import WorkerDebugger
from harness.debuggers.workerlink import WORKER, WorkerProgram
from harness.errors import UsageError
from harness.wine.prefix import PYTHON_HOME, WinePrefix, find_wine

__all__ = ["ENGINE_VARIABLE", "open_pykd", "worker_program"]

ENGINE_VARIABLE: Final = "PROCNOTIFY_DBGENG"
"""A folder with a newer dbgeng.dll (and dbghelp.dll, ...), for example the Windows SDK's Debuggers/x64."""


def open_pykd(connection: str) -> WorkerDebugger:
    """The debugger; its worker is looked for when it begins to listen."""
    return WorkerDebugger("pykd", connection, worker_program)


def worker_program() -> WorkerProgram:
    """How to start the worker; raises what is missing."""
    return _on_windows() if sys.platform == "win32" else _under_wine(WinePrefix())


def _engine_folder() -> Path | None:
    named = os.environ.get(ENGINE_VARIABLE)
    if not named:
        return None
    folder = Path(named)
    if not (folder / "dbgeng.dll").is_file():
        raise UsageError(f"{ENGINE_VARIABLE} names {folder}, where there is no dbgeng.dll")
    return folder


def _on_windows() -> WorkerProgram:
    folder = _engine_folder()
    return WorkerProgram([*find_interpreter(), str(WORKER / "main.py"), "pykd", str(folder or "")])


def _under_wine(prefix: WinePrefix) -> WorkerProgram:
    find_wine()
    if not prefix.complete:
        raise PykdMissing("pykd is not set up on this machine", hint="run `procnotify wine setup`")
    folder = _engine_folder()
    link = prefix.python / "dbgeng"
    link.unlink(missing_ok=True)
    if folder is not None:
        link.symlink_to(folder.resolve(), target_is_directory=True)
    _copy_worker(prefix.python / "worker")
    arguments = ["-u", f"{PYTHON_HOME}\\worker\\main.py", "pykd"]
    if folder is not None:
        arguments.append(f"{PYTHON_HOME}\\dbgeng")
    return WorkerProgram(
        prefix.python_command(*arguments),
        environment=prefix.environment(os.environ),
        cwd=prefix.python,
        # A Wine server that is going down turns away who comes just then, and one whose first program was
        # killed while it started may never answer again.
        retry=lambda hung: prefix.end_programs() if hung else None,
    )


def _copy_worker(target: Path) -> None:
    """The prefix sees nothing outside itself. Several runs may do this at a time."""
    target.mkdir(parents=True, exist_ok=True)
    for source in WORKER.glob("*.py"):
        copy = target / source.name
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            fresh = target / f".{source.name}.{os.getpid()}"
            shutil.copyfile(source, fresh)
            fresh.replace(copy)
