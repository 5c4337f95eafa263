"""An event in one line, as the page shows it."""

from __future__ import annotations

from harness.events import Bugcheck, Event, RuleBroken, Stop, kind_of
from harness.report.explanation import event_words
from harness.report.showing.table import what_of

__all__ = ["line_of"]


def line_of(event: Event) -> str:
    """Its line as it was printed; of what was not printed, what it is. Not harmless yet."""
    if event.line:
        return event.line
    if isinstance(event, Bugcheck | Stop | RuleBroken):
        return f"{kind_of(event)}: {what_of(event)}"
    return event_words(event)
