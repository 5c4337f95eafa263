"""The arrays of notify routines: one routine may stand in both forms, each with a life of its own."""

from __future__ import annotations

import pytest

from harness.virtual.kernel.callbacks import LIMIT, Callback, Callbacks
from harness.virtual.windows.status import (
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
    STATUS_PROCEDURE_NOT_FOUND,
    STATUS_SUCCESS,
)

PLAIN = Callback(0x1000, False, "a.sys")
EX = Callback(0x1000, True, "a.sys")


def test_one_routine_may_be_registered_plain_and_ex() -> None:
    callbacks = Callbacks()
    assert callbacks.register("process", PLAIN) == STATUS_SUCCESS
    assert callbacks.register("process", EX) == STATUS_SUCCESS
    assert callbacks.of("process") == (PLAIN, EX)
    assert callbacks.register("process", PLAIN) == STATUS_INVALID_PARAMETER
    assert callbacks.register("process", EX) == STATUS_INVALID_PARAMETER


@pytest.mark.parametrize(("taken", "left"), [(EX, PLAIN), (PLAIN, EX)])
@pytest.mark.parametrize("order", [(PLAIN, EX), (EX, PLAIN)])
def test_removing_one_form_leaves_the_other(
    order: tuple[Callback, Callback], taken: Callback, left: Callback
) -> None:
    callbacks = Callbacks()
    for callback in order:
        callbacks.register("process", callback)
    assert callbacks.remove("process", 0x1000, extended=taken.extended) == STATUS_SUCCESS
    assert callbacks.of("process") == (left,)
    assert callbacks.remove("process", 0x1000, extended=taken.extended) == STATUS_PROCEDURE_NOT_FOUND
    assert callbacks.of("process") == (left,)


@pytest.mark.parametrize("group", ["thread", "image"])
def test_removal_takes_a_routine_in_whatever_form_where_there_is_one_removal(group: str) -> None:
    callbacks = Callbacks()
    callbacks.register(group, EX)
    assert callbacks.remove(group, 0x1000) == STATUS_SUCCESS
    assert callbacks.of(group) == ()


@pytest.mark.parametrize(
    ("group", "status"),
    [
        ("process", STATUS_INVALID_PARAMETER),
        ("thread", STATUS_INSUFFICIENT_RESOURCES),
        ("image", STATUS_INSUFFICIENT_RESOURCES),
    ],
)
def test_an_array_takes_as_many_as_its_limit(group: str, status: int) -> None:
    callbacks = Callbacks()
    for number in range(LIMIT):
        assert callbacks.register(group, Callback(number, False, "a.sys")) == STATUS_SUCCESS
    assert callbacks.register(group, Callback(LIMIT, False, "a.sys")) == status
    assert len(callbacks.of(group)) == LIMIT
