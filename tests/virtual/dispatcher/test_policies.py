"""The policies on small abstract programs: what they can choose, how evenly, and that they repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from small_programs import PROGRAMS, Interleaving, Program, interleavings, run

from harness.virtual.dispatcher.policies import POLICIES, check_policy, make_policy, with_estimates

TWO_BY_THREE: Program = (((1, True),) * 3, ((1, True),) * 3)
SEEDS = 4_000
"""More than the rarest interleaving of the programs needs; what the seeds give does not change."""


def chosen_of(
    program: Program, policy: Callable[[int], str], possible: set[Interleaving]
) -> set[Interleaving]:
    chosen: set[Interleaving] = set()
    for seed in range(SEEDS):
        chosen.add(run(program, make_policy(policy(seed), seed)))
        if chosen == possible:
            break
    return chosen


@pytest.mark.parametrize("name", ["urw", "pos"])
def test_every_interleaving_of_twenty_small_programs_is_chosen_and_no_other(name: str) -> None:
    for number, program in enumerate(PROGRAMS):
        possible = set(interleavings(program))
        assert chosen_of(program, lambda _seed: name, possible) == possible, f"program {number}"


def test_pct_of_all_depths_chooses_every_interleaving_of_two_threads() -> None:
    """Of three it need not: a thread that fell goes on behind all that never did."""
    for number, program in enumerate(program for program in PROGRAMS if len(program) == 2):
        possible = set(interleavings(program))
        chosen = chosen_of(program, lambda seed: f"pct:depth={seed % 6 + 1},decisions=6", possible)
        assert chosen == possible, f"program {number}"


@pytest.mark.parametrize("name", POLICIES)
def test_a_seed_repeats_itself_and_another_seed_is_another_run(name: str) -> None:
    runs = [run(TWO_BY_THREE, make_policy(name, seed)) for seed in range(50)]
    assert runs == [run(TWO_BY_THREE, make_policy(name, seed)) for seed in range(50)]
    assert (len(set(runs)) > 1) == (name != "default")


def test_the_default_policy_never_switches() -> None:
    assert all(
        run(program, make_policy("default", 1)) == tuple(sorted(run(program, make_policy("default", 1))))
        for program in PROGRAMS
    )


def test_a_uniform_walk_that_knows_the_events_is_uniform() -> None:
    seeds = 2_000
    found = Counter(run(TWO_BY_THREE, make_policy("urw:events=3/3", seed)) for seed in range(seeds))
    assert len(found) == 20
    expected = seeds / 20
    assert sum((count - expected) ** 2 / expected for count in found.values()) < 36.2, "p < 0.01 (19 degrees)"
    unknowing = Counter(run(TWO_BY_THREE, make_policy("urw", seed)) for seed in range(seeds))
    assert max(unknowing.values()) > 2 * expected, "the numbers of events make no difference"


def test_pct_of_depth_one_switches_at_the_beginning_alone() -> None:
    found = {run(TWO_BY_THREE, make_policy("pct:depth=1,decisions=6", seed)) for seed in range(100)}
    assert found == {(0, 0, 0, 1, 1, 1), (1, 1, 1, 0, 0, 0)}


def test_pct_of_depth_two_switches_once_more_at_every_place() -> None:
    found = {run(TWO_BY_THREE, make_policy("pct:depth=2,decisions=6", seed)) for seed in range(400)}
    switches = Counter(sum(a != b for a, b in pairwise(order)) for order in found)
    assert set(switches) == {1, 2}
    assert {order for order in found if order[0] == 0 and order[-1] == 0} == {
        (0, 1, 1, 1, 0, 0),
        (0, 0, 1, 1, 1, 0),
    }


def test_pos_draws_anew_for_accesses_that_race_alone() -> None:
    """Three reads keep the priorities that they have; of three writes each one makes the others' new."""
    reads: Program = (((1, False),) * 3, ((1, False),) * 3)
    apart: Program = (((1, True),) * 3, ((2, True),) * 3)

    def runs(program: Program) -> list[Interleaving]:
        return [run(program, make_policy("pos", seed)) for seed in range(200)]

    assert runs(reads) == runs(apart) != runs(TWO_BY_THREE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("chaos", "there is no policy 'chaos'; known: default, random, urw, pct, pos"),
        ("random:depth=3", "the policy random has no setting 'depth'; it has none"),
        ("pct:events=3", "the policy pct has no setting 'events'; it has depth, decisions"),
        ("pct:depth=0", "depth of the policy pct is a number, 1 to 64, not '0'"),
        ("pct:depth=1/2", "depth of the policy pct is a number, 1 to 64, not '1/2'"),
        ("pct:decisions=x", "decisions of the policy pct is a number, 1 to 1000000, not 'x'"),
        (
            "urw:events=",
            "events of the policy urw is up to 256 numbers with / between them, 0 to 1000000, not ''",
        ),
        ("urw:events=" + "/".join(["1"] * 257), "events of the policy urw is up to 256 numbers"),
    ],
)
def test_what_is_no_policy_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_policy(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("random", "random"),
        ("pos", "pos"),
        ("pct", "pct:decisions=40"),
        ("pct:depth=5", "pct:decisions=40,depth=5"),
        ("pct:decisions=7", "pct:decisions=7"),
        ("urw", "urw:events=30/1/12"),
        ("urw:events=2", "urw:events=2"),
    ],
)
def test_estimates_go_where_a_policy_takes_them_and_was_told_nothing(text: str, told: str) -> None:
    assert with_estimates(text, decisions=40, events=(30, 0, 12)) == told
    assert check_policy(told) == told
