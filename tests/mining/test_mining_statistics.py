"""The exact tests, held to sums of fractions, and what they promise."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.mining.statistics import Table, at_most, instances_needed, significant

small = st.integers(0, 12)


def fisher(table: Table) -> Fraction:
    """By definition: all tables with these sums that are no more likely."""
    first, second = table.first + table.first_not, table.second + table.second_not
    so = table.first + table.second
    ways = {x: comb(first, x) * comb(second, so - x) for x in range(max(0, so - second), min(so, first) + 1)}
    seen = ways[table.first]
    return Fraction(sum(each for each in ways.values() if each <= seen), comb(first + second, so))


@settings(max_examples=40)
@given(small, small, small, small)
def test_fishers_test_is_its_definition(a: int, b: int, c: int, d: int) -> None:
    table = Table(a, b, c, d)
    assert table.p == pytest.approx(float(fisher(table)), rel=1e-9)
    assert table.least_p <= table.p * (1 + 1e-9)


@settings(max_examples=40)
@given(st.integers(0, 40), st.integers(1, 40))
def test_the_bound_is_where_so_few_failures_are_a_chance_of_five_percent(failures: int, more: int) -> None:
    trials = failures + more
    bound = Fraction(at_most(failures, trials))
    chance = sum(comb(trials, i) * bound**i * (1 - bound) ** (trials - i) for i in range(failures + 1))
    assert float(chance) == pytest.approx(0.05, abs=1e-6)


def test_the_rule_of_three() -> None:
    assert at_most(0, 30) == pytest.approx(0.0950, abs=1e-4)
    assert at_most(0, 300) == pytest.approx(0.01, rel=0.01)
    assert at_most(0, 10**9) == pytest.approx(3e-9, rel=0.01)
    assert at_most(3, 3) == at_most(0, 0) == 1.0


def test_what_never_varies_costs_nothing() -> None:
    changed = Table(10, 0, 0, 10)
    same = [Table(10, 0, 10, 0)] * 100_000
    assert set(significant([changed, *same], 0.01)) == {0}


def test_many_that_vary_by_chance_raise_what_is_needed() -> None:
    weak = Table(10, 0, 3, 7)
    assert set(significant([weak], 0.01)) == {0}
    assert significant([weak, *[Table(5, 5, 5, 5)] * 1000], 0.01) == {}


def test_a_step_down_finds_what_the_first_step_does_not() -> None:
    strong, weak = Table(20, 0, 0, 20), Table(20, 0, 13, 7)
    assert 0.01 / 3 < weak.p < 0.01
    found = significant([strong, strong, weak], 0.01)
    assert set(found) == {0, 1, 2}
    assert found[2] >= found[0]


@settings(max_examples=40)
@given(st.lists(st.tuples(small, small, small, small).map(lambda row: Table(*row)), max_size=8))
def test_whatever_is_found_is_so_by_holm_among_those_that_could_be(tables: list[Table]) -> None:
    found = significant(tables, 0.05)
    for place, needed in found.items():
        assert tables[place].p <= needed <= 0.05
    testable = [t for t in tables if t.first + t.second and t.least_p <= 0.05]
    bonferroni = {
        n for n, t in enumerate(tables) if testable and t.p <= 0.05 / len(testable) and t in testable
    }
    assert bonferroni <= set(found)


@pytest.mark.parametrize(("level", "count"), [(0.05, 4), (0.01, 5), (0.001, 7)])
def test_so_many_instances_are_needed_at_all(level: float, count: int) -> None:
    assert instances_needed(level) == count
    assert Table(count, 0, 0, count).p <= level < Table(count - 1, 0, 0, count - 1).p


def binomial(runs: int, failures: int, chance: float) -> float:
    return sum(comb(runs, k) * chance**k * (1 - chance) ** (runs - k) for k in range(failures, runs + 1))


def power(runs: int, level: float, chance: float, before: int | None = None) -> float:
    """How often an order that was always one way and now is the other way with that chance is found.

    :param before: runs in which it was always one way; None: as many.
    """
    old = before or runs
    least = next(k for k in range(runs + 1) if significant([Table(old, 0, runs - k, k)], level))
    return binomial(runs, least, chance)


def test_a_shift_of_five_points_in_two_hundred_runs() -> None:
    # Ten of the 200 new runs the other way: found whatever else is the same, at the level of the default.
    assert significant([Table(200, 0, 190, 10), *[Table(200, 0, 200, 0)] * 2000], 0.01)
    # Where each run goes the other way with a chance of 5 %, there are 10 in the mean, but not always.
    assert power(200, 0.01, 0.05) == pytest.approx(0.787, abs=0.005)
    assert power(200, 0.05, 0.05) == pytest.approx(0.938, abs=0.005)
    assert power(200, 0.1, 0.05) > 0.95
    assert power(210, 0.05, 0.05) > 0.95
    assert power(270, 0.01, 0.05) > 0.95
    assert power(200, 0.01, 0.05, before=310) == pytest.approx(0.974, abs=0.005)
    # From 50 to 55 % nothing of the kind can be seen with 200 runs.
    assert not significant([Table(100, 100, 110, 90)], 0.05)


def test_the_power_is_what_is_drawn() -> None:
    random = Random(3)
    found = 0
    for _ in range(300):
        other = sum(random.random() < 0.05 for _ in range(270))
        found += bool(significant([Table(270, 0, 270 - other, other)], 0.01))
    assert found >= 0.93 * 300
