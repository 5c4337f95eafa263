"""What is asked of every reader of recordings, whatever bytes it is given."""

from __future__ import annotations

from pathlib import Path

from harness.errors import TraceError
from harness.trace.sources import open_trace

__all__ = ["assert_read_or_refused"]


def assert_read_or_refused(path: Path) -> None:
    """The file gives events that are numbered as they should be, or is an error of the trace."""
    try:
        events = list(open_trace(path))
    except TraceError:
        return
    assert [event.index for event in events] == list(range(len(events)))
