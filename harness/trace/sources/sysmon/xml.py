"""Sysmon's records as XML, as ``wevtutil qe`` and the Event Viewer write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import TextIOWrapper
from typing import Final
from xml.parsers import expat

from harness.trace.sources.imported import Damaged
from harness.trace.sources.sysmon.events import LogRecord, SysmonTrace, checked
from harness.trace.sources.textlog import text_encoding
from harness.trace.sources.unpacked import open_unpacked

__all__ = ["MAX_RECORD", "SysmonXml", "claims_xml"]

MAX_RECORD: Final = 1 << 20
"""Characters of one record."""
MAX_DEPTH: Final = 16
"""Elements within one another."""

_PIECE: Final = 1 << 15
_CLAIM: Final = re.compile(r"\ufeff?\s*(?:<\?xml[^>]{0,200}\?>\s*)?<(?:Events|Event)[\s>]")
_DECLARATION: Final = re.compile(r"\A\ufeff?\s*(?:<\?xml[^>]{0,200}\?>)?")
_DECLARED: Final = 256
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


def claims_xml(head: str) -> bool:
    """Whether a text that begins so has records of an event log."""
    return _CLAIM.match(head) is not None


class _Refused(Exception):
    """What no event log has."""


class _Reader:
    """Elements in, records out.

    All of a file stands within one element of ours. So it need not have a root, and cannot declare a document
    type: with that, no entity.
    """

    def __init__(self) -> None:
        self.records: list[tuple[int, dict[str, str], dict[str, str]]] = []
        """Line, what the system says, what the event says."""
        self._parser = parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self._path: list[str] = []
        self._system: dict[str, str] = {}
        self._data: dict[str, str] = {}
        self._text: list[str] = []
        self._name = ""
        self._since = 0
        self._line = 0
        parser.Parse("<root>", False)

    def feed(self, text: str, *, last: bool = False) -> None:
        self._since += len(text)
        self._parser.Parse(f"{text}</root>" if last else text, last)
        if self._since > MAX_RECORD + 2 * _PIECE:
            raise _Refused(f"a record of more than {MAX_RECORD} characters")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(" ")[2]
        self._path.append(name)
        if len(self._path) > MAX_DEPTH:
            raise _Refused(f"more than {MAX_DEPTH} elements within one another")
        self._text = []
        if name == "Event":
            self._system, self._data = {}, {}
            self._line = self._parser.CurrentLineNumber
        elif name == "Provider":
            self._system["Provider"] = attributes.get("Name", "")
        self._name = attributes.get("Name", "")

    def _characters(self, text: str) -> None:
        self._text.append(text)

    def _end(self, name: str) -> None:
        name = self._path.pop()
        parent = self._path[-1] if self._path else ""
        if parent == "System" and name != "Provider":
            self._system[name] = "".join(self._text)
        elif parent == "EventData" and name == "Data":
            self._data[self._name] = "".join(self._text)
        elif name == "Event":
            self.records.append((self._line, self._system, self._data))
            self._since = 0
        self._text = []


class SysmonXml(SysmonTrace):
    """XML with a root or without one, in UTF-8 or UTF-16; the file may be compressed by gzip or xz."""

    tool = "Sysmon, XML"
    ends = False

    def _records(self) -> Iterator[LogRecord]:
        with open_unpacked(self.path) as file:
            encoding = text_encoding(file.peek(2)[:2]) or "utf-8-sig"
            text = TextIOWrapper(file, encoding=encoding, errors="replace", newline="\n")
            reader = _Reader()
            piece = _DECLARATION.sub("", text.read(_DECLARED), count=1)
            last = False
            while not last:
                following = text.read(_PIECE)
                last = not following
                try:
                    reader.feed(piece, last=last)
                except _Refused as error:
                    raise Damaged(f"{self.path}: {error}") from None
                except expat.ExpatError as error:
                    yield from self._taken(reader)
                    what = f"damaged, or cut off: {expat.ErrorString(error.code)}"
                    raise Damaged(f"{self.path}:{error.lineno}: {what}") from None
                yield from self._taken(reader)
                piece = following

    def _taken(self, reader: _Reader) -> Iterator[LogRecord]:
        records, reader.records = reader.records, []
        for line, system, data in records:
            where = f"{self.path}:{line}"
            number, place = system.get("EventID", ""), system.get("EventRecordID", "")
            if _NUMBER.fullmatch(number) is None:
                raise Damaged(f"{where}: the record has no EventID")
            kept = int(place) if _NUMBER.fullmatch(place) else None
            yield LogRecord(
                where,
                system.get("Provider", ""),
                int(number),
                system.get("Computer", ""),
                kept,
                checked(where, data),
            )
