"""Two recordings beside one another, a line a pair of events.

PIDs, TIDs and addresses are other ones in each run, so two events go together that say the same without them:
their kind, the program of their process, the image or the routine. Of all ways to put the recordings beside
one another without crossing it is a longest common part, then the longest before and behind it, and so on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import islice, zip_longest
from typing import Final

from harness.errors import UsageError
from harness.events import Driver, Event, ImageLoad, Marker, kind_of
from harness.report.showing.table import what_of
from harness.report.showing.words import Segments, process_name
from harness.report.text import one_line, shortened
from harness.trace.lives import Life, file_name

__all__ = ["MAX_EVENTS", "WIDTH", "Shown", "side_by_side", "taken"]

MAX_EVENTS: Final = 10_000
"""Of each recording: what is compared grows with the product."""
WIDTH: Final = 68
"""Characters of a column."""
Shown = tuple[Event, Life | None]
"""An event, and the process that it is about."""


def taken(events: Iterable[Shown]) -> list[Shown]:
    """The events of one recording.

    :raises UsageError: there are more than :data:`MAX_EVENTS`.
    """
    found = list(islice(events, MAX_EVENTS + 1))
    if len(found) > MAX_EVENTS:
        raise UsageError(
            f"a recording has more than {MAX_EVENTS} events to put beside another",
            hint="take a part of both by --process, --kind, --from and --to",
        )
    return found


def side_by_side(first: Sequence[Shown], second: Sequence[Shown]) -> Iterator[tuple[str, Segments]]:
    """The lines, each with its mark: ``=`` both have it, ``<`` the first alone, ``>`` the second alone."""
    ones, others = ([_key(*each) for each in recording] for recording in (first, second))
    matcher = SequenceMatcher(None, ones, others, autojunk=False)
    for word, begin, end, other_begin, other_end in matcher.get_opcodes():
        left, right = first[begin:end], second[other_begin:other_end]
        if word == "equal":
            yield from (_line("=", *pair) for pair in zip_longest(left, right))
        else:
            yield from (_line("<", each, None) for each in left)
            yield from (_line(">", None, each) for each in right)


def _key(event: Event, life: Life | None) -> tuple[str, ...]:
    program = "" if life is None else life.program.casefold()
    match event:
        case ImageLoad():
            return kind_of(event), program, file_name(event.image).casefold()
        case Driver():
            return kind_of(event), event.function, event.routine or ""
        case Marker():
            return kind_of(event), event.action, event.phase
        case _:
            return kind_of(event), program


def _line(mark: str, left: Shown | None, right: Shown | None) -> tuple[str, Segments]:
    style = {"=": "", "<": "red", ">": "green"}[mark]
    return mark, [(f"{_cell(left):<{WIDTH}} {mark} {_cell(right)}".rstrip(), style)]


def _cell(shown: Shown | None) -> str:
    if shown is None:
        return ""
    event, life = shown
    whose = "" if life is None else process_name(life)
    what = file_name(event.image) if isinstance(event, ImageLoad) else what_of(event)
    return shortened(one_line(f"{event.index:>6} {kind_of(event):<14} {whose}  {what}"), WIDTH)
