"""Two recordings of one run held against one another: who saw what, whoever the witnesses were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from harness.events import Event
from harness.witness.compare import callbacks_by_kind
from harness.witness.fields import COMPARED, fields_carried, same_value
from harness.witness.findings import named, shown
from harness.witness.matching import Matching, TooManyDiffer

__all__ = ["MAX_DIFFERENCES", "Comparison", "Difference", "compare_recordings"]

MAX_DIFFERENCES: Final = 64
"""Of one kind, kept; the others are counted."""


@dataclass(frozen=True)
class Difference:
    """One callback in which the recordings differ."""

    message: str
    """In one line."""
    first: int | None = None
    """Index of its event in the first recording; None: it is not there."""
    second: int | None = None
    """The same in the second one."""


@dataclass(frozen=True)
class Comparison:
    """What two recordings have in common."""

    same: int
    """Callbacks that are in both."""
    differences: tuple[Difference, ...]
    """The first of each kind."""
    more: int
    """How many there are besides."""


def compare_recordings(first: Iterable[Event], second: Iterable[Event]) -> Comparison:
    """Pair the callbacks of two recordings. Fields that one of them carries nowhere are not compared, nor is
    the order among events.

    :param first: the events of one witness.
    :param second: the same of the other recording.
    """
    ones, others = callbacks_by_kind(first), callbacks_by_kind(second)
    same, more = 0, 0
    differences: list[Difference] = []
    for kind, numbers in COMPARED.items():
        lines, calls = ones[kind], others[kind]
        common = _carried(lines) & _carried(calls)
        left_out = {name: None for name in numbers if calls and name not in common}
        lines = [msgspec.structs.replace(event, **left_out) for event in lines] if left_out else lines
        try:
            pairs = Matching(lines, calls)
            found = list(_differences(lines, calls, pairs))
        except TooManyDiffer:
            differences.append(Difference(f"{kind}: too many differ to tell which"))
            continue
        same += len(pairs.call_of)
        differences += found[:MAX_DIFFERENCES]
        more += len(found[MAX_DIFFERENCES:])
    return Comparison(same, tuple(differences), more)


def _carried(events: Sequence[Event]) -> set[str]:
    return {field for event in events for field in fields_carried(event)}


def _differences(lines: Sequence[Event], calls: Sequence[Event], pairs: Matching) -> Iterator[Difference]:
    open_calls = pairs.calls_left()
    for place, line in enumerate(pairs.lines_left()):
        event = lines[line]
        about = pairs.likely(line, open_calls) if place < MAX_DIFFERENCES else None
        if about is None:
            yield Difference(f"only in the first: {named(event)}", event.index)
            continue
        open_calls.remove(about)
        call = calls[about]
        names = [*fields_carried(event), *(("image",) if hasattr(event, "image") else ())]
        values = ", ".join(
            f"{name} {shown(name, getattr(event, name))} in the first,"
            f" {shown(name, getattr(call, name))} in the second"
            for name in names
            if not same_value(name, event, call)
        )
        yield Difference(f"{named(event)}: {values}", event.index, call.index)
    for place in open_calls:
        yield Difference(f"only in the second: {named(calls[place])}", None, calls[place].index)
