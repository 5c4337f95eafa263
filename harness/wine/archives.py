"""Take files out of what the registries hold: wheels (zip) and Debian packages (ar + tar.xz).

Both come from outside and are not trusted: nothing is written outside the destination, no link is followed,
and the sizes are limited.
"""

from __future__ import annotations

import io
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

from harness.wine.errors import DownloadError, one_line_errors

__all__ = ["check_deb", "check_zip", "unpack_deb", "unpack_zip"]

MAX_FILE: Final = 64 * 1024 * 1024
"""The largest file that is needed, pykd.pyd, has 17 MB."""
MAX_FILES: Final = 20_000
MAX_TOTAL: Final = 512 * 1024 * 1024
"""The largest archive, Panda3D's wheel, has 190 MB unpacked."""
MAX_MEMORY: Final = 256 * 1024 * 1024
"""What the decoder of a package may take; the largest preset of xz needs 65 MB."""

_AR_MAGIC: Final = b"!<arch>\n"
_AR_HEADER: Final = 60
_CHUNK: Final = 64 * 1024
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What wheels are packed with; Python expands the other methods without any bound on the memory."""
_ENCRYPTED: Final = 0x1
_MAX_PATH: Final = 255

_BROKEN: Final = (
    *(OSError, EOFError, ValueError, RuntimeError, ArithmeticError, LookupError),
    *(struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError),
)
"""What the standard library raises over a damaged archive, beyond what it documents: an encrypted file is a
RuntimeError, a chain of long names a RecursionError, a wrong number a ValueError or OverflowError."""

Rename = Callable[[PurePosixPath], PurePosixPath | None]
"""Path in the archive → path below the destination, or None to leave it out."""


def check_zip(path: Path) -> None:
    """Read the whole archive against its checksums.

    :raises DownloadError: it is damaged, cut off or beyond the limits.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for info in _zip_members(path, archive):
                with archive.open(info) as source:
                    while source.read(_CHUNK):
                        pass
    except _BROKEN as error:
        raise _damaged(path, _why(error)) from error


def unpack_zip(path: Path, destination: Path, rename: Rename) -> int:
    """Write the files that ``rename`` names; how many there were.

    :raises DownloadError: damaged, or beyond the limits.
    :raises PrefixError: a file could not be written.
    """
    count = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for info in _zip_members(path, archive):
                name = None if info.is_dir() else rename(PurePosixPath(info.filename))
                if name is not None:
                    with archive.open(info) as source:
                        _write(source, destination, name, path)
                    count += 1
    except _BROKEN as error:
        raise _damaged(path, _why(error)) from error
    return count


def _zip_members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MAX_FILES or sum(info.file_size for info in members) > MAX_TOTAL:
        raise _damaged(path, "it is beyond the limits")
    for info in members:
        if info.file_size > MAX_FILE:
            raise _damaged(path, f"{info.filename} is {info.file_size} bytes long")
        if info.compress_type not in _METHODS or info.flag_bits & _ENCRYPTED:
            raise _damaged(path, f"{info.filename} is encrypted or not packed as in a wheel")
    return members


def check_deb(path: Path) -> None:
    """Read the whole package, whose compressed part carries checksums.

    :raises DownloadError: it is damaged or cut off.
    """
    unpack_deb(path, path.parent, lambda name: None)


def unpack_deb(path: Path, destination: Path, rename: Rename) -> int:
    """Write the regular files of a Debian package that ``rename`` names; how many there were.

    :raises DownloadError: not a Debian package with xz data, damaged, or beyond the limits.
    :raises PrefixError: a file could not be written.
    """
    count = 0
    try:
        with path.open("rb") as file:
            data = _Expanded(file, _seek_member(file, path, b"data.tar.xz"))
            with tarfile.open(fileobj=data, mode="r|") as archive:
                for number, member in enumerate(archive):
                    if number >= MAX_FILES or member.size > MAX_FILE:
                        raise _damaged(path, f"{member.name} is beyond the limits")
                    name = rename(PurePosixPath(member.name)) if member.isreg() else None
                    source = archive.extractfile(member) if name is not None else None
                    if name is not None and source is not None:
                        _write(source, destination, name, path)
                        count += 1
            data.finish()
    except _BROKEN as error:
        raise _damaged(path, _why(error)) from error
    return count


class _Expanded(io.BufferedIOBase):
    """The contents of a member of ``length`` bytes, decompressed piece by piece, for :mod:`tarfile` to read.

    tarfile's own decompression stops at the archive's last entry, before the checksum at the end of the data,
    and takes data that was cut off between two entries for a whole archive.
    """

    def __init__(self, file: IO[bytes], length: int) -> None:
        super().__init__()
        self._file = file
        self._left = length
        self._total = 0
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY)

    def read(self, size: int | None = -1, /) -> bytes:
        """``size`` bytes, fewer only at the end."""
        if size is None or size < 0:
            raise io.UnsupportedOperation("a package is not read as a whole")
        pieces = []
        while size > 0 and not self._decoder.eof:
            packed = b""
            if self._decoder.needs_input:
                packed = self._file.read(min(_CHUNK, self._left))
                if not packed:
                    raise EOFError("its data ends too early")
                self._left -= len(packed)
            piece = self._decoder.decompress(packed, max_length=size)
            pieces.append(piece)
            size -= len(piece)
            self._total += len(piece)
            if self._total > MAX_TOTAL:
                raise ValueError(f"it holds more than {MAX_TOTAL} bytes")
        return b"".join(pieces)

    def finish(self) -> None:
        """Read on to the checksums at the end."""
        while self.read(_CHUNK):
            pass
        if self._left or self._decoder.unused_data:
            raise ValueError("there is more behind its data")


def _seek_member(file: IO[bytes], path: Path, wanted: bytes) -> int:
    """Go to the contents of one member of an ar archive; how long they are."""
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise _damaged(path, "it does not begin as a Debian package")
    while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
        size = header[48:58].strip()
        if not size.isdigit():
            break
        if header[:16].rstrip().rstrip(b"/") == wanted:
            return int(size)
        file.seek(int(size) + int(size) % 2, 1)
    raise _damaged(path, f"it has no {wanted.decode()}")


def _write(source: IO[bytes], destination: Path, name: PurePosixPath, archive: Path) -> None:
    """Copy one file; what fails while reading is the archive's fault, while writing it is the disk's."""
    if name.is_absolute() or ".." in name.parts or not name.parts or set(str(name)) & set("\\:\0"):
        raise _damaged(archive, f"the path {name} leads out of it")
    if len(os.fsencode(name)) > _MAX_PATH:
        raise _damaged(archive, f"the path {str(name)[:40]}... is too long")
    target = destination / name
    if target.exists() or any((destination / folder).is_file() for folder in name.parents):
        raise _damaged(archive, f"another file is in the place of {name}")
    with one_line_errors():
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("wb")
    with one_line_errors(), file:
        for piece in _pieces(source, archive):
            file.write(piece)


def _pieces(source: IO[bytes], archive: Path) -> Iterator[bytes]:
    try:
        while piece := source.read(_CHUNK):
            yield piece
    except _BROKEN as error:
        raise _damaged(archive, _why(error)) from error


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _damaged(path: Path, why: str) -> DownloadError:
    # Names in an archive may hold anything, line ends and control characters of a terminal too.
    shown = "".join(char if char.isprintable() else "?" for char in why)
    return DownloadError(
        f"{path.name} is damaged or cut off: {shown}", hint="remove it and run the setup again"
    )
