"""Processes and threads as the model keeps them, with the kernel addresses their structures have."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

__all__ = ["EPROCESS_REGION", "ETHREAD_REGION", "Mapping", "ObjectSlots", "Process", "Thread"]

EPROCESS_REGION = 0xFFFF_A100_0000_0000
"""Where process objects lie."""
ETHREAD_REGION = 0xFFFF_A100_1000_0000
"""Where thread objects lie."""
SLOT_SIZE = 0x1000
"""An EPROCESS (0x880 bytes in build 18362) or ETHREAD with its object header has a page of its own."""
SLOTS = 0x1000_0000 // SLOT_SIZE


class ObjectSlots:
    """Addresses for kernel objects of one kind: page-sized slots, the lowest free one first."""

    def __init__(self, region: int) -> None:
        self._region = region
        self._free: list[int] = []
        self._next = 0

    def allocate(self) -> int:
        """The address of a free slot; OverflowError when 65536 objects exist."""
        if self._free:
            return heapq.heappop(self._free)
        if self._next == SLOTS:
            raise OverflowError(f"no slot left for another object at 0x{self._region:x}")
        self._next += 1
        return self._region + (self._next - 1) * SLOT_SIZE

    def free(self, address: int) -> None:
        """The object at ``address`` is gone."""
        heapq.heappush(self._free, address)


@dataclass(frozen=True)
class Mapping:
    """An image in a process's address space."""

    path: str
    """NT path."""
    base: int
    size: int


@dataclass(eq=False)
class Thread:
    """A thread, from its creation until its object is deleted."""

    tid: int
    process: Process
    ordinal: int
    """How many threads its process had created before it."""
    address: int
    """Of its ETHREAD."""
    create_time: int
    """100 ns units since boot."""
    alive: bool = True
    processor: int = 0
    """The one it ran on last."""
    busy_until: int = 0
    """When what it does now is done (100 ns units since boot)."""
    in_kernel: bool = False
    """It is inside a system call that cannot be left half done: it exits afterwards."""


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
    address: int
    """Of its EPROCESS."""
    create_time: int
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

    def live_threads(self) -> list[Thread]:
        """Threads that have not exited, oldest first."""
        return [thread for thread in self.threads.values() if thread.alive]
