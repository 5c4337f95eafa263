"""Nothing passes vacuously: a block that had nothing to look at proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios_of import HEAD, judge, trace

from harness.events import ImageLoad, WitnessName
from harness.order import Observation, check
from harness.scenario import RULES, parse


def test_what_is_forbidden_where_nothing_was_is_not_judged() -> None:
    result = judge("- scope: {pid: 99}\n  never: [{process_exit: {pid: 2}}]", "C1 X1")
    assert not result.passed
    assert not result.broken
    assert [said.reason for said in result.unjudged] == [
        "t.yaml:7: no event fits the scope, so nothing was proved"
    ]
    assert result.unjudged[0].hint.endswith("expect an event in it with `order`")


def test_one_event_in_scope_is_enough() -> None:
    assert judge("- scope: {pid: 1}\n  never: [{process_exit: {pid: 2}}]", "C1 X2").passed


def test_without_a_scope_every_callback_is_in_scope() -> None:
    assert judge("- never: [{process_exit: any}]", "C1").passed


@pytest.mark.parametrize(
    ("witness", "why"),
    [
        ("print", "no line of this driver tells of an image"),
        ("monitor", "nothing in this recording tells of an image"),
        ("target", "no image callback of this driver was called"),
        ("breakpoint", "no image callback of this driver was called"),
    ],
)
@pytest.mark.parametrize("scope", ["", "scope: {pid: 1}\n    "])
def test_of_what_nobody_was_told_there_is_no_proof_that_it_never_came(
    scope: str, witness: WitnessName, why: str
) -> None:
    block = f"  - {scope}never: [{{image_load: any}}]\n"
    scenario = parse(HEAD % ", ".join(RULES) + block, Path("t.yaml"))
    events = trace("C1 X1")
    result = check(scenario, events, {}, Observation.over(scenario, events, witness=witness))
    assert (result.skipped, result.passed, result.broken) == (True, False, False)
    assert [(each.what, each.why) for each in result.unobserved] == [("image_load", why)]
    one = [*events, ImageLoad(index=2, pid=1, image="a.dll")]
    assert check(scenario, one, {}, Observation.over(scenario, one, witness=witness)).broken


def test_the_other_blocks_are_judged_all_the_same() -> None:
    blocks = "- scope: {pid: 99}\n  never: [{process_exit: any}]\n- order: [{process_create: {pid: %d}}]"
    kept, broken = judge(blocks % 1, "C1"), judge(blocks % 2, "C1")
    assert (len(kept.witnesses), kept.broken, kept.passed) == (1, False, False)
    assert broken.broken
    assert len(broken.unjudged) == 1
