"""Instances cut out of a trace in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from harness.callbacks import group_of_routine
from harness.errors import TraceError
from harness.events import (
    Disconnect,
    Driver,
    Event,
    ImageLoad,
    Marker,
    ProcessCreate,
    ProcessExit,
    Reboot,
    ThreadCreate,
    ThreadExit,
)
from harness.mining.selection import Selection
from harness.ntpaths import base_name

__all__ = ["MAX_HELD", "MAX_INSTANCE_EVENTS", "Cutter", "Instance"]

MAX_INSTANCE_EVENTS: Final = 100_000
"""Events of one instance that are held until its end; one with more is left out."""
MAX_HELD: Final = 1_000_000
"""Events of all open instances together that are held; a trace that needs more is refused."""
_OF_PROCESSES = (ProcessCreate, ProcessExit, ThreadCreate, ThreadExit, ImageLoad)
_OF_WINDOWS = (*_OF_PROCESSES, Marker)

BEGINNING: Final = "began before the recording"
END: Final = "not over when the recording ended"
BROKEN_OFF: Final = "cut off where the connection was closed or the target began anew"
UNTOLD: Final = "not all of it was told, for the driver registered or removed a routine meanwhile"
REUSED: Final = "its process ID was given out again though no exit was told"
TOO_LONG: Final = f"more than {MAX_INSTANCE_EVENTS} events"
REOPENED: Final = "its first line came again before its last"


@dataclass
class Instance:
    """One run of what was selected, from its first event to its last."""

    pid: int | None
    """Of its process; None: a window."""
    events: list[Event] = field(default_factory=list)
    """Its own: those of its processes, or the callbacks and markers of its window; in capture order."""

    @property
    def first(self) -> int:
        """Index, in the trace, of its first event."""
        return self.events[0].index

    @property
    def last(self) -> int:
        """Index of its last event."""
        return self.events[-1].index

    @property
    def duration(self) -> int | None:
        """Target time from the first event to the last, in 100 ns units; None: not told."""
        times = [event.time for event in self.events if event.time is not None]
        return max(times) - min(times) if len(times) > 1 else None


@dataclass
class _Life:
    """A process, or a tree of processes, that may become an instance."""

    instance: Instance
    selected: bool | None
    """None: its program is not known yet."""
    alive: set[int]
    too_long: bool = False


class Cutter:
    """Takes the events of one trace and gives the instances as they end.

    Memory is bounded by the events of the open instances (:data:`MAX_HELD`) and the processes that live.

    :param whole: the trace is one run of a scenario, from its beginning.
    """

    def __init__(self, selection: Selection, *, whole: bool) -> None:
        self.left_out: Counter[str] = Counter()
        """Why instances were left out → how many."""
        self.programs_unknown = 0
        """Processes that ended without an image of theirs, so that nobody knows whether they were meant."""
        self._selection = selection
        self._held = 0
        self._lives: dict[int, _Life | None] = {}
        """PID → what its events belong to; None: a process that is not looked at."""
        self._before: set[int] = set()
        """PIDs of processes that began before the recording and were counted as left out."""
        self._window: _Life | None = None
        self._feed: Callable[[Event], Instance | None] = {
            "image": self._of_process,
            "tree": self._of_process,
            "marker": self._of_marker,
            None: self._of_run,
        }[selection.cut]
        if selection.cut is None and whole:
            self._window = _Life(Instance(None), True, set())

    def feed(self, events: Iterable[Event]) -> Iterator[Instance]:
        """Take the next events; the instances that ended with them.

        :raises TraceError: more than :data:`MAX_HELD` events would have to be held.
        """
        for event in events:
            if isinstance(event, Reboot | Disconnect):
                self._break_off(BROKEN_OFF)
                continue
            if self._selection.cut in ("image", "tree") and _changes_routines(event):
                self._break_off(UNTOLD)
                continue
            instance = self._feed(event)
            if instance is not None:
                yield instance

    def finish(self, *, complete: bool) -> Iterator[Instance]:
        """The trace is at its end.

        :param complete: the recording came to its own end, so a run of a scenario is over.
        """
        window = self._window
        if self._selection.cut is None and window is not None and complete and window.instance.events:
            self._window = None
            if window.too_long:
                self.left_out[TOO_LONG] += 1
            else:
                yield window.instance
        self._break_off(END)

    def _break_off(self, why: str) -> None:
        lives = {id(life): life for life in self._lives.values() if life is not None}
        if self._window is not None:
            lives[id(self._window)] = self._window
        self.left_out.update([why] * sum(life.selected is True for life in lives.values()))
        self.programs_unknown += sum(life.selected is None for life in lives.values())
        self.left_out = +self.left_out
        self._lives.clear()
        self._before.clear()
        self._window = None
        self._held = 0

    def _hold(self, life: _Life, event: Event) -> None:
        events = life.instance.events
        if life.too_long:
            return
        if len(events) >= MAX_INSTANCE_EVENTS:
            life.too_long = True
            self._held -= len(events)
            events.clear()
            return
        if self._held >= MAX_HELD:
            raise TraceError(
                f"more than {MAX_HELD} events belong to instances that are not over",
                hint="select what ends sooner, or a part of the recording",
            )
        events.append(event)
        self._held += 1

    def _ended(self, life: _Life) -> Instance | None:
        self._held -= len(life.instance.events)
        if life.too_long:
            self.left_out[TOO_LONG] += 1
            return None
        return life.instance

    # --- windows ---

    def _of_run(self, event: Event) -> None:
        if self._window is not None and isinstance(event, _OF_WINDOWS):
            self._hold(self._window, event)

    def _of_marker(self, event: Event) -> Instance | None:
        selection, window = self._selection, self._window
        if window is not None and selection.last in event.line:
            self._window = None
            if isinstance(event, _OF_WINDOWS):
                self._hold(window, event)
            return self._ended(window) if window.instance.events or window.too_long else None
        if selection.first in event.line:
            if window is not None:
                self.left_out[REOPENED] += 1
                self._held -= len(window.instance.events)
            window = self._window = _Life(Instance(None), True, set())
        if window is not None and isinstance(event, _OF_WINDOWS):
            self._hold(window, event)
        return None

    # --- processes ---

    def _of_process(self, event: Event) -> Instance | None:
        if not isinstance(event, _OF_PROCESSES) or event.pid is None:
            return None
        pid = event.pid
        if isinstance(event, ProcessCreate):
            self._created(event)
            return None
        if pid not in self._lives:
            self._unseen(event)
            return None
        life = self._lives[pid]
        if life is None:
            if isinstance(event, ProcessExit):
                del self._lives[pid]
            return None
        self._hold(life, event)
        if life.selected is None and isinstance(event, ImageLoad) and event.image:
            self._decide(life, event.image)
        if isinstance(event, ProcessExit):
            return self._exited(pid, life)
        return None

    def _created(self, event: ProcessCreate) -> None:
        pid = event.pid
        known = self._lives.pop(pid, None)
        self._before.discard(pid)
        if known is not None:
            self._drop(known, REUSED)
        parent = None
        if self._selection.cut == "tree":
            for above in (event.creating_pid, event.parent_pid):
                parent = parent or (None if above is None else self._lives.get(above))
        if parent is not None and parent.selected:
            parent.alive.add(pid)
            self._lives[pid] = parent
            self._hold(parent, event)
            return
        life = _Life(Instance(pid), None, {pid})
        self._lives[pid] = life
        self._hold(life, event)
        if event.image:
            self._decide(life, event.image)

    def _decide(self, life: _Life, image: str) -> None:
        """Its program is known now."""
        life.selected = base_name(image).lower() == self._selection.image
        if not life.selected:
            self._forget(life)

    def _forget(self, life: _Life) -> None:
        self._held -= len(life.instance.events)
        for pid in life.alive:
            self._lives[pid] = None

    def _drop(self, life: _Life, why: str) -> None:
        """It is known to be damaged; its other processes are not looked at any more."""
        if life.selected:
            self.left_out[why] += 1
        else:
            self.programs_unknown += 1
        self._forget(life)

    def _exited(self, pid: int, life: _Life) -> Instance | None:
        del self._lives[pid]
        life.alive.discard(pid)
        if life.alive:
            return None
        if life.selected is None:
            self.programs_unknown += 1
            self._held -= len(life.instance.events)
            return None
        return self._ended(life)

    def _unseen(self, event: ProcessExit | ThreadCreate | ThreadExit | ImageLoad) -> None:
        """An event of a process whose creation was not told."""
        image = event.image if isinstance(event, ImageLoad | ProcessExit) else None
        pid = event.pid
        if (
            pid is not None
            and image
            and base_name(image).lower() == self._selection.image
            and pid not in self._before
        ):
            self.left_out[BEGINNING] += 1
            self._before.add(pid)
        if isinstance(event, ProcessExit):
            self._before.discard(event.pid)


def _changes_routines(event: Event) -> bool:
    """Whether the driver is told of more, or of less, from here on."""
    if not isinstance(event, Driver):
        return False
    return event.totals is not None or (group_of_routine(event.routine) is not None and not event.status)
