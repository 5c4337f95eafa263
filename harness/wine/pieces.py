"""What the prefix is made of, and how each file is recognised.

The wheels are pinned by SHA-256. The two Debian packages are not: Debian may still replace them by a security
update, and apt checks the archive's signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.wine.archives import check_deb, check_zip
from harness.wine.errors import DownloadError

__all__ = [
    *("BOOKWORM", "BULLSEYE", "DEBS", "IMPORT_PYKD", "PYKD", "PYTHON", "WHEELS"),
    *("Deb", "Pieces", "DebianRelease", "Wheel", "drop_damaged", "find_files", "find_pieces"),
]


@dataclass(frozen=True)
class DebianRelease:
    """A release of Debian, for the sake of the standard library that it carries."""

    suite: str
    number: int
    python: str
    """Its CPython: ``3.9``."""


BULLSEYE: Final = DebianRelease("bullseye", 11, "3.9")
BOOKWORM: Final = DebianRelease("bookworm", 12, "3.11")


@dataclass(frozen=True)
class Wheel:
    """A wheel from PyPI, for 64-bit Windows."""

    requirement: str
    """As pip takes it, exact."""
    filename: str
    sha256: str
    pattern: str
    """File names (glob) that will do when a user brings the file along."""
    purpose: str
    python: str = "3.9"
    """The CPython that it is for."""

    def check(self, path: Path) -> None:
        """Raises :class:`DownloadError` unless ``path`` is a whole wheel, and this one if so named."""
        if path.name == self.filename:
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise DownloadError(f"{path} cannot be read: {error.strerror}") from error
            if digest != self.sha256:
                raise DownloadError(
                    f"{path.name} is damaged or cut off: SHA-256 {digest[:16]}..., not {self.sha256[:16]}...",
                    hint="remove it and run the setup again",
                )
        else:
            check_zip(path)


@dataclass(frozen=True)
class Deb:
    """A package of Debian, with a part of the standard library of the release's CPython."""

    package: str
    purpose: str
    release: DebianRelease = BULLSEYE

    @property
    def pattern(self) -> str:
        return f"{self.package}_{self.release.python}.*_amd64.deb"

    def check(self, path: Path) -> None:
        """Raises :class:`DownloadError` unless ``path`` is a whole Debian package."""
        check_deb(path)


PYKD: Final = Wheel(
    requirement="pykd==0.3.4.15",
    filename="pykd-0.3.4.15-cp39-none-win_amd64.whl",
    sha256="7ba793faff3bc0082075f4f97c229b5c8bcecfb6c3e2895d30a8dbb2b7062040",
    pattern="pykd-0.3.4.*-cp39-*-win_amd64.whl",
    purpose="pykd and Microsoft's DbgEng",
)
PYTHON: Final = Wheel(
    requirement="panda3d==1.10.16",
    filename="panda3d-1.10.16-cp39-cp39-win_amd64.whl",
    sha256="11e5f1cd734827ca7925eaab993aaa06c9ac3e0b4d933fd44a99f048803702a1",
    pattern="panda3d-1.10.*-cp39-cp39-win_amd64.whl",
    purpose="CPython 3.9 for Windows (python39.dll and its modules)",
)
WHEELS: Final = (PYKD, PYTHON)
IMPORT_PYKD: Final = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; import importlib.util, json, os; "
    "d = os.path.dirname(importlib.util.find_spec('pykd').origin); "
    "os.environ['PATH'] = d + os.pathsep + os.environ.get('PATH', ''); "
    "getattr(os, 'add_dll_directory', len)(d); import pykd; pykd.initialize(); "
    "print(json.dumps({'python': sys.version.split()[0], 'pykd': pykd.__version__})); "
    "sys.stdout.flush(); os._exit(0)"
)
"""A script that proves that pykd can be imported, on Windows and under Wine; its last line is the versions.

It loads pykd as the worker does (worker/pykd_engine.py): the DLLs beside it are DbgEng's. It does not end by
returning: pykd's destructors have no say in whether it could be imported.
"""
DEBS: Final = (
    Deb("libpython3.9-minimal", "Python's standard library, the core"),
    Deb("libpython3.9-stdlib", "Python's standard library, the rest"),
)


@dataclass(frozen=True)
class Pieces:
    """The files, found and checked."""

    pykd: Path
    python: Path
    library: tuple[Path, ...]

    def fingerprint(self, paths: Iterable[Path]) -> str:
        """Names and sizes of some of them: changes when one is replaced by another version."""
        return ",".join(f"{path.name}:{path.stat().st_size}" for path in paths)


def find_files(
    wanted: Iterable[Wheel | Deb], folder: Path
) -> tuple[dict[Wheel | Deb, Path], list[Wheel | Deb]]:
    """Look for ``wanted`` in ``folder``: the files, and what is missing.

    :raises DownloadError: a file is there but damaged.
    """
    found: dict[Wheel | Deb, Path] = {}
    missing: list[Wheel | Deb] = []
    for piece in wanted:
        candidates = sorted(folder.glob(piece.pattern)) if folder.is_dir() else []
        if candidates:
            piece.check(candidates[-1])
            found[piece] = candidates[-1]
        else:
            missing.append(piece)
    return found, missing


def drop_damaged(wanted: Iterable[Wheel | Deb], folder: Path) -> None:
    """Remove from ``folder`` what an earlier download left half finished."""
    for piece in wanted:
        for path in folder.glob(piece.pattern):
            try:
                piece.check(path)
            except DownloadError:
                path.unlink()


def find_pieces(folder: Path) -> tuple[Pieces | None, list[Wheel | Deb]]:
    """Look for the files in ``folder``; the pieces if all are there, and those that are missing.

    :raises DownloadError: a file is there but damaged.
    """
    found, missing = find_files((*WHEELS, *DEBS), folder)
    if missing:
        return None, missing
    return Pieces(found[PYKD], found[PYTHON], tuple(found[deb] for deb in DEBS)), []
