"""Ids come in fours and are reused first in, first out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.virtual.nt.ids import ENTRIES_PER_PAGE, CidTable


def test_fresh_ids_ascend_in_fours() -> None:
    table = CidTable()
    assert [table.allocate() for _ in range(4)] == [4, 8, 12, 16]


def test_a_page_does_not_give_out_its_first_entry() -> None:
    table = CidTable()
    numbers = [table.allocate() for _ in range(ENTRIES_PER_PAGE)]
    assert numbers[-2:] == [ENTRIES_PER_PAGE * 4 - 4, ENTRIES_PER_PAGE * 4 + 4]


def test_freed_ids_come_back_after_all_that_were_free_before() -> None:
    table = CidTable()
    first, second = table.allocate(), table.allocate()
    table.free(second)
    table.free(first)
    fresh = [table.allocate() for _ in range(ENTRIES_PER_PAGE - 1 - 2)]
    assert first not in fresh
    assert second not in fresh
    assert [table.allocate(), table.allocate()] == [second, first]


def test_an_id_is_freed_once() -> None:
    table = CidTable()
    number = table.allocate()
    table.free(number)
    with pytest.raises(ValueError, match="not in use"):
        table.free(number)


@given(st.lists(st.booleans(), max_size=600))
def test_no_id_is_given_out_twice(steps: list[bool]) -> None:
    table, used = CidTable(), []
    for allocate in steps:
        if allocate or not used:
            number = table.allocate()
            assert number not in used
            assert number % 4 == 0
            used.append(number)
        else:
            table.free(used.pop(0))
