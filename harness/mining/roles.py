"""Roles in place of numbers: which process and which thread of its instance an event is of.

PIDs and TIDs are another machine's, another boot's, another launch's. :func:`named` gives each event of an
instance a name without them, so that the same event of two instances has the same name:

=======================================  ==================================================================
``process_create``, ``process_exit``     the process of the instance
``thread_create:thread1``                its first thread; ``thread2`` is the second that was created in it
``thread_exit:thread1``                  the exit of that thread; ``thread_exit:other``: of one whose creation
                                         the instance does not hold
``image_load:ntdll.dll``                 an image, by its base name in lower case
``image_load:ntdll.dll#2``               the second event of one name
``process_create:conhost.exe``           another process of the instance, by its program (what descends from
                                         the process of a ``tree=``, each process of a ``scenario=`` or
                                         ``marker=`` window); the second of one program is ``conhost.exe#2``
``thread_create:conhost.exe/thread1``    a thread of it; ``image_load:conhost.exe/ntdll.dll``: an image of it
``marker:launch/begin``                  the guest helper begins an action
=======================================  ==================================================================

Who did it is a role, too: ``thread1`` a thread of the process (``conhost.exe/thread1`` of another process of
the instance), ``parent`` a thread of the process that created it, ``other`` any other thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from harness.events import (
    KINDS,
    Event,
    ImageLoad,
    Marker,
    ProcessCreate,
    ProcessExit,
    ThreadCreate,
    ThreadExit,
)
from harness.ntpaths import base_name

__all__ = ["MAX_AGAIN", "MAX_NAME", "UNKNOWN", "EventName", "NamedEvent", "image_named", "named"]

MAX_AGAIN: Final = 16
"""Events of one name in one instance that are told apart; the later ones are left out."""
MAX_NAME: Final = 255
"""Characters of an image's base name that are looked at, as many as a component of a path may have."""
UNKNOWN: Final = "unknown"
"""An image without a name, and the program of a process of which no image was seen."""
_KINDS: Final = {cls: kind for kind, cls in KINDS.items()}


class EventName(NamedTuple):
    """An event of an instance, in roles."""

    kind: str
    """A key of :data:`harness.events.KINDS`."""
    process: str = ""
    """Program of the process, ``#2`` for the second of it; empty: the process of the instance."""
    what: str = ""
    """The thread (``thread1``), the image (``ntdll.dll``) or the action (``launch/begin``)."""
    nth: int = 1
    """Which event of that name in the instance."""

    @property
    def first(self) -> EventName:
        """The first event of this name."""
        return self._replace(nth=1)

    def __str__(self) -> str:
        of = f"{self.process}/{self.what}" if self.process and self.what else self.process or self.what
        again = f"#{self.nth}" if self.nth > 1 else ""
        return f"{self.kind}:{of}{again}" if of else f"{self.kind}{again}"


class NamedEvent(NamedTuple):
    """An event and what it is in its instance."""

    name: EventName
    by: str | None
    """Role of the thread that did it; None: not told."""
    event: Event


class _Process:
    """A process of an instance, while its events come in."""

    def __init__(self, own: bool) -> None:
        self.own = own
        self.program: str | None = None
        self.threads = 0
        """How many were created in it."""
        self.name = ""


def named(events: Iterable[Event], root: int | None) -> tuple[list[NamedEvent], int]:
    """The callbacks and markers of an instance in roles, and how many were of processes that began outside.

    :param events: of the instance, in capture order.
    :param root: PID of the process whose instance it is; None: a window, in which every process goes by its
        program.
    """
    processes: dict[int, _Process] = {}
    threads: _Threads = {}
    order: list[_Process] = []
    creator: tuple[int | None, int | None] = None, None
    found: list[tuple[Event, _Process | None, str, str | _Actor | None]] = []
    outside = 0
    for event in events:
        if isinstance(event, Marker):
            found.append((event, None, f"{event.action}/{event.phase}", None))
            continue
        if not isinstance(event, ProcessCreate | ProcessExit | ThreadCreate | ThreadExit | ImageLoad):
            continue
        if isinstance(event, ProcessCreate):
            process = _Process(own=root is not None and event.pid == root and not order)
            process.program = _image(event.image) if event.image else None
            processes[event.pid] = process
            order.append(process)
            if process.own:
                pid = event.creating_pid if event.creating_pid is not None else event.parent_pid
                creator = pid, event.creating_tid
        known = None if event.pid is None else processes.get(event.pid)
        if known is None:
            outside += 1
            continue
        what = ""
        if isinstance(event, ImageLoad):
            what = _image(event.image) if event.image else UNKNOWN
            known.program = known.program or what
        elif isinstance(event, ThreadCreate):
            known.threads += 1
            threads[event.tid] = (known, what := f"thread{known.threads}")
        elif isinstance(event, ThreadExit):
            what = _thread_of(known, event.tid, threads)
        found.append((event, known, what, _actor(event, processes, threads, creator)))
    programs: Counter[str] = Counter()
    for process in order:
        if not process.own:
            program = process.program or UNKNOWN
            programs[program] += 1
            process.name = program if programs[program] == 1 else f"{program}#{programs[program]}"
    result: list[NamedEvent] = []
    again: Counter[tuple[str, str, str]] = Counter()
    for event, of, what, by in found:
        key = (_KINDS[type(event)], of.name if of is not None else "", what)
        again[key] += 1
        if again[key] <= MAX_AGAIN:
            result.append(NamedEvent(EventName(*key, again[key]), str(by) if by is not None else None, event))
    return result, outside


class _Actor(NamedTuple):
    """A thread of a process of the instance, whose program may not be known yet."""

    process: _Process
    thread: str

    def __str__(self) -> str:
        return f"{self.process.name}/{self.thread}" if self.process.name else self.thread


_Threads: TypeAlias = dict[int, tuple[_Process, str]]
"""TID → its process and which thread of that it is; of a TID that came back the latest."""


def _thread_of(process: _Process, tid: int | None, threads: _Threads) -> str:
    known = None if tid is None else threads.get(tid)
    return known[1] if known is not None and known[0] is process else "other"


@lru_cache(maxsize=4096)
def _image(path: str) -> str:
    """An image by its base name; a # in it is not that of a second time."""
    return base_name(path).lower()[:MAX_NAME].replace("%", "%25").replace("#", "%23")


def image_named(what: str) -> str | None:
    """The base name that an image goes by in an :class:`EventName`; None: it has none, or is not told."""
    return None if what == UNKNOWN else what.replace("%23", "#").replace("%25", "%")


def _actor(
    event: Event,
    processes: dict[int, _Process],
    threads: _Threads,
    creator: tuple[int | None, int | None],
) -> str | _Actor | None:
    """Who did it.

    :param creator: PID and TID of who created the process of the instance.
    """
    if isinstance(event, ProcessCreate | ThreadCreate):
        pid, tid = event.creating_pid, event.creating_tid
    elif isinstance(event, ProcessExit | ThreadExit | ImageLoad):
        pid, tid = event.context_pid, event.context_tid
    else:
        return None
    if pid is None:
        if tid is None:
            return None
        # A recording may tell the thread alone, and a TID stands for one thread of the whole system.
        if tid in threads:
            return _Actor(*threads[tid])
        return "parent" if tid == creator[1] else "other"
    process = processes.get(pid)
    if process is None:
        return "parent" if pid == creator[0] else "other"
    return _Actor(process, _thread_of(process, tid, threads))
