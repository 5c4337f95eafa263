"""Waits in slices: none is longer than Ctrl-C may go unheard, and together they are the timeout."""

from __future__ import annotations

from concurrent.futures import Future
from math import inf

import pytest

from harness import waiting
from harness.waiting import SLICE_SECONDS, is_done_within, wait_in_slices


class Clock:
    """Stands still but for what is waited."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waiting, "monotonic", lambda: clock.now)
    return clock


@pytest.mark.parametrize("timeout", [0.0, 0.1, SLICE_SECONDS, 0.6, 10.0])
def test_the_slices_are_the_timeout(clock: Clock, timeout: float) -> None:
    assert wait_in_slices(clock.wait, timeout) is False
    assert sum(clock.waits) == pytest.approx(timeout)
    assert max(clock.waits) <= SLICE_SECONDS


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_a_timeout_that_is_over_is_one_look(clock: Clock, timeout: float) -> None:
    assert wait_in_slices(clock.wait, timeout) is False
    assert clock.waits == [0.0]
    assert wait_in_slices(lambda seconds: True, timeout) is True


def test_what_comes_ends_the_wait(clock: Clock) -> None:
    assert wait_in_slices(lambda seconds: clock.wait(seconds) or len(clock.waits) == 3, inf) is True
    assert clock.waits == [SLICE_SECONDS] * 3


def test_futures_are_awaited_together_and_an_error_is_an_end_too() -> None:
    futures: list[Future[int]] = [Future(), Future()]
    futures[0].set_exception(TimeoutError("its own"))
    assert is_done_within(futures, 0.0) is False
    futures[1].set_result(1)
    assert is_done_within(futures, inf) is True
    assert is_done_within([], inf) is True
