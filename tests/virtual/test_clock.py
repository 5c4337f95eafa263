"""The clock only moves when it is told to, and only forward."""

from __future__ import annotations

import pytest

from harness.virtual.clock import DEFAULT_BOOT_SYSTEM_TIME, MILLISECOND, SECOND, Clock


def test_interrupt_time_and_system_time_move_together() -> None:
    clock = Clock(now=SECOND)
    clock.advance(3 * MILLISECOND)
    assert clock.now == SECOND + 30_000
    assert clock.system_time == DEFAULT_BOOT_SYSTEM_TIME + clock.now


def test_a_moment_gone_by_changes_nothing() -> None:
    clock = Clock(now=500)
    clock.advance_to(499)
    assert clock.now == 500
    clock.advance_to(501)
    assert clock.now == 501


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        Clock().advance(-1)
    with pytest.raises(ValueError, match="0 or later"):
        Clock(-1)
