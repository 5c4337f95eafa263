"""The measurement of breakpoints measures something; how much is the machine's affair."""

from __future__ import annotations

from benchmarks.breakpoints import measure


def test_a_watched_run_is_measured_beside_an_unwatched_one() -> None:
    found = measure(1, lambda words: None)
    assert found.callbacks > 50
    assert found.seconds > 0 and found.watched_seconds > 0
