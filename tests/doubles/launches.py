"""Traces of launches, made from short texts: ``+`` the process, ``t`` a thread, ``x1`` the exit of the first
thread, ``-`` the exit of the process, any other word an image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.trace import Header, TraceWriter

PARENT = 4
ONE_LIFE = """\
scenario: one
summary: One process lives and dies.
steps:
  - sleep: 1ms
expect:
  - order:
      - process_create: {pid: $p}
      - process_exit: {pid: $p}
"""
"""The file of a scenario: a process is created, and it exits."""


def launch(words: str, pid: int = 1000, *, parent: int = PARENT, image: str | None = None) -> list[Event]:
    """The events of one process; its threads have the IDs behind its own."""
    events: list[Event] = []
    threads = 0
    for word in words.split():
        index = len(events)
        if word == "+":
            event: Event = ProcessCreate(
                index=index, pid=pid, parent_pid=parent, creating_pid=parent, creating_tid=8, image=image
            )
        elif word == "-":
            event = ProcessExit(index=index, pid=pid, context_pid=pid, context_tid=pid + 1)
        elif word == "t":
            threads += 1
            by = (parent, 8) if threads == 1 else (pid, pid + 1)
            event = ThreadCreate(
                index=index, pid=pid, tid=pid + threads, creating_pid=by[0], creating_tid=by[1]
            )
        elif word[0] == "x" and word[1:].isdigit():
            tid = pid + int(word[1:])
            event = ThreadExit(index=index, pid=pid, tid=tid, context_pid=pid, context_tid=tid)
        else:
            path = f"\\Device\\HarddiskVolume3\\Windows\\{word}"
            event = ImageLoad(index=index, pid=pid, image=path, context_pid=pid, context_tid=pid + 1)
        events.append(event)
    return events


def indexed(events: Iterable[Event]) -> list[Event]:
    """The same with indices and times of one trace."""
    return [msgspec.structs.replace(event, index=n, time=n * 10) for n, event in enumerate(events)]


def interleaved(*lives: Sequence[Event]) -> list[Event]:
    """One event of each in turn, as one trace."""
    longest = max(map(len, lives))
    return indexed(life[n] for n in range(longest) for life in lives if n < len(life))


def write_trace(
    path: Path, events: Iterable[Event], *, scenario: str | None = None, complete: bool = True
) -> Path:
    """A trace file with these events."""
    with TraceWriter(path, Header(scenario=scenario)) as writer:
        writer.write(indexed(events))
        writer.finish(complete=complete)
    return path
