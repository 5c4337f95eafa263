"""``python -m tools.windows_python setup``: build the interpreter in stages, and prove that it works.

What is complete is only checked, by the fingerprints of what it was made from; nothing is started in it.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Final

from harness.wine.boot import make_prefix, wine_version
from harness.wine.command import run_command
from harness.wine.debian import fetch_debs
from harness.wine.errors import DownloadError, PrefixError, one_line_errors
from harness.wine.interpreter import unpack_interpreter
from harness.wine.pieces import Deb, Wheel, drop_damaged, find_files
from harness.wine.prefix import find_wine
from harness.wine.pypi import fetch_wheel, run_pip
from harness.wine.report import Reporter
from harness.wine.stages import alone, fresh, stage, write_stamp
from tools.windows_python import launcher, pieces
from tools.windows_python.debugger import add_pykd
from tools.windows_python.prefix import WindowsPython

__all__ = ["setup"]

PROOF_TIMEOUT: Final = 120.0
_PROOF: Final = (
    "import ctypes, json, sqlite3, ssl, sys; import click, cryptography.hazmat.primitives.ciphers.aead, "
    "hypothesis, msgspec, pytest, serial, unicorn, yaml, ziglang; "
    "print(json.dumps({'python': sys.version.split()[0], 'platform': sys.platform}))"
)
"""A script that loads what has a binary part; its last line is the facts."""


def setup(
    prefix: WindowsPython, reporter: Reporter, *, source: Path | None = None, pykd: bool = False
) -> dict[str, str]:
    """Build what is missing; the version and platform that the Python then states.

    :param pykd: put a second Python with pykd beside it.
    :param source: a folder with all wheels and Debian packages, instead of the registries.
    :raises harness.errors.RigError: no Wine, a piece cannot be had, or what was built does not work.
    """
    wine = find_wine()
    with one_line_errors(), alone(prefix.root):
        boot = wine_version(wine)
        python = pieces.fingerprint_of(pieces.INTERPRETER.sha256, *(deb.pattern for deb in pieces.LIBRARY))
        packages = pieces.fingerprint_of(python, pieces.REQUIREMENTS)
        programs = pieces.fingerprint_of(packages, *sorted(pieces.SOURCES.iterdir()))
        whole = pieces.fingerprint_of(boot, programs)
        facts = _proved(prefix, whole)
        if facts is None:
            with prefix.alone():
                stage(prefix, "prefix", boot, lambda: make_prefix(prefix, wine, reporter))
                stage(prefix, "python", python, lambda: _unpack(prefix, source, reporter))
                stage(prefix, "packages", packages, lambda: _install(prefix, source, reporter))
                stage(prefix, "launcher", programs, lambda: _build(prefix, reporter))
            facts = _prove(prefix, reporter)
        if pykd:
            add_pykd(prefix, reporter)
        write_stamp(prefix, "verified", json.dumps({"whole": whole, "facts": facts}))
        shutil.rmtree(prefix.downloads, ignore_errors=True)
    return facts


def _proved(prefix: WindowsPython, whole: str) -> dict[str, str] | None:
    """What an earlier setup of the same ingredients proved."""
    if not prefix.complete:
        return None
    stamp = json.loads((prefix.stamps / "verified").read_text(encoding="utf-8"))
    return {str(k): str(v) for k, v in stamp["facts"].items()} if stamp["whole"] == whole else None


def _unpack(prefix: WindowsPython, source: Path | None, reporter: Reporter) -> None:
    files = _gather(prefix, source, reporter)
    reporter.step(f"unpacking Python {pieces.VERSION} for Windows")
    library = [files[deb] for deb in pieces.LIBRARY]
    unpack_interpreter(prefix, pieces.VERSION, files[pieces.INTERPRETER], library)


def _gather(prefix: WindowsPython, source: Path | None, reporter: Reporter) -> dict[Wheel | Deb, Path]:
    """The interpreter's pieces, from the user's folder or downloaded."""
    every = (pieces.INTERPRETER, *pieces.LIBRARY)
    folder = prefix.downloads if source is None else source
    if source is None:
        folder.mkdir(parents=True, exist_ok=True)
        drop_damaged(every, folder)
        _, missing = find_files(every, folder)
        if pieces.INTERPRETER in missing:
            fetch_wheel(pieces.INTERPRETER, folder, reporter)
        debs = [piece for piece in missing if isinstance(piece, Deb)]
        if debs:
            fetch_debs(debs, folder, reporter)
    files, missing = find_files(every, folder)
    if missing:
        raise DownloadError(f"{folder} lacks {', '.join(piece.pattern for piece in missing)}")
    return files


def _install(prefix: WindowsPython, source: Path | None, reporter: Reporter) -> None:
    reporter.step("installing the project's dependencies for Windows")
    options = ["--require-hashes", "-r", str(pieces.REQUIREMENTS)]
    options.append("--no-compile")  # pip would do it with the Python that runs it
    if source is not None:
        options += ["--no-index", "--find-links", str(source)]
    with fresh(prefix.python / "Lib" / "site-packages") as folder:
        done = run_pip("install", pieces.VERSION, ["--target", str(folder), *options], reporter)
        if done.code != 0:
            raise DownloadError(
                f"the dependencies were not installed: {done.why('ERROR: ', 'error: ')}",
                hint="run the same command again; what pip has fetched is in its cache",
            )


def _build(prefix: WindowsPython, reporter: Reporter) -> None:
    reporter.step("building python.exe, python3.dll and bcryptprimitives.dll")
    launcher.build_programs(prefix.python)


def _prove(prefix: WindowsPython, reporter: Reporter) -> dict[str, str]:
    reporter.step("starting it and loading what has a binary part")
    with prefix.use():
        done = run_command(
            prefix.python_command("-c", _PROOF),
            timeout=PROOF_TIMEOUT,
            environment=prefix.environment(os.environ),
            cwd=prefix.python,
        )
    facts = done.json_object()
    if done.code != 0 or facts is None:
        raise PrefixError(
            f"the Windows Python in {prefix.root} does not work: {done.why()}",
            hint=f"delete {prefix.root} and run the setup again",
        )
    return {str(name): str(value) for name, value in facts.items()}
