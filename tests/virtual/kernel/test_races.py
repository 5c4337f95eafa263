"""Races that the default policy passes and ``random`` finds, and their mended twins."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import ListedDebugger

from harness.errors import DriverFault
from harness.toolchain import Arch, build_driver
from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.target import VirtualTarget

SOURCES = Path(__file__).resolve().parent.parent / "races"
SEEDS = range(1, 9)
"""As many find each of these races; the rarer ones take some hundred."""
A_SEED_THAT_FINDS = {"counts-plainly": 41}
"""Rarer ones, at one seed that finds them."""


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """races/races.c, compiled."""
    out = tmp_path_factory.mktemp("races") / "races.sys"
    build_driver(SOURCES, Arch.X64, out)
    return out.read_bytes()


def wrong(image: bytes, case: str, *, seed: int, policy: str) -> str | None:
    """What went wrong in one run, if anything did."""
    debugger, clock = ListedDebugger(), Clock()
    target = VirtualTarget(Kernel(debugger, clock), debugger, clock, seed=seed, policy=policy)
    try:
        assert target.load_driver(case, target.put(f"{case}.sys", image)) == 0
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


FOUND = {"counts-unlocked": "wrong count", "prints-unlocked": "wrong: torn", "fills-unlocked": "0x000000c2"}
MENDED = (
    "counts-locked",
    "counts-interlocked",
    "prints-locked",
    "lists-locked",
    "publishes-locked",
    "fills-locked",
)


@pytest.mark.parametrize("case", FOUND)
def test_a_race_is_found_by_the_random_policy_alone(image: bytes, case: str) -> None:
    assert all(wrong(image, case, seed=seed, policy="default") is None for seed in SEEDS[:2])
    found = [wrong(image, case, seed=seed, policy="random") for seed in SEEDS]
    assert any(what is not None and FOUND[case] in what for what in found), found


@pytest.mark.parametrize("case", A_SEED_THAT_FINDS)
def test_a_race_within_one_instruction_is_found(image: bytes, case: str) -> None:
    assert wrong(image, case, seed=A_SEED_THAT_FINDS[case], policy="default") is None
    assert "wrong count" in str(wrong(image, case, seed=A_SEED_THAT_FINDS[case], policy="random"))


@pytest.mark.parametrize("case", [*MENDED, "frees-after-removal"])
def test_a_mended_race_raises_no_alarm(image: bytes, case: str) -> None:
    assert [wrong(image, case, seed=seed, policy="random") for seed in SEEDS[:4]] == [None] * 4


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
