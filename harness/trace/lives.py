"""The lives of the processes in a recording: which event is about which of them.

A PID is given again after its process has ended, and after a boot every number means something else; so a
process is its life, from its creation to its exit, and has a number of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness.events import Event, ImageLoad, Marker, ProcessCreate, ProcessExit, Reboot

__all__ = ["KERNEL", "MAX_LIVES", "MAX_NAME", "Life", "Lives", "Moment", "file_name"]

MAX_LIVES: Final = 100_000
"""Processes that are told apart; the events of further ones are about no process."""
MAX_NAME: Final = 260
"""Characters of a program's name that are kept, as many as a path had in Windows (``MAX_PATH``)."""
KERNEL: Final = 0
"""As the PID of an image: a driver was mapped."""


@dataclass(frozen=True)
class Moment:
    """When something happened."""

    index: int
    """Of its event."""
    time: int | None
    """Target clock in 100 ns; None where it is not told."""


@dataclass(eq=False)
class Life:
    """A process, as far as the recording has it."""

    number: int
    """In the order in which the recording first names them, from 0."""
    pid: int
    boot: int
    """How often the target had begun anew before it."""
    parent: Life | None = None
    """None: the recording does not tell."""
    program: str = ""
    """File name of its program: as its creation or exit names it, else of the first image that was mapped; of
    the first .exe where the recording does not have its creation."""
    created: Moment | None = None
    """None: it began before the recording."""
    ended: Moment | None = None
    """None: it was still there when the recording ended."""

    @property
    def duration(self) -> int | None:
        """In 100 ns of target time; None where it is not told."""
        if self.created is None or self.ended is None:
            return None
        if self.created.time is None or self.ended.time is None:
            return None
        return self.ended.time - self.created.time


class Lives:
    """Takes the events of a recording in their order and says whose they are. Two that take the same events
    give the same numbers."""

    def __init__(self) -> None:
        self.all: list[Life] = []
        self.beyond = 0
        """Events about processes that came after :data:`MAX_LIVES` others."""
        self.boots = 1
        self._last: dict[int, Life] = {}
        self._used: set[int] = set()
        """Numbers of the lives that are more than a PID which an image or a child named."""

    def take(self, event: Event) -> Life | None:
        """The process that the event is about; None: it is about none, or about one too many."""
        match event:
            case Reboot():
                self.boots += 1
                self._last.clear()
                return None
            case ProcessCreate():
                life = self._create(event)
            case Marker():
                return self._last.get(event.pid)
            case _:
                pid = getattr(event, "pid", None)
                if pid is None:
                    return None
                life = self._last.get(pid) or self._add(pid)
        if life is None:
            self.beyond += 1
            return None
        match event:
            case ProcessExit():
                life.ended = Moment(event.index, event.time)
                life.program = life.program or _kept(event.image)
            case ImageLoad() if life.created is not None or (event.image or "").lower().endswith(".exe"):
                life.program = life.program or _kept(event.image)
        if not isinstance(event, ImageLoad):
            self._used.add(life.number)
        return life

    def _create(self, event: ProcessCreate) -> Life | None:
        life = self._last.get(event.pid)
        if life is None or life.number in self._used:
            life = self._add(event.pid)
        if life is None:
            return None
        life.created = Moment(event.index, event.time)
        life.program = _kept(event.image) or life.program
        if event.parent_pid is not None and event.parent_pid != event.pid:
            parent = self._last.get(event.parent_pid) or self._add(event.parent_pid)
            if parent is not None:
                self._used.add(parent.number)
                life.parent = parent
        return life

    def _add(self, pid: int) -> Life | None:
        if len(self.all) >= MAX_LIVES:
            self._last.pop(pid, None)
            return None
        life = Life(len(self.all), pid, self.boots - 1)
        self.all.append(life)
        self._last[pid] = life
        return life


def file_name(image: str | None) -> str:
    """The last part of a path of the target."""
    return (image or "").replace("/", "\\").rpartition("\\")[2]


def _kept(image: str | None) -> str:
    return file_name(image)[:MAX_NAME]
