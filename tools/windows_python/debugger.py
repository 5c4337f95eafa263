"""A Python 3.9 with pykd beside the Windows Python, as a user of `--debugger pykd` on Windows has it.

Its files are those of the prefix that `procnotify wine setup` makes, laid out as an installation.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from harness.debuggers.pykd.interpreters import VARIABLE
from harness.wine import setup as wine_setup
from harness.wine.prefix import WinePrefix
from harness.wine.report import Reporter
from harness.wine.stages import fresh, is_done, stage
from tools.windows_python.pieces import fingerprint_of
from tools.windows_python.prefix import WindowsPython

__all__ = ["add_pykd", "pykd_environment"]

FOLDER: Final = "Python39"


def add_pykd(prefix: WindowsPython, reporter: Reporter, origin: WinePrefix | None = None) -> None:
    """Put ``C:\\Python39`` into the prefix, unless it is there.

    :param origin: the prefix that is taken from, and completed first; by default the user's own.
    :raises harness.errors.RigError: that one cannot be completed, or somebody is at work in this one.
    """
    origin = origin if origin is not None else WinePrefix()
    if not origin.complete:
        wine_setup.setup(origin, reporter)
    made_of = [origin.stamps / name for name in ("python", "pykd", "launcher")]
    # The link to it lies in drive C:.
    whole = fingerprint_of(*made_of, prefix.stamps / "prefix")
    if not is_done(prefix, "pykd", whole):
        with prefix.alone():
            stage(prefix, "pykd", whole, lambda: _copy(prefix, origin, reporter))


def pykd_environment(prefix: WindowsPython) -> dict[str, str]:
    """Where the harness on Windows finds that Python, if it is there."""
    there = (prefix.stamps / "pykd").is_file()
    return {VARIABLE: f"C:\\{FOLDER}\\python.exe"} if there else {}


def _copy(prefix: WindowsPython, origin: WinePrefix, reporter: Reporter) -> None:
    reporter.step("copying Python 3.9 with pykd")
    link = prefix.prefix / "drive_c" / FOLDER
    with fresh(prefix.root / FOLDER) as folder:
        shutil.copytree(origin.python, folder, dirs_exist_ok=True, ignore=_without_the_rest)
        (folder / "site-packages").replace(folder / "Lib" / "site-packages")
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..", "..", FOLDER), target_is_directory=True)


def _without_the_rest(folder: str, names: list[str]) -> list[str]:
    """The worker's scripts and symbols, which the harness puts there for its own use."""
    return [name for name in names if name == "worker" or name.startswith("symbols-")]
