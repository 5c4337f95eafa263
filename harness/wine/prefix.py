"""Where the prefix lies and how a Windows program is started in it.

::

    <cache>/wine/
      prefix/       WINEPREFIX; its drive C: has a link "procnotify" to the folder below
      python/       python.exe, python39.dll, mscoree.dll, DLLs/, Lib/, site-packages/pykd/, worker-.../
      downloads/    what setup fetched; gone once the setup is complete
      stamps/       one file a finished stage
      in-use        locked: shared by every debugger at work, alone by whoever ends or replaces what runs

There is no drive Z: and no link to the user's home: a program in the prefix sees the prefix. That is a second
fence around a debugger that talks to targets nobody trusts, not the first one: Wine is no sandbox.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import IO, ClassVar, Final

from harness.resources import cache_dir
from harness.wine.command import run_command
from harness.wine.errors import PrefixError, WineMissing, one_line_errors

__all__ = ["PYTHON_HOME", "WinePrefix", "find_wine", "find_wineserver"]

PYTHON_HOME: Final = "C:\\procnotify"
"""The folder ``python/`` as programs in the prefix see it."""

END_SECONDS: Final = 30.0
"""For the programs in the prefix to end."""

_LOADERS: Final = ("wine64", "wine", "/usr/lib/wine/wine64", "/opt/wine-stable/bin/wine")
_SERVERS: Final = ("wineserver", "wineserver64")
_DEBIAN: Final = Path("/usr/lib/wine")
"""Where Debian's /usr/bin/wine, a shell script, has the programs."""


def find_wine() -> Path:
    """The Wine loader: ``$PROCNOTIFY_WINE``, or the first one found.

    :raises WineMissing: there is none.
    """
    configured = os.environ.get("PROCNOTIFY_WINE")
    for candidate in (configured,) if configured else _LOADERS:
        found = shutil.which(candidate)
        if found:
            return Path(found).absolute()
    if configured:
        raise WineMissing(
            f"PROCNOTIFY_WINE names {configured}, which is no program",
            hint="it takes the path of a Wine loader; unset it to have one looked for",
        )
    raise WineMissing(
        "Wine is not installed",
        hint="on Debian and Ubuntu: apt-get install --no-install-recommends wine wine64",
    )


def find_wineserver(wine: Path) -> Path:
    """The server that belongs to the loader ``wine``: two Wines may speak different protocols.

    :raises PrefixError: there is none.
    """
    loader = wine.resolve()
    folders = [wine.parent, loader.parent]
    with contextlib.suppress(OSError), loader.open("rb") as file:
        start = file.read(4096)
        if start.startswith(b"#!") and bytes(_DEBIAN) in start:
            folders.append(_DEBIAN)
    for path in (*map(str, folders), None):
        for name in _SERVERS:
            found = shutil.which(name, path=path)
            if found:
                return Path(found).absolute()
    raise PrefixError(
        f"{wine} has no wineserver beside it, and there is none in PATH",
        hint="install the whole of Wine (Debian: wine64), or name another one in PROCNOTIFY_WINE",
    )


class WinePrefix:
    """The prefix in one folder.

    :param root: the folder; by default ``wine`` in the user's cache.
    :raises PrefixError: the cache cannot be written to.
    """

    home: ClassVar = PYTHON_HOME
    drives: ClassVar[tuple[str, ...]] = ("c:",)
    """What programs in the prefix have of the host's files."""
    dlls: ClassVar = "dbgeng,dbghelp,dbgmodel,symsrv,srcsrv,mscoree=n"
    """Wine's own DbgEng and its relatives are stubs; the ones that pykd brings along are to be loaded."""

    def __init__(self, root: Path | None = None) -> None:
        with one_line_errors():
            # Wine takes only an absolute path.
            self.root: Final = (root if root is not None else cache_dir("wine")).absolute()
        self.prefix: Final = self.root / "prefix"
        self.python: Final = self.root / "python"
        self.downloads: Final = self.root / "downloads"
        self.stamps: Final = self.root / "stamps"

    @property
    def complete(self) -> bool:
        """Whether ``procnotify wine setup`` once ran to its end here."""
        return (self.stamps / "verified").is_file() and (self.python / "python.exe").is_file()

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """``base`` with what Wine and the Windows Python need, without the host Python's own settings."""
        return self.wine_environment(base) | {
            "PYTHONHOME": PYTHON_HOME,
            "PYTHONPATH": ";".join(f"{PYTHON_HOME}\\{part}" for part in ("DLLs", "Lib", "site-packages")),
            "PYTHONUTF8": "1",
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def wine_environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """``base`` with what Wine needs, without the host's own settings for Wine and Python."""
        kept = {
            name: value
            for name, value in base.items()
            if not name.startswith(("PYTHON", "WINE", "LC_")) and name not in ("DISPLAY", "WAYLAND_DISPLAY")
        }
        return kept | {
            "WINEPREFIX": str(self.prefix),
            "WINEARCH": "win64",
            # A single-byte ANSI code page, whatever the language: DbgEng reads prints in it without loss.
            "LC_ALL": "C.UTF-8",
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": f"{self.dlls};winemenubuilder.exe=d",
        }

    def use(self) -> IO[bytes]:
        """Keep the prefix from being ended or replaced until what this gives is closed, or this process dies.

        :raises PrefixError: somebody is at it for longer than that usually takes.
        """
        deadline = monotonic() + END_SECONDS
        while (lock := self._lock(alone=False)) is None:
            if monotonic() > deadline:
                raise PrefixError(
                    f"another process ends or replaces what runs in {self.root}", hint="wait for its end"
                )
            sleep(0.05)
        return lock

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While the block runs no debugger is at work in the prefix, and none begins.

        :raises PrefixError: one is.
        """
        lock = self._lock(alone=True)
        if lock is None:
            raise PrefixError(f"a debugger is at work in {self.root}", hint="wait for its end")
        with lock:
            yield

    def _lock(self, *, alone: bool) -> IO[bytes] | None:
        """None: others have it. Children do not inherit it: Python's files are closed in them."""
        if sys.platform == "win32":
            raise PrefixError("there is no Wine on Windows", hint="pykd runs there without it")
        import fcntl

        with one_line_errors():
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / "in-use").open("ab")
            try:
                fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return None
        return file

    def end_programs(self) -> None:
        """End what runs in the prefix, first gently, then by force (that is what ``-k`` means).

        Whoever calls it has the prefix :meth:`alone`.

        :raises WineMissing: there is no Wine.
        :raises PrefixError: there is no server that could do it, or it failed.
        """
        if not self.prefix.is_dir():
            return
        server = str(find_wineserver(find_wine()))
        with one_line_errors():
            done = run_command([server, "-k"], timeout=END_SECONDS, environment=self.environment(os.environ))
        # 1 without a word: there was nothing to end.
        if done.code not in (0, 1) or (done.code == 1 and done.output.strip()):
            raise PrefixError(
                f"what runs in {self.prefix} could not be ended: {server} -k: {done.why()}",
                hint="end the Windows programs there by hand, then repeat the command",
            )

    def python_command(self, *arguments: str) -> list[str]:
        """The command line of the prefix's Python; needs :meth:`environment`, and pipes for its streams.

        :raises WineMissing: there is no Wine.
        """
        return [str(find_wine()), f"{self.home}\\python.exe", *arguments]
