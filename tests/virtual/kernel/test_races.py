"""Races that the default policy passes and ``random`` finds, and their mended twins."""

from __future__ import annotations

import os
import re

import pytest
from booted import ListedDebugger, open_filter
from driver_lives import live

from harness.errors import DriverFault
from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.cpu.hardware import Hardware
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.target import VirtualTarget

ALL_SEEDS = int(os.environ.get("PROCNOTIFY_SEEDS", "0"))
"""As many are tried of every race, and of its mended twin."""
SEEDS = ALL_SEEDS or 24
"""As many find each race that is not rare."""


def wrong(executions: bytes, case: str, *, seed: int, policy: str) -> str | None:
    """What went wrong in one run, if anything did."""
    debugger, clock = ListedDebugger(), Clock()
    target = VirtualTarget(
        Kernel(debugger, clock, print_filter=open_filter()), debugger, clock, seed=seed, policy=policy
    )
    try:
        assert target.load_driver(case, target.put(f"{case}.sys", executions)) == 0
        pid = target.act(["launch", "notepad.exe"], 1)["child_pid"]
        if case.startswith("frees"):  # unloaded somewhere while the program makes its threads
            target.settle(SECOND, seed % 100 * 12 * MILLISECOND)
        else:
            target.settle(300 * MILLISECOND, 20 * SECOND)
            target.act(["terminate", str(pid)], 2)
        assert target.unload_driver(case) == 0
        target.settle(100 * MILLISECOND, SECOND)
    except DriverFault as fault:
        return str(fault)
    assert debugger.prints[-1] == b"unloaded\n"
    return next((text.decode() for text in debugger.prints if text.startswith(b"wrong")), None)


FOUND = {
    "counts-unlocked": "wrong count",
    "counts-often": "wrong count",
    "counts-plainly": "wrong count",
    "prints-unlocked": "wrong: torn",
    "lists-unlocked": "wrong list|0x00000050",
    "takes-first-unlocked": "0x000000c2|0x00000050|0x000000c4",
    "publishes-unlocked": "wrong: not there",
    "fills-unlocked": "0x000000c2",
    "drops-unlocked": "0x000000c2|0x00000050",
    "frees-before-removal": "0x00000050",
}
"""What each race does when it is found."""
RARE = {"counts-plainly", "lists-unlocked", "takes-first-unlocked", "drops-unlocked", "frees-before-removal"}
"""Those for which there is not time enough every day."""
MENDED = (
    *("counts-locked", "counts-interlocked", "counts-often-interlocked", "prints-locked", "lists-locked"),
    *("takes-first-locked", "publishes-locked", "fills-locked", "drops-locked", "frees-after-removal"),
)


@pytest.mark.parametrize("case", [case for case in FOUND if ALL_SEEDS or case not in RARE])
def test_a_race_is_found_by_the_random_policy_alone(executions: bytes, case: str) -> None:
    assert all(wrong(executions, case, seed=seed, policy="default") is None for seed in (1, 2))
    found = (wrong(executions, case, seed=seed, policy="random") for seed in range(1, SEEDS + 1))
    first = next((what for what in found if what is not None), None)
    assert first is not None, f"none of {SEEDS} seeds finds it"
    assert re.search(FOUND[case], first), first


@pytest.mark.parametrize("case", MENDED)
def test_a_mended_race_raises_no_alarm(executions: bytes, case: str) -> None:
    for seed in range(1, (SEEDS if ALL_SEEDS else 4) + 1):
        assert wrong(executions, case, seed=seed, policy="random") is None, f"seed {seed}"


def test_a_policy_preempts_alike_on_hardware_that_ran_without_it(executions: bytes) -> None:
    hardware = Hardware()
    for seed in (1, 2):
        live(executions, "counts-often", seed=seed, hardware=hardware)
        used = live(executions, "counts-often", seed=seed, policy="random", hardware=hardware)
        assert used == live(executions, "counts-often", seed=seed, policy="random")


def test_the_project_s_own_driver_raises_no_alarm_and_repeats_itself(procnotify: bytes) -> None:
    runs = []
    for _ in range(2):
        debugger, clock = ListedDebugger(), Clock()
        target = VirtualTarget(Kernel(debugger, clock), debugger, clock, seed=3, policy="random")
        assert target.load_driver("procnotify", target.put("procnotify.sys", procnotify)) == 0
        pid = target.act(["launch", "notepad.exe"], 1)["child_pid"]
        target.settle(300 * MILLISECOND, 20 * SECOND)
        target.act(["terminate", str(pid)], 2)
        assert target.unload_driver("procnotify") == 0
        runs.append((debugger.prints, clock.now))
    assert runs[0] == runs[1]
    assert b"DriverUnload totals" in runs[0][0][-1]
