"""Take files out of what the registries hold: wheels (zip) and Debian packages (ar + tar.xz).

Both come from outside and are not trusted: nothing is written outside the destination, no link is followed,
and the sizes are limited.
"""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Final

from harness.wine.errors import DownloadError

__all__ = ["check_deb", "check_zip", "unpack_deb", "unpack_zip"]

MAX_FILE: Final = 64 * 1024 * 1024
"""The largest file that is needed, pykd.pyd, has 17 MB."""
MAX_FILES: Final = 20_000

_AR_MAGIC: Final = b"!<arch>\n"
_AR_HEADER: Final = 60

Rename = Callable[[PurePosixPath], PurePosixPath | None]
"""Path in the archive → path below the destination, or None to leave it out."""


def check_zip(path: Path) -> None:
    """Read the whole archive against its checksums.

    :raises DownloadError: it is damaged or cut off.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, zipfile.BadZipFile, EOFError, lzma.LZMAError) as error:
        raise _damaged(path, str(error)) from error
    if damaged is not None:
        raise _damaged(path, f"{damaged} has a wrong checksum")


def unpack_zip(path: Path, destination: Path, rename: Rename) -> int:
    """Write the files that ``rename`` names; how many there were.

    :raises DownloadError: damaged, or beyond the limits.
    """
    count = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = None if info.is_dir() else rename(PurePosixPath(info.filename))
                if name is None:
                    continue
                if info.file_size > MAX_FILE:
                    raise _damaged(path, f"{info.filename} is {info.file_size} bytes long")
                with archive.open(info) as source:
                    _write(source, destination, name, path)
                count += 1
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise _damaged(path, str(error)) from error
    return count


def check_deb(path: Path) -> None:
    """Read the whole package, whose compressed part carries checksums.

    :raises DownloadError: it is damaged or cut off.
    """
    unpack_deb(path, path.parent, lambda name: None)


def unpack_deb(path: Path, destination: Path, rename: Rename) -> int:
    """Write the regular files of a Debian package that ``rename`` names; how many there were.

    :raises DownloadError: not a Debian package with xz data, damaged, or beyond the limits.
    """
    count = 0
    try:
        with path.open("rb") as file:
            _seek_member(file, path, b"data.tar.xz")
            with tarfile.open(fileobj=file, mode="r|xz") as archive:
                for number, member in enumerate(archive):
                    if number > MAX_FILES or member.size > MAX_FILE:
                        raise _damaged(path, f"{member.name} is beyond the limits")
                    name = rename(PurePosixPath(member.name)) if member.isreg() else None
                    source = archive.extractfile(member) if name is not None else None
                    if name is not None and source is not None:
                        _write(source, destination, name, path)
                        count += 1
    except (OSError, tarfile.TarError, EOFError, lzma.LZMAError) as error:
        raise _damaged(path, str(error)) from error
    return count


def _seek_member(file: IO[bytes], path: Path, wanted: bytes) -> None:
    """Go to the contents of one member of an ar archive."""
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise _damaged(path, "it does not begin as a Debian package")
    while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
        if header[:16].rstrip().rstrip(b"/") == wanted:
            return
        size = header[48:58].strip()
        if not size.isdigit():
            break
        file.seek(int(size) + int(size) % 2, 1)
    raise _damaged(path, f"it has no {wanted.decode()}")


def _write(source: IO[bytes], destination: Path, name: PurePosixPath, archive: Path) -> None:
    if name.is_absolute() or ".." in name.parts or "\\" in str(name):
        raise _damaged(archive, f"the path {name} leads out of it")
    target = destination / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _damaged(path: Path, why: str) -> DownloadError:
    return DownloadError(
        f"{path.name} is damaged or cut off: {why}", hint="remove it and run the setup again"
    )
