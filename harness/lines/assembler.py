"""The texts of DbgPrint calls → whole lines → numbered events."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from harness.events import Bugcheck, Disconnect, Event, Reboot, RuleBroken, Stop
from harness.lines.grammar import Grammar, Splits
from harness.lines.records import JoinedRecord, Line, RecordAssembler

__all__ = [
    "MAX_LINE",
    "MAX_OPEN_LINES",
    "MAX_OPEN_SPLITS",
    "MAX_PART",
    "MAX_PARTS",
    "EventAssembler",
    "Line",
    "LineAssembler",
]

MAX_LINE = 1 << 16
"""Characters kept of one line. An NT path has at most 32,767, so no line of a driver comes near it."""

MAX_OPEN_LINES = 256
"""Processors whose unfinished lines are waited for at a time; the oldest gives way."""

MAX_PARTS = 512
"""Parts one line may be split into: the longest NT path needs 342 of our driver."""

MAX_PART = 1024
"""Characters of one part, tag included; DbgPrint passes on at most 512 bytes."""

MAX_OPEN_SPLITS = 64
"""Split lines waited for at a time: one a processor would do; the oldest gives way."""

_FORGOTTEN_AFTER = 64
"""Calls after which the rest of a line that was broken off is not expected any more."""


@dataclass(slots=True)
class _Open:
    """What one processor has printed since its last line end."""

    text: str = ""
    overflow: int = 0
    """Characters beyond :data:`MAX_LINE`."""
    broken: int = 0
    """Lines that another one broke off, and whose rest may still come."""
    calls: int = 0
    """Calls since the last of them."""

    def append(self, piece: str) -> None:
        room = MAX_LINE - len(self.text)
        self.text += piece[:room]
        self.overflow += max(0, len(piece) - room)

    def take(self) -> str:
        """The line so far; it is empty afterwards."""
        text = self.text.removesuffix("\r")
        if self.overflow:
            # The note also keeps a cut line from fitting the grammar by accident.
            text = f"{text} ... ({self.overflow} more characters)"
        self.text, self.overflow = "", 0
        return text


class LineAssembler:
    """Joins the texts of DbgPrint calls to lines, and the parts of split lines to one.

    A line may come in several calls. Its pieces are joined by processor, where the debugger tells it; where
    two lines are unfinished on one processor (or on any, where it is not told) nobody knows whose rest comes
    next, and pieces are left as they are: a line in pieces is better than an event that was never printed.

    DbgPrint passes on at most 512 bytes a call, so our driver prints a longer line as
    ``[procnotify] part(i/n) seq(S) <piece>``; the parts may mix with other processors' lines. Empty lines are
    left out. Where the grammar says that each call is a line, there is nothing to join but such parts.

    :param grammar: how its lines begin and are split.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._by_print = grammar.by_print
        self._tags = grammar.tags
        self._splits = grammar.splits
        self._opens: dict[int | None, _Open] = {}
        self._parts: dict[tuple[int, int], dict[int, Line]] = {}

    def feed(self, text: str, host_time: float | None = None, processor: int | None = None) -> list[Line]:
        """The lines that ``text``, the text of one DbgPrint call, completes; often none or one.

        A call that starts with a tag of the grammar starts a line, whatever was left unfinished.

        :param processor: the one that printed; None where the debugger does not tell.
        """
        lines: list[Line] = []
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be written
        if self._by_print:
            call = _Open()
            call.append(text.rstrip("\r\n"))
            self._complete(call, host_time, processor, lines)
            return lines
        is_open = self._opens.get(processor)
        if is_open is None:
            is_open = _Open()
        elif is_open.text:
            self._continue(is_open, text, host_time, processor, lines)
        *whole, rest = text.split("\n")
        for piece in whole:
            is_open.append(piece)
            self._complete(is_open, host_time, processor, lines)
        is_open.append(rest)
        self._settle(
            processor, is_open, host_time, lines, ended=bool(whole) and not text.startswith(self._tags)
        )
        return lines

    def flush(self, host_time: float | None = None) -> list[Line]:
        """What is left at the end: unfinished lines, and the parts of lines that never became whole."""
        lines: list[Line] = []
        for processor, is_open in self._opens.items():
            self._complete(is_open, host_time, processor, lines)
        self._opens.clear()
        for parts in self._parts.values():
            lines.extend(parts.values())
        self._parts.clear()
        return lines

    def _continue(
        self, is_open: _Open, text: str, host_time: float | None, processor: int | None, lines: list[Line]
    ) -> None:
        """There is an unfinished line: is ``text`` its rest?"""
        if text.startswith(self._tags) or is_open.broken:
            is_open.broken += 1
            is_open.calls = 0
            self._complete(is_open, host_time, processor, lines)

    def _settle(
        self,
        processor: int | None,
        is_open: _Open,
        host_time: float | None,
        lines: list[Line],
        *,
        ended: bool,
    ) -> None:
        """After a call: how many broken lines are still open, and is there anything to wait for?

        :param ended: the call ended a line that it did not begin.
        """
        if is_open.broken:
            is_open.calls += 1
            is_open.broken -= ended
            if is_open.calls > _FORGOTTEN_AFTER:
                is_open.broken = 0
        if not is_open.text and not is_open.broken:
            self._opens.pop(processor, None)
            return
        self._opens[processor] = is_open
        if len(self._opens) > MAX_OPEN_LINES:
            oldest = next(iter(self._opens))
            self._complete(self._opens.pop(oldest), host_time, oldest, lines)

    def _complete(
        self, is_open: _Open, host_time: float | None, processor: int | None, lines: list[Line]
    ) -> None:
        text = is_open.take()
        if not text:
            return
        line = Line(text, host_time, processor)
        splits = self._splits
        if splits is not None and text.startswith(splits.tag) and (match := splits.pattern.fullmatch(text)):
            self._collect(line, match, lines, splits)
        else:
            lines.append(line)

    def _collect(self, line: Line, match: re.Match[str], lines: list[Line], splits: Splits) -> None:
        number, total, seq = int(match["part"]), int(match["parts"]), int(match["key"])
        key = (seq, total)
        parts = self._parts.get(key, {})
        if not 1 <= number <= total <= MAX_PARTS or number in parts or len(line.text) > MAX_PART:
            lines.append(line)
            return
        if not parts and len(self._parts) >= MAX_OPEN_SPLITS:
            oldest = next(iter(self._parts))
            lines.extend(self._parts.pop(oldest).values())
        self._parts[key] = parts
        parts[number] = line
        if len(parts) == total:
            del self._parts[key]
            pieces = []
            for part in sorted(parts):
                found = splits.pattern.fullmatch(parts[part].text)
                assert found is not None
                pieces.append(found["piece"])
            lines.append(line._replace(text=splits.tag + "".join(pieces)))


class EventAssembler:
    """DbgPrint texts in, numbered events out: one capture's way from the debugger to the trace.

    :param grammar: the lines that the driver prints.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._lines = LineAssembler(grammar)
        self._records = RecordAssembler(grammar) if grammar.records else None
        self._next = 0

    def feed(self, text: str, host_time: float | None = None, processor: int | None = None) -> list[Event]:
        """The events that one DbgPrint call completes.

        :param processor: the one that printed; None where the debugger does not tell.
        """
        return self._number(self._lines.feed(text, host_time, processor))

    def feed_bytes(
        self, data: bytes, host_time: float | None = None, processor: int | None = None
    ) -> list[Event]:
        """The same of a call's text as the target sent it, in the encoding of the grammar."""
        return self.feed(self._grammar.decode(data), host_time, processor)

    def bugcheck(
        self,
        code: int,
        parameters: tuple[int, int, int, int],
        module: str | None,
        offset: int | None = None,
        host_time: float | None = None,
    ) -> list[Event]:
        """The target stopped: what was unfinished, then the bugcheck."""
        events = self.flush(host_time)
        event = Bugcheck(
            index=self._next,
            host_time=host_time,
            code=code,
            parameters=parameters,
            module=module,
            offset=offset,
        )
        self._next += 1
        return [*events, event]

    def stop(
        self,
        code: int,
        address: int,
        *,
        first_chance: bool,
        module: str | None = None,
        host_time: float | None = None,
    ) -> list[Event]:
        """The target halted for an exception: what was unfinished, then the stop."""
        events = self.flush(host_time)
        event = Stop(
            index=self._next,
            host_time=host_time,
            code=code,
            address=address,
            first_chance=first_chance,
            module=module,
        )
        self._next += 1
        return [*events, event]

    def rule_broken(self, rule: str, module: str, message: str) -> list[Event]:
        """The target says that a driver broke a standing rule: what was unfinished, then that."""
        events = self.flush()
        event = RuleBroken(index=self._next, rule=rule, module=module, message=message)
        self._next += 1
        return [*events, event]

    def reboot(self, host_time: float | None = None) -> list[Event]:
        """The target began anew: what was unfinished, then the mark."""
        events = self.flush(host_time)
        event = Reboot(index=self._next, host_time=host_time)
        self._next += 1
        return [*events, event]

    def disconnect(self, host_time: float | None = None) -> list[Event]:
        """The connection was closed: what was unfinished, then the mark."""
        events = self.flush(host_time)
        event = Disconnect(index=self._next, host_time=host_time)
        self._next += 1
        return [*events, event]

    def take(self, event: Event) -> list[Event]:
        """An event that came without a line, numbered as the next one. What is unfinished stays so."""
        index, self._next = self._next, self._next + 1
        return [msgspec.structs.replace(event, index=index)]

    def flush(self, host_time: float | None = None) -> list[Event]:
        """The end of the capture: events of what was unfinished."""
        events = self._number(self._lines.flush(host_time))
        if self._records is not None:
            events += map(self._event, self._records.flush())
        return events

    def _number(self, lines: list[Line]) -> list[Event]:
        if self._records is not None:
            return [self._event(found) for line in lines for found in self._records.feed(line)]
        parse = self._grammar.parse
        events = [parse(line.text, self._next + offset, line.host_time) for offset, line in enumerate(lines)]
        self._next += len(events)
        return events

    def _event(self, found: Line | JoinedRecord) -> Event:
        index, self._next = self._next, self._next + 1
        if isinstance(found, Line):
            return self._grammar.parse(found.text, index, found.host_time)
        return found.form.event(index=index, line=found.text, host_time=found.host_time, **found.fields)
