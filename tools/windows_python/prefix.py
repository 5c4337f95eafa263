"""Where the Windows Python lies and how it is started."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import ClassVar, Final

from harness.errors import RigError
from harness.resources import cache_dir
from harness.wine.errors import one_line_errors
from harness.wine.prefix import WinePrefix

__all__ = ["ROOT", "WindowsPython", "windows_path"]

ROOT: Final = Path(__file__).resolve().parent.parent.parent
"""The checkout that is tried."""
PROJECT: Final = "procnotify"
_METADATA: Final = ("METADATA", "entry_points.txt")


def windows_path(path: Path) -> str:
    """``path`` of this machine as a program in the prefix sees it."""
    return "Z:" + str(path.absolute()).replace("/", "\\")


class WindowsPython(WinePrefix):
    """The prefix in one folder; below ``python/`` it has what a python.org installation has.

    :param root: the folder; by default ``windows-python`` in the user's cache.
    :raises harness.wine.errors.PrefixError: the cache cannot be written to.
    """

    home: ClassVar = "C:\\Python311"
    drives: ClassVar[tuple[str, ...]] = ("c:", "z:")
    dlls: ClassVar = "dbgeng,dbgmodel,symsrv,srcsrv,mscoree=n;dbghelp=n,b"
    """Of dbghelp there is Wine's own, too, as Windows has one of its own besides the one that pykd brings."""

    def __init__(self, root: Path | None = None) -> None:
        with one_line_errors():
            super().__init__(root if root is not None else cache_dir("windows-python"))

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """``base`` with what Wine needs, without what names the host's own programs."""
        kept = self.wine_environment(base)
        kept.pop("PROCNOTIFY_WINE", None)
        # Beside the sources Linux's own Python keeps what it compiled, with the paths as they are there.
        return kept | {"PYTHONPYCACHEPREFIX": "C:\\pycache", "PYTHONNOUSERSITE": "1"}

    def project_environment(self, base: Mapping[str, str], root: Path = ROOT) -> dict[str, str]:
        """:meth:`environment`, and the project is installed: the checkout ``root`` itself, not a copy.

        :raises RigError: the project is not installed in the Python that runs this.
        """
        paths = (windows_path(root), windows_path(self._metadata()))
        return self.environment(base) | {"PYTHONPATH": ";".join(paths)}

    def _metadata(self) -> Path:
        """A folder with the project's metadata: its version, and what pytest finds it by."""
        try:
            installed = distribution(PROJECT)
        except PackageNotFoundError:
            raise RigError(
                f"{PROJECT} is not installed in this Python, so that its metadata are unknown",
                hint="pip install -e .",
            ) from None
        texts = {name: installed.read_text(name) or "" for name in _METADATA}
        name = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()[:16]
        folder = self.root / "projects" / name / f"{PROJECT}-{installed.version}.dist-info"
        with one_line_errors():
            folder.mkdir(parents=True, exist_ok=True)
            for file, text in texts.items():
                (folder / file).write_text(text, encoding="utf-8", newline="\n")
        return folder.parent
