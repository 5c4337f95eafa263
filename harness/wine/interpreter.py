"""The files of a Windows Python, out of the pieces: its binaries from a wheel, its library from Debian."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from harness.wine.archives import Rename, unpack_deb, unpack_zip
from harness.wine.errors import DownloadError
from harness.wine.prefix import WinePrefix
from harness.wine.stages import fresh

__all__ = ["unpack_interpreter"]

_DLLS: Final = ("libffi", "libcrypto", "libssl", "sqlite3")
"""What the standard library's modules load."""


def unpack_interpreter(prefix: WinePrefix, version: str, wheel: Path, library: Iterable[Path]) -> None:
    """Fill the prefix's ``DLLs`` and ``Lib``, and put Python's DLL beside them.

    :param version: the CPython that the files are of: ``3.9``.
    :raises DownloadError: a file is damaged or lacks the interpreter.
    """
    dll = f"python{version.replace('.', '')}.dll"
    with fresh(prefix.python / "DLLs") as folder:
        unpack_zip(wheel, folder, _binary(dll))
        if not (folder / dll).is_file():
            raise DownloadError(f"{wheel.name} holds no deploy_libs/{dll}")
    with fresh(prefix.python / "Lib") as folder:
        for deb in library:
            unpack_deb(deb, folder, _library_module(version))
    # Beside python.exe, where it is looked for first.
    (prefix.python / "DLLs" / dll).replace(prefix.python / dll)


def _binary(dll: str) -> Rename:
    """Python's own binaries; the wheel's other contents and the C runtime, which Wine has, are left out."""

    def rename(name: PurePosixPath) -> PurePosixPath | None:
        wanted = name.parent == PurePosixPath("deploy_libs") and (
            name.suffix == ".pyd" or name.name == dll or name.name.startswith(_DLLS)
        )
        return PurePosixPath(name.name) if wanted else None

    return rename


def _library_module(version: str) -> Rename:
    """The Python files of the standard library; Linux binaries are left out."""

    def rename(name: PurePosixPath) -> PurePosixPath | None:
        parts = [part for part in name.parts if part != "."]
        if parts[:3] != ["usr", "lib", f"python{version}"] or name.suffix != ".py":
            return None
        return PurePosixPath(*parts[3:])

    return rename
