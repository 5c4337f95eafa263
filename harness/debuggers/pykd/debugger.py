"""Microsoft's DbgEng through pykd: which interpreter its worker runs in.

pykd is published for Windows CPython up to 3.9, so it never runs in the harness's own interpreter. On Windows
one that has it is looked for; elsewhere the private Wine prefix has one (:mod:`harness.wine`), and what the
worker needs is put into that. Several runs may do so at a time: whatever is there is replaced whole or left.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from harness.connection import Connection, NetConnection, parse_connection
from harness.debuggers.base import Release
from harness.debuggers.pykd.interpreters import PykdMissing, find_interpreter
from harness.debuggers.pykd.mappedcopies import MappedCopies
from harness.debuggers.pykd.serialrelay import SerialRelay
from harness.debuggers.rescue import RESCUE_SECONDS, rescue
from harness.debuggers.workers.debugger import WorkerDebugger
from harness.debuggers.workers.link import WORKER, WorkerProgram
from harness.errors import RigError, TargetLost, UsageError
from harness.resources import cache_dir
from harness.wine.errors import one_line_errors
from harness.wine.prefix import PYTHON_HOME, WinePrefix, find_wine

__all__ = ["ENGINE_VARIABLE", "PykdDebugger", "open_pykd", "require", "worker_program"]

ENGINE_VARIABLE: Final = "PROCNOTIFY_DBGENG"
"""A folder with a newer dbgeng.dll (and dbghelp.dll, ...), for example the Windows SDK's Debuggers/x64."""


SYMPATH_SECONDS: Final = 30.0
"""For DbgEng to take a search path; it looks at each part."""


class PykdDebugger(WorkerDebugger):
    """DbgEng in its worker, which also reads symbols (:class:`harness.debuggers.base.SymbolDebugger`) and
    hands out files (:class:`~harness.debuggers.base.FileServingDebugger`)."""

    def __init__(self, name: str, connection: str | Connection, program: Callable[[], WorkerProgram]) -> None:
        super().__init__(name, connection, program)
        self.files = MappedCopies(self._require_halted)

    def detach(self, *, timeout: float) -> Release:
        """See :meth:`WorkerDebugger.detach`."""
        try:
            return super().detach(timeout=timeout)
        finally:
            self.files.close()

    def let_go(self) -> None:
        """See :meth:`WorkerDebugger.let_go`. Over a serial line DbgEng's ``qd`` says nothing to the target
        (seen of 10.0.15063), which would stand still: the native debugger lets it go."""
        if isinstance(self._connection, NetConnection):
            super().let_go()
            return
        link = self._require_halted()
        link.end()
        found = rescue(self._connection, "DbgEng lets no target go here", timeout=RESCUE_SECONDS)
        if not found.running:
            raise TargetLost(found.proof)
        link.halted = False

    def _way_to_target(self) -> AbstractContextManager[str]:
        if isinstance(self._connection, NetConnection):
            return super()._way_to_target()
        return SerialRelay(self._connection)

    def use_symbols(self, pdb: Path) -> None:
        """See :meth:`harness.debuggers.base.SymbolDebugger.use_symbols`."""
        folder = _symbol_folder(pdb) if sys.platform == "win32" else _link_symbols(WinePrefix().python, pdb)
        self.execute(f".sympath+ {folder}", timeout=SYMPATH_SECONDS)


def open_pykd(connection: str) -> PykdDebugger:
    """The debugger; its worker is looked for when it begins to listen."""
    parsed = parse_connection(connection)
    if not isinstance(parsed, NetConnection) and parsed.reconnect:
        # DbgEng goes on without a word about what was lost meanwhile.
        raise UsageError(
            "pykd cannot do what 'reconnect' of the connection says", hint="--debugger native does"
        )
    return PykdDebugger("pykd", connection, worker_program)


def require() -> None:
    """Look whether a worker can be started, without changing anything.

    :raises UsageError: an environment variable names what will not do.
    :raises RigError: something is missing on this machine.
    """
    if sys.platform == "win32":
        _on_windows()
    else:
        _require_prefix(WinePrefix())


def worker_program() -> WorkerProgram:
    """How to start the worker, once what it needs lies where it looks for it.

    :raises UsageError, RigError: as :func:`require`, or the prefix cannot be written to.
    """
    return _on_windows() if sys.platform == "win32" else _under_wine(WinePrefix())


def _engine_folder() -> Path | None:
    named = os.environ.get(ENGINE_VARIABLE)
    if not named:
        return None
    folder = Path(named)
    if not (folder / "dbgeng.dll").is_file():
        raise UsageError(
            f"{ENGINE_VARIABLE} names {folder}, where there is no dbgeng.dll",
            hint="it takes a folder such as Debuggers/x64 of the Windows SDK; unset it to use pykd's own",
        )
    return folder


def _on_windows() -> WorkerProgram:
    folder = _engine_folder()
    # What is set for the harness's Python is not meant for another one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    argv = [*find_interpreter(), str(WORKER / "main.py"), "pykd", str(folder or "")]
    return WorkerProgram(argv, environment)


def _require_prefix(prefix: WinePrefix) -> Path | None:
    """The folder of a newer DbgEng, where one is named; raises what is missing."""
    find_wine()
    if not prefix.complete:
        raise PykdMissing("pykd is not set up on this machine", hint="run `procnotify wine setup`")
    return _engine_folder()


def _under_wine(prefix: WinePrefix) -> WorkerProgram:
    folder = _require_prefix(prefix)
    with one_line_errors():
        arguments = ["-u", f"{PYTHON_HOME}\\{_copy_worker(prefix.python)}\\main.py", "pykd"]
        if folder is not None:
            arguments.append(f"{PYTHON_HOME}\\{_link_engine(prefix.python, folder.resolve())}")
    return WorkerProgram(
        prefix.python_command(*arguments),
        environment=prefix.environment(os.environ),
        cwd=prefix.python,
        # A Wine server that is going down turns away who comes just then, and one whose first program was
        # killed while it started may never answer again.
        retry=lambda hung: _end_programs(prefix) if hung else None,
        hold=prefix.use,
    )


def _end_programs(prefix: WinePrefix) -> None:
    """End what hangs in the prefix, unless that would end a worker of another run too."""
    with contextlib.suppress(RigError), prefix.alone():
        prefix.end_programs()


def _copy_worker(parent: Path) -> str:
    """The name of a folder in ``parent`` with the worker's scripts, for the prefix sees nothing outside
    itself. Each version has its own, which is never deleted: another run may be using it."""
    scripts = {source.name: source.read_bytes() for source in sorted(WORKER.glob("*.py"))}
    target = parent / f"worker-{hashlib.sha256(repr(scripts).encode()).hexdigest()[:16]}"
    target.mkdir(parents=True, exist_ok=True)
    for name, data in scripts.items():
        copy = target / name
        if not copy.is_file() or copy.read_bytes() != data:
            with _replacing(copy) as fresh:
                fresh.write_bytes(data)
    return target.name


def _link_engine(parent: Path, folder: Path) -> str:
    """The name of a link to ``folder`` in ``parent``. It is never deleted: another run may be using it."""
    link = parent / f"dbgeng-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    if not link.is_symlink() or link.readlink() != folder:
        with _replacing(link) as fresh:
            fresh.symlink_to(folder, target_is_directory=True)
    return link.name


def _symbol_folder(pdb: Path) -> str:
    """The folder of the .pdb as it may stand in a symbol path: its own, or that of a copy in the cache."""
    folder = str(pdb.absolute().parent)
    if _is_element(folder):
        return folder
    with one_line_errors():
        data = pdb.read_bytes()
        copy = cache_dir("symbols", hashlib.sha256(data).hexdigest()[:16]) / pdb.name
        if not copy.is_file():
            with _replacing(copy) as fresh:
                fresh.write_bytes(data)
    return str(copy.parent)


def _is_element(folder: str) -> bool:
    """Whether a folder may be an element of a symbol path: a semicolon parts elements, and from UNC and
    device paths nothing is read (:mod:`harness.debuggers.workers.worker.seal`)."""
    return ";" not in folder and not folder.startswith("\\\\")


def _link_symbols(parent: Path, pdb: Path) -> str:
    """A folder in ``parent``, as the prefix sees it, with nothing in it but a link to the .pdb. It is never
    deleted: another run may be using it."""
    file = pdb.resolve()
    name = f"symbols-{hashlib.sha256(os.fsencode(file)).hexdigest()[:16]}"
    link = parent / name / pdb.name
    with one_line_errors():
        link.parent.mkdir(exist_ok=True)
        if not link.is_symlink() or link.readlink() != file:
            with _replacing(link) as fresh:
                fresh.symlink_to(file)
    return f"{PYTHON_HOME}\\{name}"


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A name for the block to make something under, which takes the place of ``path`` at once then."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
