"""Nothing passes vacuously: a block that had nothing to look at proves nothing."""

from __future__ import annotations

import pytest
from scenarios_of import judge

NOTHING_IN_SCOPE = {
    "a scope that fits no event": "- scope: {pid: 99}\n  never: [{process_exit: {pid: 2}}]",
    "a scope of a kind that never came": "- scope: {image: a.dll}\n  never: [{image_load: any}]",
}


@pytest.mark.parametrize("block", NOTHING_IN_SCOPE.values(), ids=NOTHING_IN_SCOPE)
def test_what_is_forbidden_where_nothing_was_is_not_judged(block: str) -> None:
    result = judge(block, "C1 X1")
    assert not result.passed
    assert not result.broken
    assert [said.reason for said in result.unjudged] == [
        "t.yaml:7: no event fits the scope, so nothing was proved"
    ]
    assert result.unjudged[0].hint.endswith("expect an event in it with `order`")


def test_one_event_in_scope_is_enough() -> None:
    assert judge("- scope: {pid: 1}\n  never: [{process_exit: {pid: 2}}]", "C1 X2").passed


def test_without_a_scope_every_callback_is_in_scope() -> None:
    assert judge("- never: [{image_load: any}]", "C1").passed


def test_the_other_blocks_are_judged_all_the_same() -> None:
    blocks = "- scope: {pid: 99}\n  never: [{process_exit: any}]\n- order: [{process_create: {pid: %d}}]"
    kept, broken = judge(blocks % 1, "C1"), judge(blocks % 2, "C1")
    assert (len(kept.witnesses), kept.broken, kept.passed) == (1, False, False)
    assert broken.broken
    assert len(broken.unjudged) == 1
