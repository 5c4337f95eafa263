"""Prints through a network that loses, doubles, reorders and damages: none lost in silence, none doubled.

By default a sample; PROCNOTIFY_LOSSY_PRINTS=1000000 prints a million.
"""

from __future__ import annotations

import os

import pytest
from lossy_net import Faults, LossyNet

PRINTS = int(os.environ.get("PROCNOTIFY_LOSSY_PRINTS", "40000"))
"""In all, over the networks below."""

NETWORKS = {
    Faults(): 4,
    Faults(lost=0.01): 3,
    Faults(lost=0.1, doubled=0.1): 2,
    Faults(late=0.2): 2,
    Faults(lost=0.05, doubled=0.05, late=0.1, flipped=0.05): 2,
    Faults(flipped=0.5): 1,
    Faults(lost=0.2, doubled=0.2, late=0.2, flipped=0.2): 1,
    Faults(lost=0.3, doubled=0.5, late=0.5, flipped=0.5): 1,
}
"""And what share of the prints each gets: where most is lost a print costs most."""


@pytest.mark.parametrize(("faults", "share"), list(NETWORKS.items()), ids=str)
def test_every_print_arrives_once_and_in_order(faults: Faults, share: int) -> None:
    prints = PRINTS * share // sum(NETWORKS.values())
    outcome = LossyNet(faults, seed=prints + share).run(prints)
    print(outcome)
    assert outcome.prints == prints
    assert (outcome.missing, outcome.doubled, outcome.misplaced, outcome.altered) == (0, 0, 0, 0)
    expected = {name for name in ("lost", "doubled", "late", "flipped") if getattr(faults, name)}
    assert set(outcome.faults) == expected
    if max(faults.lost, faults.flipped) <= 0.1:
        assert outcome.given_up == 0


def test_the_same_seed_takes_the_same_course() -> None:
    first, second, other = (
        LossyNet(Faults(lost=0.1, doubled=0.1, late=0.1, flipped=0.1), seed=seed).run(50)
        for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other
