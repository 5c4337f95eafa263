"""Which breaches of standing rules the kernel keeps."""

from __future__ import annotations

import pytest

from harness.virtual.kernel.belongings import CallSite
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


EX2, EX, PLAIN = (f"PsSetCreateProcessNotifyRoutine{form}" for form in ("Ex2", "Ex", ""))
DENIED, COLLIDES = 0xC000_0022, 0xC01C_0011


@pytest.mark.parametrize(
    ("taken", "routine", "told"),
    [
        ((EX, "d.sys"), "d.sys+0x20", False),  # the same routine
        ((PLAIN, "d.sys"), "d.sys+0x30", False),  # an older form wants another one
        ((EX2, "d.sys"), "d.sys+0x30", True),
        ((EX, "d.sys"), "d.sys+0x30", True),
        (("PsSetLoadImageNotifyRoutine", "d.sys"), "d.sys+0x30", True),
        ((PLAIN, "other.sys"), "other.sys+0x30", True),
    ],
)
def test_a_refusal_counts_unless_an_older_form_is_taken(
    taken: tuple[str, str], routine: str, told: bool
) -> None:
    kept = BrokenRules()
    kept.registered("process", "d.sys+0x20", DENIED, CallSite("d.sys", EX, 0x40), "d.sys+0x40")
    assert [broken.rule for broken in kept.all()] == ["CallbackRefused"]
    call, driver = taken
    kept.registered("process", routine, 0, CallSite(driver, call, 0x50), f"{driver}+0x50")
    assert bool(kept.all()) is told


def test_a_refusal_says_why() -> None:
    kept = BrokenRules()
    kept.registered("handle", "320000", COLLIDES, CallSite("d.sys", "ObRegisterCallbacks", 0), "d.sys+0x40")
    (broken,) = kept.all()
    assert broken.message.endswith("ALTITUDE_COLLISION): another registration has its altitude")
