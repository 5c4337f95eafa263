"""What marks of events and states of promises are shown as: one table for text, pages and their script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from harness.order.result import Mark, Status

__all__ = ["LAST", "LAST_SHOWN", "MARKS", "STATUS_SIGNS", "MarkShown"]


class MarkShown(NamedTuple):
    """What a mark is shown as."""

    words: str
    """Beside an event."""
    with_line: str
    """The same with the line of the scenario that it is about, for which ``{line}`` stands."""
    sign: str
    """One character."""


MARKS: Final[Mapping[Mark, MarkShown]] = {
    Mark.CLAIMED: MarkShown("stood for a line of the scenario", "{line} held", "="),
    Mark.NEAREST: MarkShown("nearest miss", "nearest to {line}", "?"),
    Mark.EARLIER: MarkShown("came first", "came first", "<"),
    Mark.BREAKING: MarkShown("breaks it", "breaks {line}", "!"),
}
LAST: Final = "last"
"""What a page calls the mark of the last event, after which something happened that is no event."""
LAST_SHOWN: Final = MarkShown("is the last", "is the last", ".")
STATUS_SIGNS: Final[Mapping[Status, str]] = {
    **dict.fromkeys(Status, "✗"),
    Status.HELD: "✓",
    Status.NOT_JUDGED: "-",
    Status.NOT_REACHED: "·",
}
"""One character a state; its words are its value."""
