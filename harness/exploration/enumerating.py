"""Every schedule of one seed with at most so many preemptions, each exactly once.

A schedule is extended by one preemption behind its last, at each question at which somebody else was able in
its run, for each of them. So the schedules with one preemption more are known once those with fewer were run,
and none is met twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.exploration.watching import Decision

__all__ = ["Choices", "extensions"]

Choices = tuple[tuple[int, int], ...]
"""Step and index of each preemption, by rising steps."""


def extensions(choices: Choices, decisions: tuple[Decision, ...]) -> Iterator[Choices]:
    """The schedules that have one preemption more.

    :param decisions: of the run of ``choices``.
    """
    last = choices[-1][0] if choices else -1
    for decision in decisions:
        if decision.step > last:
            for index in range(1, decision.others + 1):
                yield (*choices, (decision.step, index))
