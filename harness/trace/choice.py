"""Which events of a recording are wanted: of which processes, kinds and images, and from when to when."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from harness.errors import UsageError
from harness.events import Event, kind_of
from harness.trace.lives import Life, Lives, file_name

__all__ = ["Bound", "Choice", "parse_bound"]

_UNITS: Final = {"us": 10, "ms": 10_000, "s": 10_000_000, "m": 600_000_000, "h": 36_000_000_000}
"""In 100 ns."""
_BOUND: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,7}))?(us|ms|s|m|h)", re.ASCII)
_FRACTION: Final = 10**7


@dataclass(frozen=True)
class Bound:
    """An end of the part that is wanted: an index or a target time. It belongs to the part."""

    index: int | None
    time: int | None
    """In 100 ns."""


def parse_bound(text: str) -> Bound:
    """``812``, an index; ``30.5s``, ``500ms``, ``2h``, a target time.

    :raises UsageError: it is neither.
    """
    if re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        return Bound(int(text), None)
    found = _BOUND.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{text!r} is neither an index nor a time", hint="write 812, 30.5s, 500ms, 10us, 5m or 1h"
        )
    parts = int(found[1]) * _FRACTION + int((found[2] or "").ljust(7, "0"))
    return Bound(None, parts * _UNITS[found[3]] // _FRACTION)


@dataclass(frozen=True)
class Choice:
    """What was asked for; what is empty or None leaves nothing out."""

    processes: tuple[str, ...] = ()
    """PIDs, or names of programs with or without ``.exe``; upper and lower case are the same."""
    kinds: tuple[str, ...] = ()
    image: str = ""
    """A pattern (``*``, ``?``, ``[...]``) for the path or the file name of an image or program."""
    first: Bound | None = None
    last: Bound | None = None

    def __bool__(self) -> bool:
        return bool(self.processes or self.kinds or self.image or self.first or self.last)

    def numbers(self, events: Iterable[Event]) -> frozenset[int] | None:
        """The lives of the processes asked for, by their number; None where no processes were asked for.
        A program may be named after the first event of its process, so all of a recording is read."""
        if not self.processes:
            return None
        lives = Lives()
        for event in events:
            lives.take(event)
        wanted = {text.casefold() for text in self.processes}
        return frozenset(life.number for life in lives.all if wanted & _names(life))

    def of(self, events: Iterable[Event], lives: Lives) -> Iterator[tuple[Event, Life | None]]:
        """Those wanted of the events, each with the process that it is about.

        :param events: all of a recording; they are iterated twice where processes are asked for.
        :param lives: has taken no event yet; takes all of them.
        """
        numbers = self.numbers(events)
        for event in events:
            life = lives.take(event)
            if self._takes(event, life, numbers):
                yield event, life

    def _takes(self, event: Event, life: Life | None, numbers: Collection[int] | None) -> bool:
        if numbers is not None and (life is None or life.number not in numbers):
            return False
        if self.kinds and kind_of(event) not in self.kinds:
            return False
        if self.image and not _fits(getattr(event, "image", None), self.image):
            return False
        if self.first is not None and _is_before(event, self.first):
            return False
        return self.last is None or not _is_after(event, self.last)


def _names(life: Life) -> set[str]:
    program = life.program.casefold()
    return {str(life.pid), program, program.removesuffix(".exe")} - {""}


def _fits(image: str | None, pattern: str) -> bool:
    if image is None:
        return False
    text, wanted = image.casefold(), pattern.casefold()
    return fnmatchcase(text, wanted) or fnmatchcase(file_name(text), wanted)


def _is_before(event: Event, bound: Bound) -> bool:
    if bound.index is not None:
        return event.index < bound.index
    return event.time is None or (bound.time is not None and event.time < bound.time)


def _is_after(event: Event, bound: Bound) -> bool:
    if bound.index is not None:
        return event.index > bound.index
    return event.time is None or (bound.time is not None and event.time > bound.time)
