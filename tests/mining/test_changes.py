"""What differs between two sets of instances."""

from __future__ import annotations

import os
from random import Random

import pytest
from test_relations import mined

from harness.mining.changes import Changes, find_changes

PAIRS = int(os.environ.get("PROCNOTIFY_EQUAL_SETS", "100"))
"""Pairs of equal sets; 1,000 take half a minute."""


def told(found: Changes) -> list[tuple[str, str]]:
    return [
        (each.kind, each.a.what if each.b is None else f"{each.a.what} {each.b.what}") for each in found.found
    ]


def compare(first: list[str], second: list[str], level: float = 0.01) -> Changes:
    return find_changes(mined(first), mined(second), level)


@pytest.mark.parametrize(
    ("first", "second", "differences"),
    [
        (["abc"] * 30, ["abc"] * 30, []),
        (["abc"] * 30, ["acb"] * 30, [("flipped", "b c")]),
        (["abc"] * 30, ["acb"] * 15 + ["abc"] * 15, [("became_mixed", "b c")]),
        (["acb"] * 15 + ["abc"] * 15, ["abc"] * 30, [("became_fixed", "b c")]),
        (["ab"] * 38 + ["ba"] * 2, ["ab"] * 10 + ["ba"] * 30, [("shifted", "a b")]),
        (["ab"] * 30, ["abc"] * 30, [("new", "c")]),
        (["abc"] * 30, ["ab"] * 30, [("gone", "c")]),
        (["a"] * 28 + ["ab"] * 2, ["ab"] * 30, [("more_often", "b")]),
        (["ab"] * 30, ["a"] * 28 + ["ab"] * 2, [("less_often", "b")]),
    ],
)
def test_each_kind_of_difference(
    first: list[str], second: list[str], differences: list[tuple[str, str]]
) -> None:
    found = compare(first, second)
    assert told(found) == differences
    assert found.able
    assert found.unproved == ()


def test_the_counts_are_those_of_the_instances_that_hold_both() -> None:
    (each,) = compare(["ab"] * 20 + ["a"] * 5, ["ba"] * 20 + ["a"] * 5).found
    assert (each.kind, *each.table) == ("flipped", 20, 0, 0, 20)
    assert each.p < 1e-10 < each.needed


def test_a_pair_told_the_other_way_round_is_the_same_pair() -> None:
    (each,) = compare(["ba"] * 30, ["ab"] * 30).found
    assert (each.a.what, each.b.what if each.b else "", *each.table) == ("b", "a", 30, 0, 0, 30)


def test_too_few_instances_prove_nothing_and_say_so() -> None:
    found = compare(["abc"] * 3, ["acb"] * 3)
    assert (found.able, told(found)) == (False, [])
    assert [(each.kind, each.a.what) for each in found.unproved] == [("flipped", "b")]
    assert compare(["ab"] * 5, ["ba"] * 5).able
    new = compare(["a"] * 3, ["ab"] * 3)
    assert [(each.kind, each.a.what) for each in new.unproved] == [("new", "b")]


def test_what_is_not_without_exception_is_not_called_unproved() -> None:
    assert compare(["ab"] * 30, ["ab"] * 29 + ["ba"]).unproved == ()
    assert compare(["a"] * 30, ["a"] * 29 + ["ab"]).unproved == ()


def instance(random: Random) -> list[str]:
    """Twelve events in a random order that keeps some of it, some of them not always there."""
    names = [name for name in "abcdefghijkl" if name < "h" or random.random() < 0.7]
    return sorted(names, key=lambda name: ord(name) + random.random() * 5)


def test_equal_sets_give_no_more_false_alarms_than_the_level() -> None:
    random = Random(12)
    alarms = 0
    for _ in range(PAIRS):
        first, second = ([instance(random) for _ in range(25)] for _ in range(2))
        alarms += bool(find_changes(mined(first), mined(second), 0.01).found)
    assert alarms <= PAIRS / 100
