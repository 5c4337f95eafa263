"""Processes and threads as the model keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Mapping", "Process", "Thread"]


@dataclass(frozen=True)
class Mapping:
    """An image in a process's address space."""

    path: str
    """NT path."""
    base: int
    size: int


@dataclass(eq=False, slots=True)
class Thread:
    """A thread, from its creation until its object is deleted."""

    tid: int
    process: Process
    ordinal: int
    """How many threads its process had created before it."""
    alive: bool = True
    begun: bool = True
    """It has run, or nobody wants to hear that it begins to."""
    processor: int = 0
    """The one it ran on last."""
    busy_until: int = 0
    """When what it does now is done (100 ns units since boot)."""
    in_kernel: bool = False
    """It is inside a system call that cannot be left half done: it exits afterwards."""
    starts_in: str = ""
    """Base name of the image that its start routine lies in; empty: the program for the first thread, ntdll
    for those that a process makes of itself."""

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.process.pid


@dataclass(eq=False)
class Process:
    """A process, from its creation until its object is deleted."""

    pid: int
    parent_pid: int
    name: str
    """Base name of the executable; ``System`` and ``Registry`` have none of their own."""
    image: str
    """NT path of the executable, or empty."""
    session: int
    arguments: tuple[str, ...] = ()
    wow64: bool = False
    threads: dict[int, Thread] = field(default_factory=dict)
    """Every thread it ever had, by ordinal."""
    mapped: dict[str, Mapping] = field(default_factory=dict)
    """By case-folded NT path."""
    references: dict[str, int] = field(default_factory=dict)
    """LoadLibrary counts of the images loaded by request, by case-folded NT path."""
    ending: bool = False
    """Its end has begun: no new threads, no new images."""
    exited: bool = False
    exit_status: int = 0
    creation_status: int = 0
    """NTSTATUS that its creation ends with: what a driver's callback left in CreationStatus."""
    being_created: bool = False
    """Drivers are told of its creation."""
    ended_early: int | None = None
    """The exit status that a driver ended it with meanwhile."""

    def live_threads(self) -> list[Thread]:
        """Threads that have not exited, oldest first."""
        return [thread for thread in self.threads.values() if thread.alive]
