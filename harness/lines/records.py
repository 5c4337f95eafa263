"""Records: events that take several lines, joined by the processor that printed them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from harness.lines.grammar import Continuation, Form, Grammar

__all__ = ["MAX_OPEN_RECORDS", "MAX_RECORD_WAIT", "JoinedRecord", "Line", "RecordAssembler"]

MAX_OPEN_RECORDS: Final = 64
"""Processors whose records are waited for at a time; the oldest gives way."""

MAX_RECORD_WAIT: Final = 64
"""Other lines of its processor between two lines of a record; after that it is given up."""


class Line(NamedTuple):
    """A whole line, without its line end."""

    text: str
    host_time: float | None
    """Host clock (seconds since the epoch) of the print that completed it."""
    processor: int | None = None
    """The one that printed it; None: not told."""


class JoinedRecord(NamedTuple):
    """A whole record."""

    text: str
    """Its lines, one under the other."""
    host_time: float | None
    """Of its last line."""
    form: Form
    fields: dict[str, Any]


@dataclass(slots=True)
class _OpenRecord:
    """A record that has begun."""

    form: Form
    lines: list[Line]
    fields: dict[str, Any]
    missing: list[Continuation]
    waited: int = 0

    @property
    def needed(self) -> int:
        """Lines that must still come."""
        return sum(not part.optional for part in self.missing)

    def take(self, line: Line) -> bool:
        """Whether ``line`` belongs to it."""
        for place, part in enumerate(self.missing):
            fields = part.form.fields(line.text)
            if fields is not None:
                self.fields |= fields
                self.lines.append(line)
                self.waited = 0
                del self.missing[place]
                return True
        return False

    def record(self) -> JoinedRecord:
        text = "\n".join(line.text for line in self.lines)
        return JoinedRecord(text, self.lines[-1].host_time, self.form, self.fields)


@dataclass(slots=True)
class _Owed:
    """Lines of records that got into one another on one processor: nobody knows whose they are."""

    lines: int
    waited: int = 0


@dataclass(slots=True)
class _Records:
    open: dict[int | None, _OpenRecord] = field(default_factory=dict)
    owed: dict[int | None, _Owed] = field(default_factory=dict)


class RecordAssembler:
    """Joins the lines of records; all others pass through.

    A record begins with a line of a form that says ``then``, and its other lines may come in any order, each
    once, with other lines between them. It is whole with the last of them, or, where only optional ones are
    missing, at the next line that is none of them. Where a second record begins on one processor (or on any,
    where the processor is not told) before the first is whole, nobody knows whose the next lines are: all of
    them are left as lines, for a print is better than an event that was never printed.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._forms = grammar.records
        self._parts = tuple(part.form for form in grammar.records for part in form.then)
        self._state = _Records()

    def feed(self, line: Line) -> list[Line | JoinedRecord]:
        """What ``line`` completes, in the order in which it came."""
        processor = line.processor
        found: list[Line | JoinedRecord] = []
        is_open = self._state.open.get(processor)
        if is_open is not None:
            if is_open.take(line):
                if not is_open.missing:
                    found.append(self._state.open.pop(processor).record())
                return found
            if not is_open.needed:
                found.append(self._state.open.pop(processor).record())
                is_open = None
        first = self._first(line)
        if first is None:
            return [*found, *self._wait(line, is_open)]
        if is_open is not None:
            del self._state.open[processor]
            self._owe(processor, len(is_open.missing) + len(first.missing))
            return [*is_open.lines, line]
        if processor in self._state.owed:
            self._state.owed[processor].lines += len(first.missing)
            return [line]
        return [*found, *self._begin(processor, first)]

    def flush(self) -> list[Line | JoinedRecord]:
        """What is left at the end: records of which only optional lines are missing, the lines of others."""
        found: list[Line | JoinedRecord] = []
        for is_open in self._state.open.values():
            found += is_open.lines if is_open.needed else [is_open.record()]
        self._state = _Records()
        return found

    def _first(self, line: Line) -> _OpenRecord | None:
        for form in self._forms:
            fields = form.fields(line.text)
            if fields is not None:
                return _OpenRecord(form, [line], fields, list(form.then))
        return None

    def _begin(self, processor: int | None, first: _OpenRecord) -> list[Line | JoinedRecord]:
        found: list[Line | JoinedRecord] = []
        if len(self._state.open) >= MAX_OPEN_RECORDS:
            oldest = self._state.open.pop(next(iter(self._state.open)))
            found += oldest.lines if oldest.needed else [oldest.record()]
        self._state.open[processor] = first
        return found

    def _wait(self, line: Line, is_open: _OpenRecord | None) -> list[Line | JoinedRecord]:
        """A line that neither begins a record nor belongs to the open one."""
        processor = line.processor
        if is_open is not None:
            is_open.waited += 1
            if is_open.waited > MAX_RECORD_WAIT:
                del self._state.open[processor]
                return [*is_open.lines, line]
        owed = self._state.owed.get(processor)
        if owed is not None:
            owed.waited += 1
            owed.lines -= any(part.fields(line.text) is not None for part in self._parts)
            if owed.lines <= 0 or owed.waited > MAX_RECORD_WAIT:
                del self._state.owed[processor]
        return [line]

    def _owe(self, processor: int | None, lines: int) -> None:
        self._state.owed[processor] = _Owed(lines)
        if len(self._state.owed) > MAX_OPEN_RECORDS:
            del self._state.owed[next(iter(self._state.owed))]
