"""Which of those that can run goes first: the one question that the dispatcher asks, at named points.

Everything that explores interleavings is a policy. A policy reads no clock and knows no driver; what it
answers may depend on its seed and on what it was asked before, so that the same seed gives the same run.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, Protocol, runtime_checkable

from harness.virtual.interfaces import ThreadContext

__all__ = ["LookingPolicy", "Point", "Policy", "RandomPolicy", "RunOn"]


class Point(enum.Enum):
    """Where an execution can be made to stand aside."""

    KERNEL_CALL = enum.auto()
    """A call into the kernel has done its work and is about to return."""
    MEMORY_ACCESS = enum.auto()
    """An instruction is about to read or write memory that another execution uses too."""
    MEMORY_READ = enum.auto()
    """Such an instruction has read and has done nothing yet with what it read: others run on the other
    processors only."""

    __hash__ = object.__hash__  # Enum's own is Python, and this is looked up at every access


class Policy(Protocol):
    """Chooses."""

    name: str
    preempts: bool
    """It may choose another than the one that runs; else it need not be asked."""

    def choose(self, point: Point, able: Callable[[], Sequence[ThreadContext]]) -> int:
        """Whom to let run, as an index in what ``able`` gives when it is asked: 0 is the execution that runs
        now, the others are what else would begin soonest, in that order. Those before the chosen one begin
        too."""


@runtime_checkable
class LookingPolicy(Protocol):
    """A policy that is told what each question is about, before it is asked."""

    def look(self, thread: int, word: int, write: bool, at: Callable[[], str]) -> None:
        """The access that the question is about.

        :param thread: TID of the thread that runs.
        :param word: number of the 8-byte word in memory; 0 for a call into the kernel.
        :param write: it writes there.
        :param at: tells where the code is, ``driver.sys+0x1234``; empty for a call.
        """


class RunOn:
    """``default``: whoever runs goes on until it waits or returns."""

    name = "default"
    preempts = False

    def choose(self, point: Point, able: Callable[[], Sequence[ThreadContext]]) -> int:
        """See :class:`Policy`."""
        return 0


class RandomPolicy:
    """``random``: at every point the one that runs stands aside with a probability of one in
    :data:`STAND_ASIDE_EVERY` of that kind of point, for one of the others.

    :param rng: its own generator.
    """

    STAND_ASIDE_EVERY: Final[Mapping[Point, int]] = {
        Point.KERNEL_CALL: 4,
        Point.MEMORY_ACCESS: 16,
        Point.MEMORY_READ: 16,
    }
    name = "random"
    preempts = True

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._bits = rng.getrandbits

    def choose(self, point: Point, able: Callable[[], Sequence[ThreadContext]]) -> int:
        """See :class:`Policy`."""
        # Random.randrange, without its way there: what it draws decides what a seed means.
        every = self.STAND_ASIDE_EVERY[point]
        width = every.bit_length()
        drawn = self._bits(width)
        while drawn >= every:
            drawn = self._bits(width)
        if drawn:
            return 0
        others = len(able()) - 1
        return self._rng.randrange(others) + 1 if others else 0
