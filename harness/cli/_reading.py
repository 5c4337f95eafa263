"""How far a recording has been read: told on standard error, where that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import click

from harness.events import Event
from harness.trace.format import Footer, Header
from harness.trace.sources import TraceSource

__all__ = ["ReadingProgress", "ToldSource", "drawing_progress", "reading_progress", "told"]

_FIRST: Final = 2.0
"""Seconds until the first line; what is over by then needs none."""
_AGAIN: Final = 5.0
"""Seconds between two lines."""
_EVERY: Final = 1 << 10
"""Events between two looks at the clock."""


class ReadingProgress:
    """The progress of a reading; called with the number of events so far.

    :param say: is given a line.
    :param now: a clock in seconds.
    :param what: is counted, where it is not events, and what is done to it.
    """

    def __init__(
        self, say: Callable[[str], object], now: Callable[[], float], what: str = "events read"
    ) -> None:
        self._say = say
        self._now = now
        self._what = what
        self._next = now() + _FIRST

    def __call__(self, events: int) -> None:
        now = self._now()
        if now >= self._next:
            self._next = now + _AGAIN
            self._say(f"procnotify: {events:,} {self._what}")

    def over(self, events: Iterable[Event]) -> Iterator[Event]:
        """The same events; says how many they were so far."""
        for number, event in enumerate(events, 1):
            if number % _EVERY == 0:
                self(number)
            yield event


class ToldSource:
    """A recording that says how far it is, each time that it is read; see :class:`TraceSource`."""

    def __init__(self, source: TraceSource, begun: Callable[[], ReadingProgress]) -> None:
        self._source = source
        self._begun = begun

    @property
    def path(self) -> Path:
        return self._source.path

    @property
    def header(self) -> Header:
        return self._source.header

    @property
    def footer(self) -> Footer | None:
        return self._source.footer

    @property
    def damage(self) -> str:
        return self._source.damage

    def __iter__(self) -> Iterator[Event]:
        return self._begun().over(self._source)


def reading_progress() -> ReadingProgress | None:
    """The progress of a reading that begins now; None where nobody looks."""
    return _begun() if sys.stderr.isatty() else None


def drawing_progress() -> Callable[[int], object]:
    """The progress of a page whose timelines are drawn from now on, called with how many are."""
    return _begun("timelines drawn") if sys.stderr.isatty() else lambda done: None


def told(source: TraceSource) -> TraceSource:
    """The recording, which says how far it is where somebody looks."""
    return ToldSource(source, _begun) if sys.stderr.isatty() else source


def _begun(what: str = "events read") -> ReadingProgress:
    return ReadingProgress(lambda line: click.echo(line, err=True), time.monotonic, what)
