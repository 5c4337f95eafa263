"""What one witness saw, out of a recording that may hold what several saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Final

from harness.events import (
    Bugcheck,
    Disconnect,
    Event,
    Marker,
    Reboot,
    RuleBroken,
    Stop,
    WitnessName,
)
from harness.trace.format import Footer, Header

__all__ = ["SeenBy", "is_seen_by", "witness_of"]

_OF_ALL: Final = (Bugcheck, Stop, RuleBroken, Reboot, Disconnect)
"""What befell the target, and what it says of its drivers, whoever saw the callbacks."""
_CHUNK: Final = 4096
_witness = attrgetter("witness")


def witness_of(header: Header, footer: Footer | None) -> WitnessName:
    """On whose events the order of a recording is checked, unless somebody asks for another's."""
    if footer is not None:
        return footer.witness
    return header.witness or "print"


def is_seen_by(event: Event, witness: WitnessName) -> bool:
    """Whether the event is one of this witness, or befell the target itself. A debugger that stops at
    callbacks hears the guest helper's markers among them."""
    if event.witness == witness or isinstance(event, _OF_ALL):
        return True
    return witness == "breakpoint" and event.witness == "print" and isinstance(event, Marker)


class SeenBy:
    """The events that one witness saw and those that befell the target, in capture order, to be iterated as
    often as the recording may be. The others are as if they were not there, but for the indices.

    :param events: of a recording.
    """

    def __init__(self, events: Iterable[Event], witness: WitnessName) -> None:
        self._events = events
        self._witness = witness

    def __iter__(self) -> Iterator[Event]:
        iterator = iter(self._events)
        while chunk := list(islice(iterator, _CHUNK)):
            yield from self.of(chunk)

    def of(self, chunk: list[Event]) -> list[Event]:
        """Those of some events."""
        if set(map(_witness, chunk)) == {self._witness}:
            return chunk
        return [event for event in chunk if is_seen_by(event, self._witness)]
