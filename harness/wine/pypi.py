"""Fetch wheels with the user's own pip: its configuration, index and certificates count."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from harness.wine.command import Finished, run_command
from harness.wine.errors import DownloadError
from harness.wine.pieces import Wheel
from harness.wine.report import Reporter

__all__ = ["fetch_wheel", "run_pip"]

TIMEOUT: Final = 900.0
"""Seconds for one wheel; the largest has 64 MB."""
_PROGRESS: Final = re.compile(r"Progress (\d+) of (\d+)")
_RAW_PROGRESS_SINCE: Final = (24, 1)


def fetch_wheel(wheel: Wheel, folder: Path, reporter: Reporter) -> None:
    """Put ``wheel`` into ``folder``, whole or not at all.

    :raises DownloadError: pip is missing, failed, or brought something else.
    """
    reporter.step(f"downloading {wheel.purpose}: {wheel.requirement}")
    done = run_pip("download", wheel.python, ["--dest", str(folder), wheel.requirement], reporter)
    path = folder / wheel.filename
    if done.code != 0 or not path.is_file():
        raise DownloadError(
            f"{wheel.requirement} was not downloaded: {done.why('ERROR: ', 'error: ')}",
            hint="run the same command again; what is complete is kept",
        )
    wheel.check(path)


def run_pip(command: str, python: str, arguments: Iterable[str], reporter: Reporter) -> Finished:
    """Let pip deal with wheels for 64-bit Windows and a CPython (``3.9``), as they are named, without others.

    :param command: ``download`` or ``install``.
    :raises DownloadError: there is no pip.
    """
    if importlib.util.find_spec("pip") is None:
        raise DownloadError(
            f"pip is not installed beside {sys.executable}",
            hint="install it, or put the files in a folder and name that with --from",
        )

    def watch(line: str) -> None:
        match = _PROGRESS.fullmatch(line)
        if match:
            reporter.progress(int(match[1]), int(match[2]))

    return run_command(
        [
            *(sys.executable, "-m", "pip", command, "--no-deps", "--only-binary=:all:"),
            *("--platform", "win_amd64", "--python-version", python, "--disable-pip-version-check"),
            *("--progress-bar", _progress_bar(), *arguments),
        ],
        timeout=TIMEOUT,
        on_line=watch,
    )


def _progress_bar() -> str:
    """The kind of progress report that a program can read, where this pip has it."""
    from importlib.metadata import version

    parts = version("pip").split(".")
    known = len(parts) >= 2 and parts[0].isdigit() and parts[1].isdigit()
    return "raw" if known and (int(parts[0]), int(parts[1])) >= _RAW_PROGRESS_SINCE else "off"
