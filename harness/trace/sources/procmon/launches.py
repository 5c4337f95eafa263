"""Process Monitor's process events as launches: which process did what, in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from harness.ntpaths import base_name
from harness.trace.sources.procmon.events import image_place, thread_of
from harness.trace.sources.procmon.rows import ProcmonRow, csv_rows

__all__ = ["DEVICE", "RecordedEvent", "RecordedLaunch", "nt_path", "read_launches"]

DEVICE = r"\Device\HarddiskVolume3"
"""The NT device that ``C:`` stands for."""


class RecordedEvent(NamedTuple):
    """One event of one launch, told in roles instead of numbers."""

    id: str
    """``load ntdll.dll`` (``#2`` when mapped again), ``create 3``, ``exit 3``."""
    kind: Literal["load", "create", "exit"]
    by: str
    """The thread that did it: an ordinal, ``parent`` or ``other``."""
    time: int
    """Microseconds since the process was created."""
    image: str | None = None
    base: int = 0
    size: int = 0
    thread: int | None = None


class RecordedLaunch(NamedTuple):
    """One process from its creation to its exit."""

    pid: int
    parent_pid: int
    image: str
    events: list[RecordedEvent]
    exit_by: str
    exit_time: int


def nt_path(path: str) -> str:
    """``C:\\x`` as ``\\Device\\HarddiskVolume3\\x``, with Procmon's ``WINDOWS`` spelt ``Windows``."""
    if path[1:2] == ":":
        path = DEVICE + path[2:]
    return path.replace(f"{DEVICE}\\WINDOWS\\", f"{DEVICE}\\Windows\\")


class _Collector:
    """One launch while its rows come in."""

    def __init__(self, row: ProcmonRow) -> None:
        assert row.parent_pid is not None
        self.pid, self.parent_pid, self.creator = row.pid, row.parent_pid, row.tid
        self.start = row.time // 10
        self.roles: dict[int | None, str] = {}
        self.ids: set[str] = set()
        self.events: list[RecordedEvent] = []

    def _role(self, tid: int | None) -> str:
        return self.roles.get(tid, "parent" if tid == self.creator else "other")

    def add(self, row: ProcmonRow) -> RecordedLaunch | None:
        by, since = self._role(row.tid), row.time // 10 - self.start
        match row.operation:
            case "Thread Create":
                role = self.roles[thread_of(row)] = str(len(self.roles))
                self._event(f"create {role}", "create", by, since, thread=int(role))
            case "Thread Exit" if (tid := thread_of(row)) in self.roles:
                role = self.roles[tid]
                self._event(f"exit {role}", "exit", role, since, thread=int(role))
            case "Load Image":
                base, size = image_place(row)
                path = nt_path(row.path)
                name = base_name(path)
                self._event(f"load {name}", "load", by, since, image=path, base=base, size=size)
            case "Process Exit" if self.events:
                image_path = next((e.image for e in self.events if e.image), None)
                if image_path is not None:
                    return RecordedLaunch(self.pid, self.parent_pid, image_path, self.events, by, since)
        return None

    def _event(
        self,
        name: str,
        kind: Literal["load", "create", "exit"],
        by: str,
        time: int,
        *,
        image: str | None = None,
        base: int = 0,
        size: int = 0,
        thread: int | None = None,
    ) -> None:
        unique, again = name, 2
        while unique in self.ids:
            unique, again = f"{name}#{again}", again + 1
        self.ids.add(unique)
        self.events.append(RecordedEvent(unique, kind, by, time, image, base, size, thread))


def read_launches(path: Path, name: str) -> list[RecordedLaunch]:
    """Every complete launch (start and exit recorded) of the executable ``name``, in order.

    :raises TraceError: the file is not such an export, or a row is damaged (with its line).
    """
    running: dict[int, _Collector] = {}
    done: list[RecordedLaunch] = []
    for row in csv_rows(path, needed=("Process Name", "TID", "Parent PID")):
        assert row.process_name is not None
        if row.process_name.casefold() != name.casefold():
            continue
        if row.operation == "Process Start":
            running[row.pid] = _Collector(row)
        elif (collector := running.get(row.pid)) is not None:
            launch = collector.add(row)
            if launch is not None:
                done.append(launch)
                del running[row.pid]
    return done
