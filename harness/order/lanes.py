"""The events that a proof uses, each on the lane of its process; everything else is folded and counted."""

from __future__ import annotations

import ntpath
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from harness.events import Event, ImageLoad, ProcessCreate
from harness.order.result import MAX_ROWS, Lane, LaneRow, Mark

__all__ = ["Lanes", "Marks", "lanes_of", "pid_of"]

Marks: TypeAlias = Mapping[int, tuple[Mark, int | None]]
"""Event → what it is to the explanation, and the line of the scenario that it is that to."""
_Images: TypeAlias = Mapping[int, list[tuple[int, str]]]
"""PID → since which event it is a process's, and the first image that was mapped there."""


class Lanes(NamedTuple):
    """What an explanation shows of the trace."""

    lanes: tuple[Lane, ...]
    rows: tuple[LaneRow, ...]
    folded_after: int


def lanes_of(
    explained: Sequence[Marks], shown: Mapping[int, Event], events: Iterable[Event]
) -> tuple[Lanes, ...]:
    """The lanes of each of several explanations; goes over ``events`` once.

    Of more marks than :data:`MAX_ROWS` those are left out that stand for lines of the scenario, the earliest
    first.

    :param shown: the events that are marked, by their index.
    """
    chosen = [[index for index in _chosen(marks) if index in shown] for marks in explained]
    pids = {pid_of(shown[index]) for each in chosen for index in each}
    images: dict[int, list[tuple[int, str]]] = {pid: [] for pid in pids if pid is not None}
    first: int | None = None
    last = -1
    for event in events:
        last = event.index
        if first is None:
            first = last
        match event:
            case ProcessCreate(pid=pid) if pid in images:
                images[pid].append((last, ""))
            case ImageLoad(pid=int(pid), image=str(image)) if pid in images:
                if not images[pid]:
                    images[pid].append((first, ""))
                since, named = images[pid][-1]
                images[pid][-1] = since, named or ntpath.basename(image)
    return tuple(
        _lanes(marks, [shown[index] for index in each], images, first or 0, last)
        for marks, each in zip(explained, chosen, strict=True)
    )


def _lanes(marks: Marks, shown: list[Event], images: _Images, first: int, last: int) -> Lanes:
    places: dict[int | None, Lane] = {}
    rows: list[LaneRow] = []
    following = first
    for event in shown:
        pid = pid_of(event)
        if pid not in places:
            places[pid] = Lane(pid, "" if pid is None else _image(images[pid], event.index))
        mark, line = marks[event.index]
        rows.append(LaneRow(event, list(places).index(pid), mark, line, event.index - following))
        following = event.index + 1
    return Lanes(tuple(places.values()), tuple(rows), last + 1 - following)


def _image(known: list[tuple[int, str]], index: int) -> str:
    return next((image for since, image in reversed(known) if since <= index), "")


def pid_of(event: Event) -> int | None:
    """The process that the event is about; None for those of none."""
    pid = getattr(event, "pid", None)
    return pid if isinstance(pid, int) else None


def _chosen(marks: Marks) -> list[int]:
    """The marked events that are shown, in the order of the trace."""
    telling = sorted(index for index, (mark, _) in marks.items() if mark is not Mark.CLAIMED)[:MAX_ROWS]
    room = MAX_ROWS - len(telling)
    claimed = sorted(index for index, (mark, _) in marks.items() if mark is Mark.CLAIMED)
    return sorted([*telling, *(claimed[-room:] if room else ())])
