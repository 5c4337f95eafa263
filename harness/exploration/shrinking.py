"""Fewest preemptions: delta debugging over those of a schedule that failed.

Minimal is a schedule of which neither one nor two preemptions can be left out (delta debugging: Zeller and
Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002); another one may have fewer still.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

__all__ = ["MAX_TRIALS", "shrink"]

MAX_TRIALS: Final = 400
"""Runs that the shrinking of one failure may cost."""

Item = TypeVar("Item")


def shrink(
    items: Sequence[Item], fails: Callable[[Sequence[Item]], bool], *, most: int = MAX_TRIALS
) -> tuple[Item, ...]:
    """A part of ``items``, in their order, with which it still fails and of which neither one nor two
    can be left out.

    :param items: with them it fails.
    :param fails: whether it does with these; asked at most ``most`` times, after which the smallest part that
        was found is the answer.
    """
    left = tuple(items)
    budget = most

    def still(part: Sequence[Item]) -> bool:
        nonlocal budget
        budget -= 1
        return budget >= 0 and fails(part)

    left = _beginning(left, still)
    left = _without_parts(left, still)
    return _without_pairs(left, still)


def _beginning(items: tuple[Item, ...], still: Callable[[Sequence[Item]], bool]) -> tuple[Item, ...]:
    """By halves: nothing of what came after the failure is needed."""
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if still(items[:middle]):
            high = middle
        else:
            low = middle + 1
    return items[:high]


def _without_parts(items: tuple[Item, ...], still: Callable[[Sequence[Item]], bool]) -> tuple[Item, ...]:
    """Leave out ever smaller pieces, down to single ones."""
    pieces = 2
    while items:
        size = max(len(items) // pieces, 1)
        for start in range(0, len(items), size):
            rest = items[:start] + items[start + size :]
            if still(rest):
                items, pieces = rest, max(pieces - 1, 2)
                break
        else:
            if size == 1:
                break
            pieces = min(pieces * 2, len(items))
    return items


def _without_pairs(items: tuple[Item, ...], still: Callable[[Sequence[Item]], bool]) -> tuple[Item, ...]:
    """Leave out two at a time, which often belong together: who stands aside, and who lets him go on."""
    again = True
    while again:
        again = False
        for one, other in itertools.combinations(range(len(items)), 2):
            rest = tuple(item for index, item in enumerate(items) if index not in (one, other))
            if still(rest):
                items, again = _without_parts(rest, still), True
                break
    return items
