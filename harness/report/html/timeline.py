"""What the page's script draws of one recording: its events as columns, on the lanes of their processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from harness.events import (
    Driver,
    Event,
    ImageLoad,
    ProcessCreate,
    ProcessExit,
    ThreadCreate,
    ThreadExit,
    kind_of,
)
from harness.report.html.columns import LineColumns, indexed, steps
from harness.report.html.elements import shown_text
from harness.report.html.eventline import line_of
from harness.report.html.textroom import MAX_TIMELINE_TEXT, SHORT, TextRoom
from harness.report.showing.words import process_name
from harness.report.text import shortened
from harness.trace.lives import Life, Lives, file_name

__all__ = ["Timeline"]

_LABEL: Final = 60
"""Characters of a name in the drawing."""
TARGET_LANE: Final = "driver and target"
"""What is about no process: what a driver says of itself, other prints, a bugcheck."""


class Timeline:
    """Takes events in their order.

    :param lives: whose processes the events are about; told of every event of the recording before it is
        taken here.
    :param text: the room for lines and names; None: that of a page is all its own.
    """

    def __init__(self, lives: Lives, text: TextRoom | None = None) -> None:
        self._lives = lives
        self._text = TextRoom() if text is None else text
        self._shortened = 0
        self._different: dict[str, str] = {}
        self._indexes: list[int] = []
        self._kinds: list[str] = []
        self._of: list[int | None] = []
        self._threads: list[int] = []
        self._times: list[int | None] = []
        self._processors: list[int] = []
        self._labels: list[str] = []
        self._lines = LineColumns()

    def __len__(self) -> int:
        return len(self._indexes)

    def take(self, event: Event, life: Life | None) -> None:
        """Take one event, which is about this process."""
        self._indexes.append(event.index)
        self._kinds.append(kind_of(event))
        self._of.append(None if life is None else life.number)
        self._threads.append(_thread_of(event))
        self._times.append(event.time)
        self._processors.append(-1 if event.cpu is None else event.cpu)
        label = shown_text(_label(event)[:_LABEL])
        if label not in self._different:
            self._different[label] = self._text.fitted(label)
        self._labels.append(self._different[label])
        line = shown_text(line_of(event))
        if self._text.spent:
            self._shortened += len(line) > SHORT
            self._lines.take_whole(shortened(line, SHORT))
        else:
            self._text.charge(self._lines.take(line))

    @property
    def shortened(self) -> str:
        """How many of its lines are not whole, in a sentence; empty: all are."""
        if not self._shortened:
            return ""
        lines = "1 line is" if self._shortened == 1 else f"{self._shortened} lines are"
        room = f"a page has room for {MAX_TIMELINE_TEXT} of lines and names"
        return f"{lines} cut at {SHORT} characters: {room}."

    def document(self) -> dict[str, object]:
        """The columns; ``lanes`` in the order of a tree, of the processes that an event here is about."""
        lanes = _in_tree_order({number for number in self._of if number is not None}, self._lives.all)
        place: dict[int | None, int] = {None: 0} | {life.number: n for n, (life, _) in enumerate(lanes, 1)}
        position = {index: n for n, index in enumerate(self._indexes)}
        kinds, kind = indexed(self._kinds)
        labels, label = indexed(self._labels)
        return {
            "index": steps(self._indexes),
            "kinds": kinds,
            "kind": kind,
            "lane": [place[number] for number in self._of],
            "tid": steps(self._threads),
            "time": steps(self._times),
            "cpu": self._processors,
            "labels": labels,
            "label": label,
            "lines": self._lines.document(),
            "lanes": {
                "name": [
                    TARGET_LANE,
                    *(self._text.fitted(shown_text(process_name(life))) for life, _ in lanes),
                ],
                "depth": [0, *(depth for _, depth in lanes)],
                "from": [-1, *(_at(life, position, begin=True) for life, _ in lanes)],
                "to": [-1, *(_at(life, position, begin=False) for life, _ in lanes)],
            },
        }


def _thread_of(event: Event) -> int:
    """The thread that the event is about; 0: none."""
    return event.tid if isinstance(event, ThreadCreate | ThreadExit) else 0


def _label(event: Event) -> str:
    match event:
        case ImageLoad() | ProcessCreate() | ProcessExit() if event.image:
            return file_name(event.image)
        case Driver():
            return event.routine or event.function
    return ""


def _at(life: Life, position: Mapping[int, int], *, begin: bool) -> int:
    """The position of the event with which a life begins or ends; -1: it is not among them."""
    moment = life.created if begin else life.ended
    return -1 if moment is None else position.get(moment.index, -1)


def _in_tree_order(chosen: set[int], lives: Iterable[Life]) -> list[tuple[Life, int]]:
    """The chosen processes, each after its parent, with the number of chosen ones above it."""
    below: dict[int | None, list[Life]] = {}
    for life in lives:
        if life.number in chosen:
            above = life.parent
            while above is not None and above.number not in chosen:
                above = above.parent
            below.setdefault(None if above is None else above.number, []).append(life)
    waiting = [(life, 0) for life in reversed(below.get(None, ()))]
    ordered = []
    while waiting:
        life, depth = waiting.pop()
        ordered.append((life, depth))
        waiting += [(child, depth + 1) for child in reversed(below.get(life.number, ()))]
    return ordered
