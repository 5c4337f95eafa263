"""Process Monitor's process events as events, in the order of its rows."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Final

from harness.events import ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.trace.sources.imported import Damaged, ImportedTrace, Seen
from harness.trace.sources.procmon.rows import ProcmonRow, csv_rows

__all__ = ["ProcmonCsv", "ProcmonTrace", "image_place", "thread_of"]

_THREAD: Final = re.compile(r"Thread ID: (\d{1,10})(?:, |$)", re.ASCII)
_IMAGE: Final = re.compile(r"Image Base: 0x([0-9a-f]{1,16}), Image Size: 0x([0-9a-f]{1,8})$")
_PARENT: Final = re.compile(r"Parent PID: (\d{1,10})(?:, |$)", re.ASCII)
_KERNEL: Final = 1 << 63
"""From here on an address of x64 is the kernel's, and an image at it a driver."""


def thread_of(row: ProcmonRow) -> int:
    """The thread that a row about one names.

    :raises Damaged: it names none.
    """
    found = _THREAD.match(row.detail)
    if found is None:
        raise Damaged(f"{row.where}: no thread id in {row.detail[:60]!r}")
    return int(found[1])


def image_place(row: ProcmonRow) -> tuple[int, int]:
    """Base and size that a row about an image names.

    :raises Damaged: it names none.
    """
    found = _IMAGE.match(row.detail)
    if found is None:
        raise Damaged(f"{row.where}: no image base in {row.detail[:60]!r}")
    return int(found[1], 16), int(found[2], 16)


class ProcmonTrace(ImportedTrace):
    """Process Monitor's process events, whatever file they are in.

    "Process Start" is what a process-notify callback sees. "Process Create" is the same moment once more,
    told of the parent, and is left out; so are processes that were there before the recording ("Process
    Defined"). The PID of a row is that of the process it is about (of "Process Create" of the parent, which
    need not be the creator); which process a creating thread belongs to is not told.
    """

    order = "the rows of the recording, by their time of 100 ns"

    @abstractmethod
    def _rows(self) -> Iterator[ProcmonRow]:
        """The recording's rows in their order."""

    def _seen(self) -> Iterator[Seen]:
        for row in self._rows():
            seen = self._event(row)
            if seen is None:
                self.leave_out(row.operation[:40])
            else:
                yield seen

    def _event(self, row: ProcmonRow) -> Seen | None:
        common: dict[str, Any] = {"time": row.time}
        match row.operation:
            case "Process Start":
                parent = _PARENT.match(row.detail)
                return Seen(
                    ProcessCreate,
                    {
                        **common,
                        "pid": row.pid,
                        "parent_pid": int(parent[1]) if parent else row.parent_pid,
                        "creating_tid": row.tid,
                        "image": row.image_path or row.process_name,
                    },
                )
            case "Process Exit":
                image = row.image_path or row.process_name
                return Seen(ProcessExit, {**common, "pid": row.pid, "context_tid": row.tid, "image": image})
            case "Thread Create":
                return Seen(
                    ThreadCreate, {**common, "pid": row.pid, "tid": thread_of(row), "creating_tid": row.tid}
                )
            case "Thread Exit":
                return Seen(
                    ThreadExit, {**common, "pid": row.pid, "tid": thread_of(row), "context_tid": row.tid}
                )
            case "Load Image":
                base, size = image_place(row)
                return Seen(
                    ImageLoad,
                    {
                        **common,
                        "pid": 0 if base >= _KERNEL else row.pid,
                        "image": row.path,
                        "base": base,
                        "size": size,
                        "context_tid": row.tid,
                    },
                )
            case _:
                return None


class ProcmonCsv(ProcmonTrace):
    """A CSV export; it may be compressed by gzip or xz."""

    tool = "Process Monitor CSV"
    ends = False

    def _rows(self) -> Iterator[ProcmonRow]:
        return csv_rows(self.path)
