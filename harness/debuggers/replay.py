"""A recorded serial session as a source of bytes: what the target sent then, sent again.

The file is JSON Lines, one chunk a line: ``t`` seconds since the beginning, ``d`` ``rx`` (from the target) or
``tx`` (to it), ``b`` the bytes in hexadecimal; xz- and gzip-compressed files are read as they are. A
recording of received bytes alone (``.bin``) is one chunk.
"""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from harness.errors import TraceError

__all__ = ["MAX_CHUNK", "Chunk", "read_chunks"]

MAX_CHUNK: Final = 1 << 24
"""Characters of one line of a recording, or bytes of a ``.bin``."""


class Chunk(NamedTuple):
    """Bytes that passed the line in one piece."""

    time: float
    """Seconds since the recording began."""
    from_target: bool
    data: bytes


def read_chunks(path: Path) -> Iterator[Chunk]:
    """The chunks of a recording, in order.

    :raises TraceError: the file is cut off, damaged, or no recording; with the line.
    :raises OSError: it cannot be read.
    """
    with _open(path) as file:
        try:
            if ".bin" in path.suffixes:
                yield Chunk(0.0, True, file.read(MAX_CHUNK))
                return
            number = 0
            while line := file.readline(MAX_CHUNK):
                number += 1
                yield _chunk(path, number, line)
        except (EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise TraceError(f"{path} is damaged: {error}", hint="record it again") from None


def _open(path: Path) -> IO[bytes]:
    match path.suffix:
        case ".xz":
            return cast(IO[bytes], lzma.open(path, "rb"))
        case ".gz":
            return cast(IO[bytes], gzip.open(path, "rb"))
        case _:
            return path.open("rb")


def _chunk(path: Path, number: int, line: bytes) -> Chunk:
    try:
        fields = json.loads(line)
        direction = fields["d"]
        chunk = Chunk(float(fields["t"]), direction == "rx", bytes.fromhex(fields["b"]))
    except (ValueError, KeyError, TypeError) as error:
        raise TraceError(
            f"{path}:{number}: no chunk of a serial recording ({error})",
            hint='a line is {"t": seconds, "d": "rx" or "tx", "b": hex}',
        ) from None
    if direction not in ("rx", "tx"):
        raise TraceError(f"{path}:{number}: direction {direction!r}, expected rx or tx")
    return chunk
