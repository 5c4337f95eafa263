"""The exact tests of counts: how often something may still happen, and whether two counts differ.

SciPy has both (``binomtest``, ``fisher_exact``); it and NumPy are 60 MB for the two sums below, which a test
holds to fractions. Tarone's correction it has not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from math import exp, lgamma, log, log1p
from typing import Final, NamedTuple

__all__ = ["CONFIDENCE", "Table", "at_most", "instances_needed", "significant"]

CONFIDENCE: Final = 0.95
"""Of upper bounds, one-sided."""
_SLACK: Final = 1 + 1e-7
"""Probabilities that rounding alone makes different are the same."""


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


@lru_cache(maxsize=4096)
def at_most(failures: int, trials: int) -> float:
    """Upper bound on a probability, 0 to 1, with 95 % confidence (Clopper and Pearson, one-sided).

    The largest probability with which so few failures come in 5 % of all series. Without a failure that is
    1 - 0.05 ** (1 / trials), about 3 / trials ("rule of three"). 1 where nothing was tried.
    """
    if failures >= trials:
        return 1.0
    if not failures:
        return float(1 - (1 - CONFIDENCE) ** (1 / trials))
    low, high = failures / trials, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        if _binomial_cdf(failures, trials, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _binomial_cdf(k: int, n: int, p: float) -> float:
    """The chance of at most ``k`` of ``n``; 0 < p < 1."""
    return sum(exp(_log_choose(n, i) + i * log(p) + (n - i) * log1p(-p)) for i in range(k + 1))


class Table(NamedTuple):
    """How often something was so and not so, in a first and in a second set of instances."""

    first: int
    """Instances of the first set in which it was so."""
    first_not: int
    second: int
    second_not: int

    @property
    def p(self) -> float:
        """Fisher's exact test, two-sided: how likely a table at least as uneven is where nothing differs."""
        low, chances = _chances(*self._margins)
        return _sum_up_to(chances, chances[self.first - low])

    @property
    def least_p(self) -> float:
        """The smallest p that any table with these sums can have."""
        _, chances = _chances(*self._margins)
        return _sum_up_to(chances, min(chances[0], chances[-1]))

    @property
    def _margins(self) -> tuple[int, int, int]:
        return self.first + self.first_not, self.second + self.second_not, self.first + self.second


@lru_cache(maxsize=1024)
def _chances(first: int, second: int, so: int) -> tuple[int, list[float]]:
    """Of the instances of both sets ``so`` are drawn: the smallest number that can be of the first set, and
    the chances of it and of each larger one."""
    low, high = max(0, so - second), min(so, first)
    whole = _log_choose(first + second, so)
    return low, [
        exp(_log_choose(first, x) + _log_choose(second, so - x) - whole) for x in range(low, high + 1)
    ]


def _sum_up_to(chances: Sequence[float], chance: float) -> float:
    return min(1.0, sum(each for each in chances if each <= chance * _SLACK))


def significant(tables: Sequence[Table], level: float) -> dict[int, float]:
    """Which tables show a difference: their place → the p that was needed.

    The chance that where nothing differs any is among them is at most ``level``, however the tables depend on
    each other. Holm's procedure, step by step; with Tarone's correction only those tables count as
    comparisons whose sums let them reach the p that is needed at all (R. E. Tarone, Biometrics 46, 1990; for
    the steps G. Hommel and F. Krummenauer, Biometrics 54, 1998). What was the same in all instances of both
    sets, such as an order that all keep, costs nothing then.
    """
    least = {place: table.least_p for place, table in enumerate(tables) if table.first + table.second}
    left = {place: p for place, p in least.items() if p <= level}
    found: dict[int, float] = {}
    while left:
        needed = level / _comparisons(sorted(left.values()), level)
        now = [place for place in left if tables[place].p <= needed]
        if not now:
            break
        for place in now:
            found[place] = needed
            del left[place]
    return found


def _comparisons(least: Sequence[float], level: float) -> int:
    """The smallest k such that at most k of the tables can reach level / k."""
    count = len(least)
    k = 1
    while bisect_right(least, level / k) > k:
        k += 1
    return min(k, max(count, 1))


def instances_needed(level: float) -> int:
    """Instances in each of two sets without which no difference can be significant, whatever they show."""
    count = 1
    while Table(count, 0, 0, count).p > level:
        count += 1
    return count
