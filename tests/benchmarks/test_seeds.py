"""The measurement of many seeds measures something; how much is the machine's affair."""

from __future__ import annotations

from benchmarks.seeds import measure


def test_seeds_are_run_in_processes_with_a_debugger_and_in_one_process(monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.seeds.LISTENED", 1)
    found = measure(seeds=3, jobs=2)
    assert found.per_second > 0 and found.listened_per_second > 0
    assert found.memory > 2**20
