"""A trace that is being written: its events as they come."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from harness.errors import TraceError
from harness.events import Event
from harness.trace.format import Footer, Header, Record
from harness.trace.reader import MAX_RECORD, TraceReader

__all__ = ["FollowedTrace"]

_CHUNK: Final = 1 << 16
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class FollowedTrace:
    """One pass over a trace file that grows; it ends with the footer.

    :param path: the file; it may not be there yet.
    :param wait: called where there is nothing new: waits a while. What it raises ends the pass.
    :ivar footer: after the pass the footer; before it None.
    :raises TraceError: the file cannot be read, is damaged, became shorter, or is not a trace.
    """

    damage = ""
    """Damage raises an error, and a file without a footer is waited for."""

    def __init__(self, path: Path, wait: Callable[[], None]) -> None:
        self.path = path
        self._wait = wait
        while not self._is_begun():
            wait()
        self.header: Header = TraceReader(path).header
        self.footer: Footer | None = None

    def __iter__(self) -> Iterator[Event]:
        self.footer = None
        index = 0
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(self._lines(file), 1):
                    if number == 1:
                        continue  # the header
                    record = self._record(number, line)
                    if isinstance(record, Footer):
                        self.footer = record
                        return
                    if record.index != index:
                        raise self._error(number, f"event {record.index} stands where {index} is due")
                    index += 1
                    yield record
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be read: {error.strerror}") from None

    def _is_begun(self) -> bool:
        """Whether the header is there, whole."""
        try:
            with self.path.open("rb") as file:
                return file.readline(MAX_RECORD).endswith(b"\n")
        except FileNotFoundError:
            return False
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be read: {error.strerror}") from None

    def _lines(self, file: BinaryIO) -> Iterator[bytes]:
        rest, number = b"", 1
        while True:
            data = file.read(_CHUNK)
            if not data:
                if os.fstat(file.fileno()).st_size < file.tell():
                    raise self._error(
                        number, "the file became shorter", hint="it is written anew: begin again"
                    )
                self._wait()
                continue
            *whole, rest = (rest + data).split(b"\n")
            if len(rest) > MAX_RECORD:
                raise self._error(number, f"a line of more than {MAX_RECORD} bytes")
            number += len(whole)
            yield from whole

    def _record(self, number: int, line: bytes) -> Record:
        try:
            return _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._error(number, f"damaged: {ascii(str(error))[1:-1]}") from None

    def _error(self, number: int, message: str, *, hint: str = "") -> TraceError:
        return TraceError(f"{self.path}:{number}: {message}", hint=hint)
