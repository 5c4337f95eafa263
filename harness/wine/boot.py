"""Create the prefix itself: Wine's own boot, and what a program in it may see of the host."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from harness.wine.command import run_command
from harness.wine.errors import PrefixError, WineMissing
from harness.wine.prefix import WinePrefix, find_wineserver
from harness.wine.report import Reporter

__all__ = ["make_prefix", "wine_version"]

BOOT_TIMEOUT: Final = 300.0
ANSWER_TIMEOUT: Final = 120.0


def wine_version(wine: Path) -> str:
    """What the loader says of itself.

    :raises WineMissing: it cannot be started.
    """
    try:
        return run_command([str(wine), "--version"], timeout=ANSWER_TIMEOUT).last_line()
    except OSError as error:
        raise WineMissing(f"{wine} cannot be started: {error.strerror}") from error


def make_prefix(prefix: WinePrefix, wine: Path, reporter: Reporter) -> None:
    """Create the prefix anew. Whoever calls it has it :meth:`~harness.wine.prefix.WinePrefix.alone`.

    :raises PrefixError: Wine failed.
    """
    reporter.step("creating the Wine prefix")
    server = str(find_wineserver(wine))
    prefix.end_programs()
    shutil.rmtree(prefix.prefix, ignore_errors=True)
    prefix.prefix.mkdir(parents=True)
    environment = prefix.environment(os.environ)
    # Without these Wine would offer to download Mono and Gecko, in a window.
    environment["WINEDLLOVERRIDES"] = "mscoree,mshtml=;winemenubuilder.exe=d"
    booted = run_command([str(wine), "wineboot", "-i"], timeout=BOOT_TIMEOUT, environment=environment)
    # The server writes the registry when it ends.
    waited = run_command([server, "-w"], timeout=BOOT_TIMEOUT, environment=environment)
    if booted.code != 0 or waited.code != 0 or not (prefix.prefix / "system.reg").is_file():
        failed = waited if booted.code == 0 and waited.code != 0 else booted
        raise PrefixError(
            f"Wine could not create its prefix in {prefix.prefix}: {failed.why()}",
            hint="is the 64-bit Wine installed (Debian: wine64), and is there 1 GB of disk space?",
        )
    _fence(prefix)


def _fence(prefix: WinePrefix) -> None:
    """Leave the prefix its drives alone, without links to the user's folders, and with the Python in C:."""
    for link in (prefix.prefix / "dosdevices").iterdir():
        if link.name not in prefix.drives:
            link.unlink()
    drive = prefix.prefix / "drive_c"
    for folder, names, files in os.walk(drive / "users"):
        # A link to what is not there yet counts as a file.
        for path in (Path(folder) / name for name in (*names, *files)):
            if path.is_symlink():
                path.unlink()
                path.mkdir()
    (drive / prefix.home.rpartition("\\")[2]).symlink_to(
        Path("..", "..", prefix.python.name), target_is_directory=True
    )
