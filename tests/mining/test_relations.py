"""Counting over instances, held to its definition."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness.mining.relations as relations_module
from harness.errors import UsageError
from harness.mining.relations import Miner, Relations
from harness.mining.roles import EventName
from harness.mining.statistics import at_most

Sequences = list[list[str]]


def event(name: str) -> EventName:
    """``a``, or ``a#2`` for the second time of it."""
    word, _, nth = name.partition("#")
    return EventName("image_load", "", word, int(nth or 1))


def mined(sequences: Sequence[Sequence[str]]) -> Relations:
    miner = Miner()
    for sequence in sequences:
        miner.add([(event(name), None) for name in sequence])
    return miner.relations()


sequences = st.lists(
    st.permutations(list("abcdef")).flatmap(lambda names: st.integers(0, 6).map(lambda n: names[:n])),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40)
@given(sequences)
def test_every_pair_is_what_its_definition_says(found: Sequences) -> None:
    relations = mined(found)
    present = sorted({name for sequence in found for name in sequence})
    pairs = {(pair.a.what, pair.b.what): pair for pair in relations.pairs()}
    assert len(pairs) == len(present) * (len(present) - 1) // 2
    for one, other in combinations(present, 2):
        both = [sequence for sequence in found if one in sequence and other in sequence]
        first = sum(sequence.index(one) < sequence.index(other) for sequence in both)
        a, b = (one, other) if first >= len(both) - first else (other, one)
        pair = pairs[a, b]
        assert (pair.before, pair.after) == (max(first, len(both) - first), min(first, len(both) - first))
        assert pair.relation == (
            "never_together" if not both else "mixed" if 0 < first < len(both) else "always"
        )
        expected = None if pair.relation == "mixed" else at_most(0, len(both) or len(found))
        assert relations.fails_at_most(pair) == expected


@settings(max_examples=40)
@given(sequences)
def test_shared_events_are_those_that_every_instance_holds(found: Sequences) -> None:
    relations = mined(found)
    of_all = set.intersection(*map(set, found))
    assert {name.what for name in relations.shared} == of_all
    assert {name.what for name in relations.occasional} == {n for s in found for n in s} - of_all
    assert {name.what: count for name, count in relations.counts.items()} == {
        name: sum(name in sequence for sequence in found) for sequence in found for name in sequence
    }


@settings(max_examples=40)
@given(sequences)
def test_an_instance_is_alone_with_what_no_other_shows(found: Sequences) -> None:
    def facts(sequence: Sequence[str]) -> set[object]:
        return {*sequence, *combinations(sequence, 2)}

    alone = 0
    for place, sequence in enumerate(found):
        others = set().union(*(facts(other) for n, other in enumerate(found) if n != place))
        alone += not facts(sequence) <= others
    relations = mined(found)
    assert relations.alone == alone
    assert relations.news_at_most == at_most(alone, len(found))


@settings(max_examples=40)
@given(sequences, st.randoms(use_true_random=False))
def test_the_order_of_the_instances_and_their_batches_do_not_matter(found: Sequences, random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    before = relations_module.MAX_VARIANTS
    relations_module.MAX_VARIANTS = 2
    try:
        batched = mined(shuffled)
    finally:
        relations_module.MAX_VARIANTS = before
    whole = mined(found)
    assert list(batched.pairs()) == list(whole.pairs())
    assert (batched.counts, batched.alone) == (whole.counts, whole.alone)


def test_the_first_and_the_second_time_of_one_event_are_no_pair() -> None:
    relations = mined([["a", "b", "a#2"], ["a", "a#2", "b"], ["a", "b"]])
    assert [(str(p.a), str(p.b), p.relation) for p in relations.pairs()] == [
        ("image_load:a", "image_load:b", "always"),
        ("image_load:a#2", "image_load:b", "mixed"),
    ]
    assert relations.multiplicity(event("a")) == (1, 2)
    assert relations.multiplicity(event("b")) == (1, 1)


def test_who_did_it_is_counted() -> None:
    miner = Miner()
    miner.add([(event("a"), "thread1"), (event("b"), None)])
    miner.add([(event("a"), "thread2"), (event("b"), None)])
    assert miner.relations().actors == {event("a"): {"thread1": 1, "thread2": 1}}


def test_enough_is_seen_when_little_is_new() -> None:
    assert not mined([["a"]] * 58).enough
    assert mined([["a"]] * 59).enough
    relations = mined([["a", "b"]] * 99 + [["b", "a"]])
    assert (relations.alone, relations.enough) == (1, True)
    few = mined([["a", "b"]] * 30 + [["b", "a"]])
    assert not few.enough
    needed = few.instances_for_enough
    assert at_most(1, needed) <= relations_module.ENOUGH < at_most(1, needed - 1)


def test_different_events_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations_module, "MAX_EVENTS", 3)
    assert mined([["a", "b"], ["c"]]).instances == 2
    with pytest.raises(UsageError, match="more than 3 different events"):
        mined([["a", "b"], ["c", "d"]])


def test_of_kinds_without_an_order_no_order_is_told() -> None:
    miner = Miner()
    for names in (["a", "b"], ["b", "a"], ["a", "b"]):
        miner.add([(EventName("process_create"), None), *((event(name), None) for name in names)])
    relations = miner.relations(frozenset({"image_load"}))
    assert list(relations.pairs()) == []
    assert len(relations.shared) == 3
    assert relations.alone == 0
    assert miner.relations().alone == 1
