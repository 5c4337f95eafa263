"""The events of a recording as a table: a line an event."""

from __future__ import annotations

from typing import Final

from harness.events import (
    Bugcheck,
    Driver,
    Event,
    ImageLoad,
    Marker,
    ProcessCreate,
    ProcessExit,
    RuleBroken,
    Stop,
    ThreadCreate,
    ThreadExit,
    kind_of,
)
from harness.report.showing.words import Segments, time_text
from harness.report.text import one_line

__all__ = ["HEADING", "event_line", "what_of"]

_STYLES: Final = {
    "process_create": "green",
    "process_exit": "red",
    "thread_create": "cyan",
    "thread_exit": "magenta",
    "image_load": "blue",
    "bugcheck": "bold red",
    "stop": "bold red",
    "rule_broken": "bold red",
    "reboot": "yellow",
    "disconnect": "yellow",
}
HEADING: Final = f"{'index':>8} {'time':>16} {'cpu':>3} {'kind':<14} {'pid.tid':<13} what"
"""Above the table. Times are seconds of target time."""


def event_line(event: Event) -> Segments:
    """The line of an event."""
    cpu = "" if event.cpu is None else str(event.cpu)
    kind = kind_of(event)
    before = f"{event.index:>8} {time_text(event.time):>16} {cpu:>3} "
    return [
        (before, "dim"),
        (f"{kind:<14}", _STYLES.get(kind, "")),
        (f" {_whose(event):<13} {one_line(what_of(event))}".rstrip(), ""),
    ]


def _whose(event: Event) -> str:
    pid, tid = getattr(event, "pid", None), getattr(event, "tid", None)
    return "" if pid is None else str(pid) if tid is None else f"{pid}.{tid}"


def what_of(event: Event) -> str:
    """What the event says besides its kind and its process; as the target has it, so not harmless yet."""
    match event:
        case ProcessCreate():
            parent = "" if event.parent_pid is None else f"child of {event.parent_pid}"
            return _joined(parent, _by(event), event.image)
        case ThreadCreate():
            return _by(event)
        case ProcessExit():
            return event.image or ""
        case ThreadExit():
            return ""
        case ImageLoad():
            base = "" if event.base is None else f"at {event.base:#x}"
            size = "" if event.size is None else f"{event.size:#x} bytes"
            return _joined(event.image or "(no name)", base, size)
        case Driver():
            totals = " ".join(f"{kind}={count}" for kind, count in (event.totals or {}).items())
            status = "" if event.status is None else f"{event.status & 0xFFFFFFFF:#010x}"
            return _joined(event.function, event.routine, status, totals)
        case Marker():
            status = "" if event.status is None else f"status {event.status}"
            return _joined(f"{event.phase} {event.action} id={event.step}", status)
        case Bugcheck():
            parameters = ", ".join(f"{value:#x}" for value in event.parameters)
            return _joined(f"{event.code:#x} ({parameters})", event.module)
        case Stop():
            chance = "first chance" if event.first_chance else "second chance"
            return _joined(f"{event.code & 0xFFFFFFFF:#010x} at {event.address:#x}", event.module, chance)
        case RuleBroken():
            return f"{event.module}: {event.rule}: {event.message}"
    return event.line


def _by(event: ProcessCreate | ThreadCreate) -> str:
    if event.creating_pid is None and event.creating_tid is None:
        return ""
    ids = ("?" if value is None else str(value) for value in (event.creating_pid, event.creating_tid))
    return f"by {'.'.join(ids)}"


def _joined(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)
