"""Which breaches of standing rules the kernel keeps."""

from __future__ import annotations

from harness.virtual.kernel.brokenrules import MAX_BROKEN_RULES, BrokenRules


def test_breaches_of_one_rule_hide_none_of_another() -> None:
    kept = BrokenRules()
    for place in range(MAX_BROKEN_RULES + 5):
        kept.add("PoolTracking", "d.sys", str(place), f"leak {place}")
    kept.add("UnloadThreads", "d.sys", "0", "a thread runs")
    kept.add("PoolTracking", "d.sys", "0", "said before")
    told = kept.all()
    assert [broken.message for broken in told[:2]] == ["leak 0", "leak 1"]
    assert [broken.rule for broken in told].count("PoolTracking") == MAX_BROKEN_RULES
    assert told[-1].rule == "UnloadThreads"
