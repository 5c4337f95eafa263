"""``procnotify pykd setup``: a virtual environment with pykd in the user's cache folder, on Windows.

::

    a Python 3.7 to 3.9 ──▶ python -m venv ──▶ pip install pykd ──▶ import pykd ──▶ the stamp

What has no stamp is made anew, so a setup may be interrupted anywhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from harness.debuggers.pykd.interpreters import (
    GET_PYTHON,
    OLDEST,
    VARIABLE,
    Environment,
    Host,
    Interpreter,
    NoAnswer,
    PykdMissing,
    ask,
    choose,
    last_words,
    launched,
    probe,
)
from harness.errors import RigError, UsageError
from harness.files import patiently
from harness.locks import HeldElsewhere, held_alone
from harness.wine.pieces import IMPORT_PYKD, PYKD

__all__ = ["PykdSetupError", "Ready", "import_pykd", "remove", "setup", "where"]

NEWEST: Final = (3, 9)
"""The last CPython for which pykd's wheels were published."""
VENV_SECONDS: Final = 300.0
PIP_SECONDS: Final = 600.0
IMPORT_SECONDS: Final = 60.0


class PykdSetupError(RigError):
    """The environment could not be made or deleted, or pykd cannot be imported."""


@dataclass(frozen=True)
class Ready:
    """An interpreter in which pykd was imported."""

    command: str
    origin: str
    """How it was found, for people."""
    python: str
    """Its version."""
    pykd: str
    """The version of pykd in it."""


def setup(step: Callable[[str], None], *, python: Path | None = None, host: Host) -> Ready:
    """Make the environment unless it is there, and prove that pykd can be imported in it.

    :param step: told what is being done.
    :param python: the python.exe to make it from; by default the launcher is asked for one. If the
        environment was made from another one, it is made anew.
    :raises UsageError: this is not Windows, or ``python`` will not do.
    :raises PykdMissing: there is no Python to make it from.
    :raises PykdSetupError: a step failed; the next setup makes the environment anew.
    """
    _require_windows(host, "setup")
    environment = Environment(host.cache())
    if host.environment.get(VARIABLE):
        step(f"note: while {VARIABLE} is set, the Python that it names is used instead of this one")
    with _alone(environment.folder.parent):
        base = None if python is None else _given(python, host)
        if _as_wanted(environment, base):
            step(f"importing pykd in {environment.folder}")
            try:
                return import_pykd(_made(environment), host)
            except NoAnswer as reason:
                step(f"that does not work any more ({reason}): making it anew")
        base = base or _suitable(host)
        step(f"found {base.name}: {base.executable}")
        return _make(environment, base, step, host)


def remove(*, host: Host) -> tuple[Path, bool]:
    """Delete the environment: its folder, and whether there was one.

    :raises UsageError: this is not Windows.
    :raises PykdSetupError: it could not be deleted.
    """
    _require_windows(host, "remove")
    environment = Environment(host.cache())
    with _alone(environment.folder.parent):
        there = environment.folder.exists()
        _delete(environment)
    return environment.folder, there


def where(*, host: Host) -> Ready:
    """The interpreter that a debugger would use now.

    :raises UsageError: this is not Windows, or the interpreter that the user has named will not do.
    :raises PykdMissing: there is none.
    :raises PykdSetupError: it has pykd, but cannot import it.
    """
    _require_windows(host, "setup")
    found = choose(host)
    try:
        return import_pykd(found, host)
    except NoAnswer as reason:
        raise _not_importable(found, reason) from None


def _require_windows(host: Host, subcommand: str) -> None:
    if not host.windows:
        raise UsageError("pykd runs under Wine on this system", hint=f"use `procnotify wine {subcommand}`")


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """No two setups at a time in one place."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(held_alone(root / "lock"))
        except HeldElsewhere:
            raise PykdSetupError(f"another setup is at work in {root}", hint="wait for its end") from None
        yield


def _as_wanted(environment: Environment, base: Interpreter | None) -> bool:
    """Whether the environment is whole, with the pinned pykd, and from ``base`` if that is given."""
    if not environment.complete:
        return False
    try:
        stamp = json.loads(environment.stamp.read_text(encoding="utf-8"))
    except ValueError:
        return False
    wanted = {"pykd": PYKD.requirement} | ({} if base is None else {"base": base.executable})
    return isinstance(stamp, dict) and wanted.items() <= stamp.items()


def _given(python: Path, host: Host) -> Interpreter:
    """The interpreter that the user wants the environment made from."""
    if not python.is_file():
        raise UsageError(f"{python} is no file", hint="--python takes the path of a python.exe")
    try:
        return _fit_for_wheels(probe([str(python.absolute())], host, origin="--python"))
    except NoAnswer as reason:
        raise UsageError(
            f"no environment for pykd can be made from {python}: {reason}",
            hint=f"{GET_PYTHON}; one that has pykd already is named in {VARIABLE}",
        ) from None


def _suitable(host: Host) -> Interpreter:
    """The launcher's best interpreter for which there is a wheel of pykd."""
    reasons: list[str] = []
    for found in launched(host, reasons):
        try:
            return _fit_for_wheels(found)
        except NoAnswer as reason:
            reasons.append(f"{found.origin}: {reason}")
    raise PykdMissing(
        f"no 64-bit Python 3.7 to 3.9 was found ({'; '.join(reasons)})",
        hint=f"{GET_PYTHON}; or name one with --python",
    )


def _fit_for_wheels(found: Interpreter) -> Interpreter:
    if not OLDEST <= found.version[:2] <= NEWEST:
        raise NoAnswer(f"it is {found.name}, not 3.7 to 3.9")
    if found.bits != 64:
        raise NoAnswer(f"it is a {found.bits}-bit {found.name}, not a 64-bit one")
    return found


def _make(environment: Environment, base: Interpreter, step: Callable[[str], None], host: Host) -> Ready:
    _delete(environment)
    step(f"making a virtual environment in {environment.folder}")
    # Isolated (-I): neither the current folder nor PYTHONPATH has a say in what venv and pip are.
    said = _run([*base.command, "-I", "-m", "venv", str(environment.folder)], "venv", VENV_SECONDS, host)
    if not environment.python.is_file():
        # The Microsoft Store's Python writes to a private copy of the cache folder, and says so.
        raise PykdSetupError(
            f"{base.executable} made no environment in {environment.folder}" + (f": {said}" if said else ""),
            hint="use the Python of python.org's installer, not the Microsoft Store's",
        )
    step(f"installing {PYKD.requirement}")
    options = ["--disable-pip-version-check", "--no-input", "--only-binary=:all:"]
    install = [str(environment.python), "-I", "-m", "pip", "install", *options, PYKD.requirement]
    _run(install, "pip", PIP_SECONDS, host)
    step("importing pykd")
    made = _made(environment)
    try:
        ready = import_pykd(made, host)
    except NoAnswer as reason:
        raise _not_importable(made, reason) from None
    stamp = environment.stamp.with_suffix(".new")
    stamp.write_text(
        json.dumps({"pykd": PYKD.requirement, "base": base.executable}), encoding="utf-8", newline="\n"
    )
    patiently(partial(stamp.replace, environment.stamp))
    return ready


def _made(environment: Environment) -> Interpreter:
    """The environment's interpreter, of which nothing is known yet but where it lies."""
    python = str(environment.python)
    return Interpreter([python], python, (0, 0, 0), 0, False, "made by `procnotify pykd setup`")


def import_pykd(found: Interpreter, host: Host) -> Ready:
    """Import pykd in an interpreter; its versions.

    :raises NoAnswer: that fails; the message is the last line of what it said.
    """
    facts = ask(found.command, IMPORT_PYKD, host, timeout=IMPORT_SECONDS)
    return Ready(" ".join(found.command), found.origin, str(facts.get("python")), str(facts.get("pykd")))


def _not_importable(found: Interpreter, reason: NoAnswer) -> PykdSetupError:
    return PykdSetupError(
        f"pykd cannot be imported by {found.executable}: {reason}",
        hint="try another Python: `procnotify pykd setup --python EXE`",
    )


def _run(command: list[str], what: str, timeout: float, host: Host) -> str:
    """Run a step of the setup; the last line of what it said."""
    try:
        done = host.run(command, timeout, host.environment)
    except OSError as error:
        raise PykdSetupError(f"{what} cannot be started: {error.strerror or error} ({command[0]})") from None
    if done.code != 0:
        raise PykdSetupError(
            f"{what} failed: {last_words(done, timeout, 'ERROR:')}",
            hint=f"it was run by {command[0]}; run `procnotify pykd setup` again once that is mended",
        )
    return done.last_line()


def _delete(environment: Environment) -> None:
    """Delete the environment, its stamp first: half of it must not pass for a whole one."""
    try:
        environment.stamp.unlink(missing_ok=True)
        if environment.folder.exists():
            patiently(partial(shutil.rmtree, environment.folder))
    except OSError as error:
        where = os.fspath(error.filename or environment.folder)
        raise PykdSetupError(
            f"{environment.folder} could not be deleted: {error.strerror or error} ({where})",
            hint="end the debugger that runs in it",
        ) from None
