"""What comes of holding two witnesses against one another."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from harness.events import Event, kind_of

__all__ = ["IDENTITY", "Agreement", "Disagreement", "Fault", "named"]

IDENTITY = {
    "process_create": ("pid",),
    "process_exit": ("pid",),
    "thread_create": ("tid", "pid"),
    "thread_exit": ("tid", "pid"),
    "image_load": ("image", "base", "pid"),
}
"""Kind → the fields by which an event is called."""


class Fault(enum.Enum):
    """What the driver did wrong."""

    NOT_REPORTED = "called and not reported"
    TWICE = "reported twice"
    NOT_CALLED = "reported without a call"
    LATE = "reported late"
    WRONG_FIELD = "reported with a wrong field"


@dataclass(frozen=True)
class Disagreement:
    """One thing in which the lines and the calls do not agree."""

    fault: Fault
    message: str
    """In one line: which event, with the values of both."""
    printed: int | None = None
    """Index of the line's event."""
    called: int | None = None
    """Index of the call's."""

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.message}"


@dataclass(frozen=True)
class Agreement:
    """How far two witnesses agree."""

    compared: int = 0
    """Lines that were held against a call."""
    findings: tuple[Disagreement, ...] = ()
    """The first of them, in the order of the recording."""
    more: int = 0
    """How many there are besides."""
    not_judged: tuple[str, ...] = ()
    """What could not be told, and why, a line each."""


def named(event: Event) -> str:
    """``thread_create tid 1556 pid 1552``."""
    kind = kind_of(event)
    values = [(name, getattr(event, name)) for name in IDENTITY[kind]]
    return " ".join([kind, *(f"{name} {shown(name, value)}" for name, value in values if value is not None)])


def shown(name: str, value: object) -> str:
    """A value as messages have it."""
    if value is None:
        return "(none)"
    return f"0x{value:x}" if name in ("base", "size") and isinstance(value, int) else f"{value}"
