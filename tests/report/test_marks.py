"""The table of what marks and states are shown as."""

from __future__ import annotations

from harness.order.result import Mark, Status
from harness.report.marks import LAST, LAST_SHOWN, MARKS, STATUS_SIGNS


def test_each_mark_has_words_and_a_sign_of_its_own() -> None:
    assert set(MARKS) == set(Mark) and LAST not in {mark.value for mark in Mark}
    shown = [*MARKS.values(), LAST_SHOWN]
    assert len({one.words for one in shown}) == len({one.sign for one in shown}) == len(shown)
    assert all(len(one.sign) == 1 for one in shown)


def test_each_state_has_a_sign() -> None:
    assert set(STATUS_SIGNS) == set(Status)
