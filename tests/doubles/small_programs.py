"""Small abstract programs: threads that use a few words of memory, run under a policy or in every order.

The thread that runs asks the policy before each of its accesses, and whoever is chosen makes the access that
it stands before and runs on. A thread that has ended hands over to the first that has not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from random import Random
from typing import Final, TypeAlias

from harness.virtual.dispatcher.policy import LookingPolicy, Point, Policy
from harness.virtual.interfaces import ThreadContext

__all__ = ["PROGRAMS", "Access", "Interleaving", "Program", "interleavings", "run"]

Access: TypeAlias = tuple[int, bool]
"""The number of a word, from 1, and whether it is written."""
Program: TypeAlias = tuple[tuple[Access, ...], ...]
"""The accesses of each thread."""
Interleaving: TypeAlias = tuple[int, ...]
"""Which thread made each access."""


def run(program: Program, policy: Policy) -> Interleaving:
    """One run."""
    left = [list(accesses) for accesses in program]
    made: list[int] = []
    running = 0
    looking = policy if isinstance(policy, LookingPolicy) else None
    while any(left):
        if not left[running]:
            running = next(number for number, accesses in enumerate(left) if accesses)
        order = [running, *(other for other, rest in enumerate(left) if rest and other != running)]
        threads = [ThreadContext(4, 8 + 4 * number, 0) for number in order]
        if looking is not None:
            looking.look(threads[0].tid, *left[running][0], str)
        running = order[policy.choose(Point.MEMORY_ACCESS, partial(list, threads))]
        left[running].pop(0)
        made.append(running)
    return tuple(made)


def interleavings(program: Sequence[Sequence[Access]]) -> Iterator[Interleaving]:
    """Every order in which the accesses can be made."""
    if not any(program):
        yield ()
    for number, accesses in enumerate(program):
        if accesses:
            rest = [*program[:number], accesses[1:], *program[number + 1 :]]
            for order in interleavings(rest):
                yield (number, *order)


def _programs() -> Iterator[Program]:
    rng = Random(12)
    shapes = [(1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (1, 1, 1), (2, 1, 1), (2, 2, 1), (3, 1, 1), (4, 2)]
    for shape in (*shapes, *shapes):
        yield tuple(tuple((rng.randrange(1, 4), rng.random() < 0.5) for _ in range(count)) for count in shape)


PROGRAMS: Final[tuple[Program, ...]] = tuple(_programs())
"""Twenty, of two and three threads."""
