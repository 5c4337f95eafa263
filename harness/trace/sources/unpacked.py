"""A file's bytes, unpacked where it is compressed, as a stream whose memory does not grow with its length."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, cast

from harness.trace.sources.imported import Damaged

__all__ = ["MAX_DICTIONARY", "MAX_UNPACKED", "compression_of", "open_unpacked"]

MAX_UNPACKED: Final = 64 << 30
"""Bytes that a compressed file may unpack to; a few kilobytes can be made to unpack to any number of them."""

MAX_DICTIONARY: Final = 160 << 20
"""Bytes of memory that unpacking may take; ``xz -9`` asks for 65 MiB, the format allows 4 GiB."""

_PIECE: Final = 1 << 16
_MAGIC: Final = ((b"\x1f\x8b\x08", "gzip"), (b"\xfd7zXZ\x00", "xz"))


class _Decompressor(Protocol):
    """What the two have in common once they are wrapped."""

    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._rest = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._inner.decompress(self._rest + data, max_length)
        self._rest = self._inner.unconsumed_tail
        return found

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


def _gzip() -> _Decompressor:
    return cast(_Decompressor, _Gzip())


def _xz() -> _Decompressor:
    return cast(_Decompressor, lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MAX_DICTIONARY))


_MAKERS: Final[dict[str, Callable[[], _Decompressor]]] = {"gzip": _gzip, "xz": _xz}


class _Unpacking(io.RawIOBase):
    """The unpacked bytes; several compressed parts in a row are one, as the formats say."""

    def __init__(self, path: Path, file: io.BufferedReader, kind: str) -> None:
        self._path = path
        self._file = file
        self._make = _MAKERS[kind]
        self._kind = kind
        self._part = self._make()
        self._input = b""
        self._left = MAX_UNPACKED

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        data = self._next(min(len(view), _PIECE))
        self._left -= len(data)
        if self._left < 0:
            raise Damaged(
                f"{self._path}: unpacks to more than {MAX_UNPACKED >> 30} GiB", hint="unpack it, and split it"
            )
        view[: len(data)] = data
        return len(data)

    def _next(self, size: int) -> bytes:
        while True:
            if self._part.eof:
                # What follows the last part may be padding.
                self._input = (self._part.unused_data or self._file.read(_PIECE)).lstrip(b"\x00")
                if not self._input:
                    if not self._file.peek(1):
                        return b""
                    self._input = self._file.read(_PIECE)
                    continue
                self._part = self._make()
            try:
                data = self._part.decompress(self._input, size)
            except (lzma.LZMAError, zlib.error) as error:
                raise Damaged(f"{self._path}: damaged: {self._kind} cannot be unpacked: {error}") from None
            self._input = b""
            if data:
                return data
            if not self._part.eof:
                self._input = self._file.read(_PIECE)
                if not self._input:
                    raise Damaged(f"{self._path}: cut off: the {self._kind} data ends before its end")


def compression_of(head: bytes) -> str | None:
    """``gzip`` or ``xz`` where a file that begins so is compressed."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def open_unpacked(path: Path) -> io.BufferedReader:
    """The file's bytes, unpacked where it is compressed by gzip or xz.

    :raises OSError: it cannot be opened. Reading raises :class:`Damaged` where unpacking fails.
    """
    file = path.open("rb")
    kind = compression_of(file.peek(8)[:8])
    if kind is None:
        return file
    return io.BufferedReader(_Unpacking(path, file, kind), _PIECE)
