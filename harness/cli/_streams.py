"""Standard output and standard error that take whatever is written to them.

A reader that has gone away (``| head``), a full disk and an encoding without a character must not turn one
verdict into another, so a failure is noted, the rest is dropped, and the command goes on to its end.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["StandardStreams"]


class _Guarded(io.RawIOBase):
    """A raw stream whose first failure is kept and whose later output is dropped."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.failure: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        size = memoryview(data).nbytes
        while self.failure is None:
            try:
                written = self._raw.write(data)
            except OSError as error:
                self.failure = error
                break
            if written is not None:
                return written
            select.select([], [self._raw.fileno()], [])  # somebody set it to non-blocking, and it is full
        return size

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()


class StandardStreams:
    """Puts the guard before ``sys.stdout`` and ``sys.stderr``.

    Streams that are no files (a test's) only learn to write what their encoding lacks as an escape; ones
    that were closed become the null device.
    """

    def __init__(self) -> None:
        self._guards: dict[str, _Guarded] = {}
        sys.stdout = self._guard("stdout", sys.stdout)
        sys.stderr = self._guard("stderr", sys.stderr)

    def finish(self) -> str:
        """Write what is left. In words why standard output did not get everything; empty when it did, or
        when its reader has gone away and so does not want it."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        guard = self._guards.get("stdout")
        failure = guard.failure if guard is not None else None
        if failure is None or _reader_went(failure):
            return ""
        return f"standard output cannot be written: {failure.strerror}"

    def _guard(self, name: str, stream: TextIO | None) -> TextIO:
        if stream is None:
            return Path(os.devnull).open("w", encoding="utf-8", newline=None)
        if not isinstance(stream, io.TextIOWrapper):
            return stream
        raw = getattr(stream.buffer, "raw", stream.buffer)  # unbuffered, they are one
        if not isinstance(raw, io.RawIOBase):
            stream.reconfigure(errors="backslashreplace")
            return stream
        stream.flush()
        guard = self._guards[name] = _Guarded(raw)
        return io.TextIOWrapper(
            io.BufferedWriter(guard),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering or stream.write_through,
            newline=None,
        )


def _reader_went(failure: OSError) -> bool:
    # Windows reports the closed end of a pipe as an invalid argument.
    return isinstance(failure, BrokenPipeError) or (sys.platform == "win32" and failure.errno == errno.EINVAL)
