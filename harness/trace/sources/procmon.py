"""Process Monitor's process events as launches: which process did what, in which order.

Reads the CSV export (also xz-compressed). Procmon's "Process Start" is what a process-notify callback
sees; its order is the row order, its times have 100 ns digits.
"""

from __future__ import annotations

import csv
import io
import lzma
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from harness.errors import TraceError

__all__ = ["DEVICE", "RecordedEvent", "RecordedLaunch", "nt_path", "read_launches"]

DEVICE = r"\Device\HarddiskVolume3"
"""The NT device that ``C:`` stands for."""

MAX_CSV_BYTES = 64 << 20
"""Largest export read; the recording this was made for has 1.7 MB."""

_COLUMNS = {"Time of Day", "Process Name", "PID", "Operation", "Path", "Detail", "TID", "Parent PID"}
_THREAD = re.compile(r"Thread ID: (\d+)")
_IMAGE = re.compile(r"Image Base: 0x([0-9a-f]{1,16}), Image Size: 0x([0-9a-f]{1,8})$")
_TIME = re.compile(r"(\d{1,2}):(\d\d):(\d\d)\.(\d{7})(?: ([AP])M)?$")


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


def _microseconds(text: str, where: str) -> int:
    match = _TIME.match(text)
    if match is None:
        raise TraceError(f"{where}: {text!r} is not a time of day")
    hours, minutes, seconds = (int(match[part]) for part in (1, 2, 3))
    if match[5]:
        hours = hours % 12 + (12 if match[5] == "P" else 0)
    return ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + int(match[4]) // 10


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rb") as stream:
        data = stream.read(MAX_CSV_BYTES + 1)
    if len(data) > MAX_CSV_BYTES:
        raise TraceError(f"{path.name}: more than {MAX_CSV_BYTES >> 20} MB", hint="export fewer events")
    reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    missing = _COLUMNS.difference(reader.fieldnames or ())
    if missing:
        raise TraceError(
            f"{path.name}: no column {', '.join(sorted(missing))}",
            hint="export from Process Monitor with these columns shown",
        )
    for row in reader:
        yield f"{path.name}:{reader.line_num}", row


class _Collector:
    """One launch while its rows come in."""

    def __init__(self, row: dict[str, str], time: int) -> None:
        self.pid, self.parent_pid, self.creator = int(row["PID"]), int(row["Parent PID"]), row["TID"]
        self.start = time
        self.roles: dict[str, str] = {}
        self.ids: set[str] = set()
        self.events: list[RecordedEvent] = []

    def _role(self, tid: str) -> str:
        return self.roles.get(tid, "parent" if tid == self.creator else "other")

    def add(self, row: dict[str, str], time: int, where: str) -> RecordedLaunch | None:
        by, since = self._role(row["TID"]), time - self.start
        operation = row["Operation"]
        if operation in ("Thread Create", "Thread Exit"):
            found = _THREAD.match(row["Detail"])
            if found is None:
                raise TraceError(f"{where}: no thread id in {row['Detail']!r}")
            if operation == "Thread Create":
                role = self.roles[found[1]] = str(len(self.roles))
                self._event(f"create {role}", "create", by, since, thread=int(role))
            elif found[1] in self.roles:
                role = self.roles[found[1]]
                self._event(f"exit {role}", "exit", role, since, thread=int(role))
        elif operation == "Load Image":
            image = _IMAGE.match(row["Detail"])
            if image is None:
                raise TraceError(f"{where}: no image base in {row['Detail']!r}")
            path = nt_path(row["Path"])
            name = path.rpartition("\\")[2]
            self._event(
                f"load {name}", "load", by, since, image=path, base=int(image[1], 16), size=int(image[2], 16)
            )
        elif operation == "Process Exit" and self.events:
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
    running: dict[str, _Collector] = {}
    done: list[RecordedLaunch] = []
    for where, row in _rows(path):
        if row["Process Name"].casefold() != name.casefold():
            continue
        time = _microseconds(row["Time of Day"], where)
        if row["Operation"] == "Process Start":
            running[row["PID"]] = _Collector(row, time)
        elif (collector := running.get(row["PID"])) is not None:
            launch = collector.add(row, time, where)
            if launch is not None:
                done.append(launch)
                del running[row["PID"]]
    return done
