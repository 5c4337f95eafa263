"""Reading a trace file as a stream; memory does not grow with its length."""

from __future__ import annotations

import os
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from harness.errors import TraceError
from harness.events import Event
from harness.trace.format import FORMAT, Footer, Header, Record

__all__ = ["MAX_RECORD", "TraceReader"]

MAX_RECORD = 4 << 20
"""Bytes of one line; six a character of the longest line, and room for the other fields."""

_CHUNK = 1 << 18
_FOOTER = 1 << 16
"""Bytes at the end of a file in which a footer is looked for before the events are read."""


class TraceReader:
    """One pass over a trace file.

    The header is read at once; ``for event in reader`` gives the events.

    :ivar footer: after an iteration to the end the footer, or None: the file was cut off. Before one, what
        the end of the file looks like, whatever stands before it.
    :raises TraceError: the file cannot be read, is damaged, or is not a trace; with file and line.
    """

    damage = ""
    """Damage raises an error, and a file that was cut off has no footer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = self._read_header()
        self.footer = self._foretell_footer()

    def __iter__(self) -> Iterator[Event]:
        for chunk in self.chunks():
            yield from chunk

    def chunks(self) -> Iterator[list[Event]]:
        """The events in lists of some hundreds: as they come from the file, for whoever is in a hurry. Those
        before a damaged place come before it is said."""
        self.footer = None
        index = 0
        for line, records in self._records():
            if self.footer is not None:
                raise self._error(line, "there is more after the footer")
            footer = records.pop() if isinstance(records[-1], Footer) else None
            events, damage = self._events(records, line, index)
            index += len(events)
            if isinstance(footer, Footer) and damage is None:
                if footer.events == index:
                    self.footer = footer
                else:
                    damage = self._error(
                        line + len(records),
                        f"the footer counts {footer.events} events, the file holds {index}",
                    )
            yield events
            if damage is not None:
                raise damage

    def _events(self, records: list[Record], line: int, index: int) -> tuple[list[Event], TraceError | None]:
        """Those before a record that stands in a wrong place, and what is wrong there."""
        damage = None
        if Footer in map(type, records):
            place = next(n for n, record in enumerate(records) if isinstance(record, Footer))
            damage = self._error(line + place + 1, "there is more after the footer")
            records = records[:place]
        events = cast(list[Event], records)
        found = list(map(_index, events))
        if found != list(range(index, index + len(events))):
            place = next(n for n, number in enumerate(found) if number != index + n)
            damage = self._error(
                line + place, f"event {found[place]} stands where event {index + place} is expected"
            )
            events = events[:place]
        return events, damage

    def _read_header(self) -> Header:
        try:
            with self.path.open("rb") as file:
                first = file.readline(MAX_RECORD)
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be read: {error.strerror}") from error
        hint = "a trace begins with the header that procnotify writes"
        if not first:
            raise self._error(1, "the file is empty", hint=hint)
        try:
            found = msgspec.json.decode(first)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._error(1, f"not a trace: {_quote(first)}", hint=hint) from None
        if not isinstance(found, dict) or found.get("kind") != "header":
            raise self._error(1, f"not a trace: {_quote(first)}", hint=hint)
        version = found.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise self._error(
                1, f"the trace has format {version}, known is {FORMAT}", hint="update procnotify"
            )
        try:
            return msgspec.convert(found, Header)
        except msgspec.ValidationError as error:
            raise self._error(1, f"damaged header: {error}") from None

    def _foretell_footer(self) -> Footer | None:
        try:
            with self.path.open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - _FOOTER, 0))
                line = file.read(_FOOTER).rstrip(b"\n").rpartition(b"\n")[2]
            return _footer_decoder.decode(line)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None  # what is wrong with the file is said where its events are read

    def _records(self) -> Iterator[tuple[int, list[Record]]]:
        """Lists of records, each with the line number of its first; never an empty list."""
        line = 2
        with self.path.open("rb") as file:
            file.readline()
            for block, whole in _blocks(file):
                if len(block) > MAX_RECORD + _CHUNK:
                    raise self._error(line, f"a line of more than {MAX_RECORD} bytes")
                records, damage = self._decode(block, line, whole)
                if records:
                    yield line, records
                if damage is not None:
                    raise damage
                line += block.count(b"\n") + 1

    def _decode(self, block: bytes, line: int, whole: bool) -> tuple[list[Record], TraceError | None]:
        """The records that stand before a damaged line, and what is wrong with it."""
        try:
            return _decoder.decode_lines(block), None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # found again below, with its place
        records: list[Record] = []
        for number, text in enumerate(block.split(b"\n"), line):
            if not text.strip():
                continue  # as decode_lines does
            try:
                records.append(_decoder.decode(text))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                if not whole and not isinstance(error, UnicodeDecodeError):
                    return records, None  # the last line of a file that was cut off
                return records, self._error(number, f"damaged: {error}: {_quote(text)}")
        return records, None

    def _error(self, line: int, message: str, *, hint: str = "") -> TraceError:
        # A value of the file may stand in the message, whatever characters it is made of.
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message)
        return TraceError(f"{self.path}:{line}: {shown}", hint=hint)


_index = attrgetter("index")
_footer_decoder = msgspec.json.Decoder(Footer)
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def _blocks(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Blocks of whole lines, without the last line end; the last may be a line without end (False)."""
    rest = b""
    while data := file.read(_CHUNK):
        data = rest + data
        end = data.rfind(b"\n")
        if end < 0:
            if len(data) > MAX_RECORD + _CHUNK:
                break
            rest = data
            continue
        rest = data[end + 1 :]
        yield data[:end], True
    if rest or data:
        yield data or rest, False


def _quote(line: bytes) -> str:
    text = line[:60].decode("utf-8", "replace").rstrip()
    return ascii(text) + ("..." if len(line) > 60 else "")
