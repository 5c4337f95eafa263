"""Windows interpreters that have pykd: where one is looked for, and what it says about itself.

::

    $PROCNOTIFY_PYKD_PYTHON, if set: that one or an error
      └──▶ the environment of `procnotify pykd setup` ──▶ py -3.9, py -3.8, py -3.7 ──▶ PykdMissing

pykd's wheels end with CPython 3.9; a user may have built it for a newer one and names that. The worker's
scripts need 3.7. Nothing is remembered between two searches: what is installed changes.
"""

from __future__ import annotations

import json
import locale
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness.errors import RigError, UsageError
from harness.processes import run_child
from harness.resources import cache_dir
from harness.wine.command import Finished

__all__ = ["Environment", "Host", "Interpreter", "NoAnswer", "PykdMissing", "ask", "find_interpreter"]

VARIABLE: Final = "PROCNOTIFY_PYKD_PYTHON"
"""The path of a python.exe that has pykd."""
OLDEST: Final = (3, 7)
"""What the worker's scripts need."""
LAUNCHED: Final = ("3.9", "3.8", "3.7")
"""Versions that the launcher is asked for, the best first: pykd has wheels for them and the worker runs."""
LAUNCHER: Final = "py.exe"
"""With its suffix: where PATHEXT knows ``.py``, a ``py.py`` of somebody's would do for ``py``."""
GET_PYTHON: Final = "64-bit Python 3.9 comes from python.org or by `winget install Python.Python.3.9`"
PROBE_SECONDS: Final = 20.0
"""For an interpreter to start and answer; the first start after an installation is slow (virus scanners)."""
OUTPUT_BYTES: Final = 65536
"""How much of a program's output is kept, from its end."""
SHOWN: Final = 200
"""Characters of a program's last line in an error."""

# One line without double quotes: a .bat in front of an interpreter (pyenv) passes nothing else on unharmed.
# The worker does not have the current folder in its path, so neither may the answer come from there.
_PATH: Final = "import sys; sys.path[:] = [p for p in sys.path if p]; "
_PROBE: Final = (
    _PATH + "import json, struct; "
    "s = sys.version_info >= (3, 7) and __import__('importlib.util').util.find_spec('pykd'); "
    "print(json.dumps({'executable': sys.executable, 'version': list(sys.version_info[:3]), "
    "'bits': 8 * struct.calcsize('P'), 'pykd': bool(s and s.origin)}))"
)


class PykdMissing(RigError):
    """No interpreter with pykd was found."""


class NoAnswer(Exception):
    """An interpreter will not do; the message says why, without its name."""


def run_program(command: Sequence[str], timeout: float, environment: Mapping[str, str]) -> Finished:
    """Run a program to its end, or for ``timeout`` seconds; on any system.

    :raises OSError: it cannot be started.
    """
    # A file, not a pipe: what a killed program has started may hold a pipe open for as long as it likes.
    with tempfile.TemporaryFile() as output:
        code: int | None
        try:
            code, _ = run_child(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            code = None
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - OUTPUT_BYTES))
        return Finished(code, output.read(OUTPUT_BYTES).decode(locale.getencoding(), "replace"))


@dataclass(frozen=True)
class Host:
    """All that the search and the setup touch of the machine."""

    windows: bool = sys.platform == "win32"
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    which: Callable[[str], str | None] = shutil.which
    run: Callable[[Sequence[str], float, Mapping[str, str]], Finished] = run_program
    cache: Callable[[], Path] = lambda: cache_dir("pykd")
    """The folder in which ``procnotify pykd setup`` keeps what it makes."""
    probe_seconds: float = PROBE_SECONDS


class Environment:
    """The virtual environment that ``procnotify pykd setup`` makes in ``root``.

    It is whole when it has its stamp: that is written last and deleted first.
    """

    def __init__(self, root: Path) -> None:
        self.folder: Final = root / "venv"
        self.python: Final = self.folder / "Scripts" / "python.exe"
        self.stamp: Final = self.folder / "procnotify.json"

    @property
    def complete(self) -> bool:
        """Whether a setup once ran to its end here."""
        return self.stamp.is_file() and self.python.is_file()


@dataclass(frozen=True)
class Interpreter:
    """An interpreter that answered."""

    command: list[str]
    """The beginning of a command line that runs it."""
    executable: str
    """Its own ``sys.executable``."""
    version: tuple[int, int, int]
    bits: int
    has_pykd: bool
    origin: str = ""
    """How it was found, for people."""

    @property
    def name(self) -> str:
        """Its version, for people."""
        return "Python " + ".".join(map(str, self.version))


def find_interpreter(host: Host | None = None) -> list[str]:
    """The beginning of a command line that runs a Python with pykd.

    :raises UsageError: ``PROCNOTIFY_PYKD_PYTHON`` names one that will not do.
    :raises PykdMissing: there is none.
    """
    return choose(host or Host()).command


def choose(host: Host) -> Interpreter:
    """The interpreter of :func:`find_interpreter`, with what it says about itself; raises the same."""
    named = host.environment.get(VARIABLE)
    if named:
        return _named(Path(named), host)
    reasons: list[str] = []
    environment = Environment(host.cache())
    if not environment.complete:
        reasons.append("`procnotify pykd setup` has not been run to its end")
    else:
        try:
            return _fit(probe([str(environment.python)], host, origin="made by `procnotify pykd setup`"))
        except NoAnswer as reason:
            reasons.append(f"{environment.folder}: {reason}")
    for found in launched(host, reasons):
        try:
            return _fit(found)
        except NoAnswer as reason:
            reasons.append(f"{found.origin}: {reason}")
    raise PykdMissing(
        f"no Python with pykd was found ({'; '.join(reasons)})",
        hint=f"run `procnotify pykd setup`; {GET_PYTHON}",
    )


def launched(host: Host, reasons: list[str]) -> Iterator[Interpreter]:
    """The interpreters that the Windows launcher has, one by one; ``reasons`` gets why others are missing."""
    launcher = host.which(LAUNCHER)
    if launcher is None:
        reasons.append("there is no launcher `py`")
        return
    # Both makes of the launcher can be set to install what they are asked for. A question must not do that.
    environment = {n: v for n, v in host.environment.items() if n.upper() != "PYLAUNCHER_ALLOW_INSTALL"}
    environment["PYTHON_MANAGER_AUTOMATIC_INSTALL"] = "false"
    for version in LAUNCHED:
        origin = f"py -{version}"
        try:
            found = probe([launcher, f"-{version}"], host, origin=origin, environment=environment)
        except NoAnswer as reason:
            reasons.append(f"{origin}: {reason}")
        else:
            # From here on without the launcher: one process less to be killed with the worker.
            yield Interpreter(**{**vars(found), "command": [found.executable]})


def probe(
    command: list[str], host: Host, *, origin: str, environment: Mapping[str, str] | None = None
) -> Interpreter:
    """Ask an interpreter what it is.

    :param environment: for its process; by default the host's.
    :raises NoAnswer: it cannot be started, takes too long, fails or talks nonsense.
    """
    facts = ask(command, _PROBE, host, timeout=host.probe_seconds, environment=environment)
    match facts:
        case {
            "executable": str(executable),
            "version": [int(major), int(minor), int(micro)],
            "bits": int(bits),
            "pykd": bool(has_pykd),
        } if executable:
            return Interpreter(command, executable, (major, minor, micro), bits, has_pykd, origin)
    raise NoAnswer(f"it answers {_shortened(json.dumps(facts))}, which says nothing about a Python")


def ask(
    command: Sequence[str],
    script: str,
    host: Host,
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a script in an interpreter; the JSON object that is the last line of its output.

    :param timeout: seconds.
    :raises NoAnswer: there is none.
    """
    environment = host.environment if environment is None else environment
    try:
        done = host.run([*command, "-c", script], timeout, environment)
    except OSError as error:
        raise NoAnswer(f"it cannot be started: {error.strerror or error}") from None
    if done.code != 0:
        raise NoAnswer(last_words(done, timeout))
    facts = done.json_object()
    if facts is None:
        raise NoAnswer(f"it answers {_shortened(done.last_line())!r}, which is no answer")
    return facts


def last_words(done: Finished, timeout: float, *prefixes: str) -> str:
    """Why a program failed: its last line (see :meth:`Finished.last_line`), or how it ended."""
    if done.code is None:
        return f"no end within {timeout:g} s"
    # What Windows ends a process with (an access violation: 0xc0000005) is known by its hexadecimal form.
    code = f"0x{done.code:08x}" if done.code > 0xFFFF else str(done.code)
    return _shortened(done.last_line(*prefixes)) or f"exit code {code}"


def _named(path: Path, host: Host) -> Interpreter:
    """The interpreter that the user wants and no other."""
    if not path.is_file():
        raise UsageError(
            f"{VARIABLE} names {path}, which is no file", hint="it takes the path of a python.exe"
        )
    try:
        # Not as it stands: Windows looks for a bare python.exe beside the running one first.
        return _fit(probe([str(path.absolute())], host, origin=f"named by {VARIABLE}"))
    except NoAnswer as reason:
        raise UsageError(
            f"{VARIABLE} names {path}, which will not do: {reason}",
            hint="install pykd there, or unset it and run `procnotify pykd setup`",
        ) from None


def _fit(found: Interpreter) -> Interpreter:
    """``found``, if a worker can run in it; NoAnswer otherwise."""
    if found.version[:2] < OLDEST:
        raise NoAnswer(f"it is {found.name}, older than {'.'.join(map(str, OLDEST))}")
    if found.bits != 64:
        raise NoAnswer(f"it is a {found.bits}-bit {found.name}, not a 64-bit one")
    if not found.has_pykd:
        raise NoAnswer(f"its {found.name} has no pykd")
    return found


def _shortened(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text).strip()
    return printable if len(printable) <= SHOWN else printable[:SHOWN] + "..."
