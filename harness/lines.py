"""DbgPrint text → lines → events, without I/O.

Three steps, each usable alone::

    LineAssembler   the texts of DbgPrint calls → whole lines (a call may hold several, or part of one)
    parse           one line → one event
    EventAssembler  both, and the events' index

The grammar is the public one of ``docs/architecture.md``; other drivers print it too, so the tail
``{seq=.. t=.. cpu=.. by=pid.tid}`` of ours is optional and ``<Function>`` is any identifier. What does not
fit the grammar to the last character is a :class:`~harness.events.Print`. The text comes from the target and
is not trusted: nothing in it raises, and every length is bounded here.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from harness.callbacks import COUNTERS
from harness.events import (
    Bugcheck,
    Driver,
    Event,
    ImageLoad,
    Marker,
    Print,
    ProcessCreate,
    ProcessExit,
    Reboot,
    Stop,
    ThreadCreate,
    ThreadExit,
    Totals,
)

__all__ = [
    "MAX_LINE",
    "MAX_OPEN_SPLITS",
    "MAX_PART",
    "MAX_PARTS",
    "EventAssembler",
    "Line",
    "LineAssembler",
    "parse",
]

MAX_LINE = 1 << 16
"""Characters kept of one line. An NT path has at most 32,767, so no line of a driver comes near it."""

MAX_PARTS = 512
"""Parts one line may be split into: the longest NT path needs 342 of our driver."""

MAX_PART = 1024
"""Characters of one part, tag included; DbgPrint passes on at most 512 bytes."""

MAX_OPEN_SPLITS = 64
"""Split lines waited for at a time: one a processor would do; the oldest gives way."""

_OWN_TAGS = ("[procnotify] ", "[actor] ")


class Line(NamedTuple):
    """A whole line, without its line end."""

    text: str
    host_time: float | None
    """Host clock (seconds since the epoch) of the print that completed it."""


class LineAssembler:
    """Joins the texts of DbgPrint calls to lines, and the parts of split lines to one.

    DbgPrint passes on at most 512 bytes a call, so our driver prints a longer line as
    ``[procnotify] part(i/n) seq(S) <piece>``; the parts may mix with other processors' lines. Empty lines are
    left out.
    """

    def __init__(self) -> None:
        self._pending = ""
        self._overflow = 0
        self._splits: dict[tuple[int, int], dict[int, Line]] = {}

    def feed(self, text: str, host_time: float | None = None) -> list[Line]:
        """The lines that ``text``, the text of one DbgPrint call, completes; often none or one.

        Our driver and the guest helper print whole lines, so a call that starts with their tag starts a line,
        whatever another processor left unfinished.
        """
        lines: list[Line] = []
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be written
        if self._pending and text.startswith(_OWN_TAGS):
            self._complete(host_time, lines)
        *whole, rest = text.split("\n")
        for piece in whole:
            self._append(piece)
            self._complete(host_time, lines)
        self._append(rest)
        return lines

    def flush(self, host_time: float | None = None) -> list[Line]:
        """What is left at the end: an unfinished line, and the parts of lines that never became whole."""
        lines: list[Line] = []
        self._complete(host_time, lines)
        for parts in self._splits.values():
            lines.extend(parts.values())
        self._splits.clear()
        return lines

    def _append(self, piece: str) -> None:
        room = MAX_LINE - len(self._pending)
        self._pending += piece[:room]
        self._overflow += max(0, len(piece) - room)

    def _complete(self, host_time: float | None, lines: list[Line]) -> None:
        text = self._pending.removesuffix("\r")
        if self._overflow:
            # The note also keeps a cut line from fitting the grammar by accident.
            text = f"{text} ... ({self._overflow} more characters)"
        self._pending, self._overflow = "", 0
        if not text:
            return
        line = Line(text, host_time)
        if text.startswith("[procnotify] part(") and (match := _PART.fullmatch(text)):
            self._collect(line, match, lines)
        else:
            lines.append(line)

    def _collect(self, line: Line, match: re.Match[str], lines: list[Line]) -> None:
        number, total, seq = int(match[1]), int(match[2]), int(match[3])
        key = (seq, total)
        parts = self._splits.get(key, {})
        if not 1 <= number <= total <= MAX_PARTS or number in parts or len(line.text) > MAX_PART:
            lines.append(line)
            return
        if not parts and len(self._splits) >= MAX_OPEN_SPLITS:
            oldest = next(iter(self._splits))
            lines.extend(self._splits.pop(oldest).values())
        self._splits[key] = parts
        parts[number] = line
        if len(parts) == total:
            del self._splits[key]
            skip = len("[procnotify] ")
            pieces = (parts[n].text[skip:].split(" ", 2)[2] for n in sorted(parts))
            lines.append(Line(f"[procnotify] {''.join(pieces)}", line.host_time))


def parse(text: str, index: int, host_time: float | None = None) -> Event:
    """The event that one line reports.

    :param text: a line without its line end; split lines joined.
    :param index: capture order of the event, from 0.
    :param host_time: host clock at reception, or None where the trace must not depend on it.
    """
    for tag, shapes in _SHAPES.items():
        if text.startswith(tag):
            for shape, event_type in shapes:
                if match := shape.fullmatch(text):
                    fields = _fields(match)
                    if fields is None:
                        break
                    return event_type(index=index, line=text, host_time=host_time, **fields)
    return Print(index=index, line=text, host_time=host_time)


def _fields(match: re.Match[str]) -> dict[str, Any] | None:
    """The event's fields; None when a number does not fit 64 bits."""
    fields: dict[str, Any] = {}
    for name, text in match.groupdict().items():
        if text is None:
            continue
        if name in _TEXT:
            fields[name] = None if name == "image" and text == "(null)" else text
            continue
        number = int(text, 16) if text.startswith("0x") else int(text)
        if number >= _U64:
            return None
        fields[name] = number
    if "routine" in fields:
        fields.setdefault("status", 0)
    if COUNTERS[0] in fields:
        fields["totals"] = Totals(**{name: fields.pop(name) for name in COUNTERS})
    return fields


class EventAssembler:
    """DbgPrint texts in, numbered events out: one capture's way from the debugger to the trace."""

    def __init__(self) -> None:
        self._lines = LineAssembler()
        self._next = 0

    def feed(self, text: str, host_time: float | None = None) -> list[Event]:
        """The events that one DbgPrint call completes."""
        return self._number(self._lines.feed(text, host_time))

    def bugcheck(
        self,
        code: int,
        parameters: tuple[int, int, int, int],
        module: str | None,
        host_time: float | None = None,
    ) -> list[Event]:
        """The target stopped: what was unfinished, then the bugcheck."""
        events = self.flush(host_time)
        event = Bugcheck(
            index=self._next, host_time=host_time, code=code, parameters=parameters, module=module
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

    def reboot(self, host_time: float | None = None) -> list[Event]:
        """The target began anew: what was unfinished, then the mark."""
        events = self.flush(host_time)
        event = Reboot(index=self._next, host_time=host_time)
        self._next += 1
        return [*events, event]

    def flush(self, host_time: float | None = None) -> list[Event]:
        """The end of the capture: events of what was unfinished."""
        return self._number(self._lines.flush(host_time))

    def _number(self, lines: list[Line]) -> list[Event]:
        events = [parse(line.text, self._next + offset, line.host_time) for offset, line in enumerate(lines)]
        self._next += len(events)
        return events


# --- the grammar ---
#
# Groups carry the names of the event's fields; what is not in _TEXT is a number, hexadecimal if it says 0x.

_U64 = 1 << 64
_TEXT = frozenset({"function", "routine", "image", "action", "phase"})
_IDENTIFIER = r"[A-Za-z_]\w*(?:::~?\w+)*"  # MSVC's __FUNCTION__ in C++ carries the class
_PART = re.compile(r"\[procnotify\] part\(([0-9]{1,4})/([0-9]{1,4})\) seq\(([0-9]{1,20})\) (.*)", re.DOTALL)


def _decimal(name: str) -> str:
    return rf"(?P<{name}>[0-9]{{1,20}})" if name else "[0-9]{1,20}"


def _hexadecimal(name: str) -> str:
    return rf"(?P<{name}>0x[0-9A-Fa-f]{{1,16}})"


def _tail(by_pid: str = "", by_tid: str = "", extra: str = "") -> str:
    """Our driver's addition to a line; ``by`` is the thread in whose context the callback ran."""
    by = rf"by={_decimal(by_pid)}\.{_decimal(by_tid)}"
    return rf"(?: \{{seq={_decimal('seq')} t={_decimal('time')} cpu={_decimal('cpu')} {by}{extra}\}})?"


def _shape(body: str, tail: str, *, function: str = _IDENTIFIER) -> re.Pattern[str]:
    return re.compile(rf"\[procnotify\] {function} {body}{tail}", re.ASCII | re.DOTALL)


def _driver_shape(body: str) -> re.Pattern[str]:
    return _shape(body, _tail(), function=f"(?P<function>{_IDENTIFIER})")


_CREATING = _tail("creating_pid", "creating_tid")
_CONTEXT = _tail("context_pid", "context_tid")
_ACTION = rf"(?P<action>[a-z][a-z-]*) id={_decimal('step')} pid={_decimal('pid')}"
_PID, _TID = rf"PID\({_decimal('pid')}\)", rf"TID\({_decimal('tid')}\)"

_SHAPES: dict[str, tuple[tuple[re.Pattern[str], type[Event]], ...]] = {
    "[procnotify] ": (
        (
            _shape(
                rf"{_TID} was created in {_PID} by PID\({_decimal('creating_pid')}\)",
                _tail(by_tid="creating_tid"),
            ),
            ThreadCreate,
        ),
        (
            _shape(
                rf"{_PID} loaded a/an (?P<image>.*) at {_hexadecimal('base')}",
                _tail("context_pid", "context_tid", rf"(?: size={_hexadecimal('size')})?"),
            ),
            ImageLoad,
        ),
        (_shape(rf"{_TID} in {_PID} was terminated", _CONTEXT), ThreadExit),
        (_shape(rf"PPID\({_decimal('parent_pid')}\) created {_PID}", _CREATING), ProcessCreate),
        (_shape(rf"{_PID} was terminated", _CONTEXT), ProcessExit),
        (_driver_shape(rf"(?P<routine>{_IDENTIFIER}) success"), Driver),
        (
            _driver_shape(rf"- (?P<routine>{_IDENTIFIER}) failed \(status: {_hexadecimal('status')}\)"),
            Driver,
        ),
        (_driver_shape("totals " + " ".join(f"{name}={_decimal(name)}" for name in COUNTERS)), Driver),
    ),
    "[actor] ": (
        (re.compile(rf"\[actor\] (?P<phase>begin) {_ACTION}", re.ASCII), Marker),
        (re.compile(rf"\[actor\] (?P<phase>end) {_ACTION} status={_decimal('status')}", re.ASCII), Marker),
    ),
}
"""The grammar: tag → its line shapes, the most frequent first. Each must fit the whole line."""
