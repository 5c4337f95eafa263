"""A recording as a timeline that ui.perfetto.dev opens: the Trace Event Format (JSON).

Of the format (Google, "Trace Event Format"; perfetto.dev, "Visualizing external trace formats") these are
used: ``M`` names a process or a thread, ``X`` is a slice with a duration, ``i`` an instant. Times are in
microseconds. Slices of one thread must nest, so each life of a thread has a track of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from harness.errors import UsageError
from harness.events import (
    Event,
    ImageLoad,
    ProcessCreate,
    ProcessExit,
    Reboot,
    ThreadCreate,
    ThreadExit,
    kind_of,
)
from harness.report.showing.table import what_of
from harness.report.showing.words import process_name
from harness.report.text import one_line
from harness.trace.lives import MAX_NAME, Life, Lives, file_name

__all__ = ["MAX_BYTES", "PerfettoTimeline"]

MAX_BYTES: Final = 128 << 20
"""Of a file; what would be larger is not written."""
_MAX_TICKS: Final = 1 << 52
"""Of the timeline, in 100 ns: later events stand there. Perfetto counts nanoseconds in 63 bits."""
_FURTHER: Final = 1_000_000_000
"""First number of the tracks whose PID or TID another track has already, or that have none."""


@dataclass
class _Track:
    """A process on the timeline; times in 100 ns since its beginning."""

    number: int
    begin: int
    end: int | None = None
    threads: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Of the threads that have not ended: TID → number, begin."""


class PerfettoTimeline:
    """Takes the chosen events of a recording, in their order.

    The timeline begins with the first event. An event without a time stands a microsecond after the one
    before it, and a boot after the last event of the boot before.

    :param max_bytes: of the file.
    """

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._parts: list[str] = []
        self._size = 0
        self._used: set[int] = set()
        self._tracks: dict[int, _Track] = {}
        self._of_boot: list[_Track] = []
        self._boot = 0
        """Where the boot begins."""
        self._origin: int | None = None
        """Target time there; None: no event of the boot told one."""
        self._now = -10
        self._target: int | None = None
        """Number of the track for what is about no process."""

    def take(self, event: Event, life: Life | None) -> None:
        """Add an event.

        :param life: the process that it is about.
        :raises UsageError: the file would become too large.
        """
        self._now = self._ticks(event)
        if life is None:
            if isinstance(event, Reboot):
                self._begin_boot()
            self._instant(event, *self._target_track())
            return
        track = self._track(life)
        match event:
            case ProcessCreate():
                track.begin = self._now
            case ProcessExit():
                track.end = self._now
            case ThreadCreate():
                self._begin_thread(track, event.tid, self._now)
            case ThreadExit():
                if event.tid not in track.threads:
                    self._begin_thread(track, event.tid, track.begin)
                self._end_thread(track, event.tid)
            case _:
                self._instant(event, track.number, track.number)

    def file(self, lives: Lives) -> bytes:
        """The whole file; no event can be taken after it.

        :param lives: to which the events' processes belong.
        :raises UsageError: it would become too large.
        """
        self._end_threads()
        for life in lives.all:
            track = self._tracks.get(life.number)
            if track is None:
                continue
            name = process_name(life)
            self._name("process_name", track.number, track.number, name)
            self._name("thread_name", track.number, track.number, "process")
            end = self._now if track.end is None else track.end
            self._slice(name, track.number, track.number, track.begin, end)
        events = ",\n".join(self._parts)
        return f'{{"displayTimeUnit":"ns","traceEvents":[\n{events}\n]}}\n'.encode("ascii")

    def _ticks(self, event: Event) -> int:
        if event.time is None:
            ticks = self._now + 10
        else:
            if self._origin is None:
                self._boot = max(self._now, 0)
                self._origin = event.time
            ticks = self._boot + max(event.time - self._origin, 0)
        return min(ticks, _MAX_TICKS)

    def _begin_boot(self) -> None:
        self._end_threads()
        for track in self._of_boot:
            track.end = self._now if track.end is None else track.end
        self._of_boot.clear()
        self._boot, self._origin = self._now, None

    def _track(self, life: Life) -> _Track:
        track = self._tracks.get(life.number)
        if track is None:
            begin = self._now if life.created is not None else min(self._boot, self._now)
            track = self._tracks[life.number] = _Track(self._number(life.pid), begin)
            self._of_boot.append(track)
        return track

    def _target_track(self) -> tuple[int, int]:
        if self._target is None:
            self._target = self._number(None)
            self._name("process_name", self._target, self._target, "the target")
        return self._target, self._target

    def _number(self, wanted: int | None) -> int:
        """The PID or TID where no other track has it, since Perfetto joins those that have the same."""
        if wanted is None or not 0 < wanted < _FURTHER or wanted in self._used:
            wanted = _FURTHER + len(self._used)
        self._used.add(wanted)
        return wanted

    def _begin_thread(self, track: _Track, tid: int, begin: int) -> None:
        if tid in track.threads:  # its exit is missing
            self._end_thread(track, tid)
        number = self._number(tid)
        track.threads[tid] = (number, begin)
        self._name("thread_name", track.number, number, f"thread {tid}")

    def _end_thread(self, track: _Track, tid: int) -> None:
        number, begin = track.threads.pop(tid)
        self._slice(f"thread {tid}", track.number, number, begin, self._now)

    def _end_threads(self) -> None:
        for track in self._of_boot:
            for tid in list(track.threads):
                self._end_thread(track, tid)

    def _name(self, what: str, process: int, thread: int, name: str) -> None:
        self._add({"ph": "M", "name": what, "pid": process, "tid": thread, "args": {"name": name}})

    def _slice(self, name: str, process: int, thread: int, begin: int, end: int) -> None:
        ends = max(end, begin) - begin
        self._add(
            {"ph": "X", "name": name, "pid": process, "tid": thread, "ts": begin / 10, "dur": ends / 10}
        )

    def _instant(self, event: Event, process: int, thread: int) -> None:
        kind = kind_of(event)
        name = file_name(event.image) if isinstance(event, ImageLoad) else what_of(event) or kind
        self._add(
            {
                "ph": "i",
                "s": "t",
                "cat": kind,
                "name": one_line(name[:MAX_NAME]) or kind,
                "pid": process,
                "tid": thread,
                "ts": self._now / 10,
                "args": {"index": event.index},
            }
        )

    def _add(self, record: dict[str, object]) -> None:
        text = json.dumps(record, separators=(",", ":"))
        self._size += len(text) + 2
        if self._size > self._max_bytes:
            raise UsageError(
                f"the timeline would have more than {self._max_bytes} bytes",
                hint="take a part of the recording by --from and --to, or by --process",
            )
        self._parts.append(text)
