"""The order that all instances keep: reduced, in layers, and as lists and sets of lists."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_relations import mined

import harness.mining.partialorder as partialorder
from harness.mining.partialorder import Chain, Events, PartialOrder, Together
from harness.mining.roles import EventName

NAMES = "abcdefg"
Edge = tuple[str, str]

permuted = st.lists(st.permutations(list(NAMES)), min_size=1, max_size=6)


def always(found: Sequence[Sequence[str]]) -> set[Edge]:
    """By definition."""
    return {(a, b) for a, b in permutations(NAMES, 2) if all(each.index(a) < each.index(b) for each in found)}


def closure(edges: set[Edge]) -> set[Edge]:
    found = set(edges)
    while more := {(a, d) for a, b in found for c, d in found if b == c} - found:
        found |= more
    return found


def names_in(item: Events) -> list[str]:
    return [item.what] if isinstance(item, EventName) else [n for part in item.parts for n in names_in(part)]


def says(item: Events) -> set[Edge]:
    """What lists and sets of lists say."""
    if isinstance(item, EventName):
        return set()
    found = {edge for part in item.parts for edge in says(part)}
    if isinstance(item, Chain):
        for one, other in combinations(item.parts, 2):
            found |= {(a, b) for a in names_in(one) for b in names_in(other)}
    return found


@settings(max_examples=40)
@given(permuted)
def test_the_reduction_says_all_and_nothing_twice(found: list[list[str]]) -> None:
    order = PartialOrder(mined(found))
    edges = {(a.what, b.what) for a, b in order.edges}
    assert closure(edges) == always(found)
    for edge in edges:
        assert edge not in closure(edges - {edge})


@settings(max_examples=40)
@given(permuted)
def test_lists_and_chains_beside_them_say_exactly_what_always_holds(found: list[list[str]]) -> None:
    order = PartialOrder(mined(found))
    beside = {(a.what, b.what) for chain in order.beside for a, b in pairwise(chain)}
    assert closure(says(order.as_lists) | beside) == always(found)
    assert sorted(names_in(order.as_lists)) == list(NAMES)


@settings(max_examples=40)
@given(permuted)
def test_layers_and_the_list_of_events_keep_the_order(found: list[list[str]]) -> None:
    order = PartialOrder(mined(found))
    layer = {name.what: depth for depth, names in enumerate(order.layers) for name in names}
    place = {name.what: rank for rank, name in enumerate(order.events)}
    for a, b in always(found):
        assert layer[a] < layer[b]
        assert place[a] < place[b]
    assert sorted(layer) == sorted(place) == list(NAMES)


def test_two_that_swap_stand_in_a_set_and_a_chain_beside_one_event_too() -> None:
    order = PartialOrder(mined(["abcd", "acbd", "abcd"]))
    a, b, c, d = (name for name in order.events)
    assert order.as_lists == Chain((a, Together((b, c), whole=True), d))
    assert order.beside == []
    assert [a.what, d.what] == ["a", "d"]


def test_what_no_list_can_say_stands_beside() -> None:
    # a before c, b before c and d: the letter N.
    found = ["abcd", "bdac", "abdc", "badc"]
    order = PartialOrder(mined(found))
    (group,) = order.as_lists.parts
    assert isinstance(group, Together)
    assert not group.whole
    assert sorted([name.what for name in chain] for chain in order.beside) == [
        ["a", "c"],
        ["b", "c"],
        ["b", "d"],
    ]


def test_what_would_be_nested_too_deep_stands_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partialorder, "MAX_NESTING", 1)
    order = PartialOrder(mined(["abcd", "acbd", "cabd"]))
    assert closure(says(order.as_lists)) < {("a", "b"), ("a", "d"), ("b", "d"), ("c", "d")}
    assert [[name.what for name in chain] for chain in order.beside] == [["a", "b"]]


def test_no_instance_has_nothing_in_common() -> None:
    order = PartialOrder(mined(["ab", ""]))
    assert (order.events, order.as_lists, list(order.edges), order.layers) == ((), Chain(()), [], [])
