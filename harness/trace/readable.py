"""What of a recording can be read: its events up to where it is damaged."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import TraceError
from harness.events import Event
from harness.trace.reader import TraceReader
from harness.trace.sources import TraceSource

__all__ = ["Readable"]


class Readable:
    """The events of a source up to where it is damaged, to be iterated as often as the source may be.

    :raises TraceError: in an iteration, of a source that is damaged before its first event.
    """

    damage: str
    """After an iteration to the end: where the recording is damaged or cut off; empty: nowhere."""

    def __init__(self, source: TraceSource) -> None:
        self._source = source
        self.damage = ""

    def __iter__(self) -> Iterator[Event]:
        self.damage = ""
        begun = False
        try:
            for event in self._source:
                begun = True
                yield event
        except TraceError as error:
            if not begun:
                raise
            self.damage = str(error)
        self.damage = self.damage or self._source.damage
        if not self.damage and isinstance(self._source, TraceReader) and self._source.footer is None:
            self.damage = "it has no footer, so it was cut off"
