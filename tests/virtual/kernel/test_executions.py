"""Drivers that wait, overlap and leave things behind: what they print, and how they end."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from booted import ListedDebugger

from harness.errors import DriverBugcheck, DriverHang
from harness.toolchain import Arch, build_driver
from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.dispatcher.policy import POLICIES
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.target import VirtualTarget

SOURCES = Path(__file__).resolve().parent.parent / "executions"


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """executions/executions.c, compiled."""
    out = tmp_path_factory.mktemp("executions") / "executions.sys"
    build_driver(SOURCES, Arch.X64, out)
    return out.read_bytes()


class Life(NamedTuple):
    """What one case did from load to a while after unload."""

    lines: list[str]
    end: DriverBugcheck | DriverHang | None
    time: int
    """When it ended (100 ns units since boot)."""


def live(
    image: bytes,
    case: str,
    *,
    seed: int = 1,
    policy: str = POLICIES[0],
    verifier: bool = False,
    break_in_every: int = 0,
) -> Life:
    debugger, clock = ListedDebugger(), Clock()
    kernel = Kernel(debugger, clock, verifier=verifier)
    debugger.kernel = kernel
    if break_in_every:
        polls = itertools.count(1)
        debugger.poll = lambda: None if next(polls) % break_in_every else kernel.break_in()
    target = VirtualTarget(kernel, debugger, clock, seed=seed, policy=policy)
    end: DriverBugcheck | DriverHang | None = None
    try:
        assert target.load_driver(case, target.put(f"{case}.sys", image)) == 0
        target.settle(SECOND, 20 * SECOND)
        target.act(["launch", "notepad.exe"], 1)
        target.settle(300 * MILLISECOND, 20 * SECOND)
        assert target.unload_driver(case) == 0
        target.settle(SECOND, 20 * SECOND)
    except (DriverBugcheck, DriverHang) as error:
        end = error
    lines = [text.decode().rstrip("\n") for text in debugger.prints]
    return Life([line for line in lines if not line.startswith("[actor]")], end, clock.now)


PRINTS = {
    "waits-for-work-item": ["work item in 4 at irql 0", "waited 0 for 2. ms", "unloaded"],
    "waits-for-timer": ["dpc 0 after 30 ms", "timer 0 after 60 ms", "unload waited 0", "unloaded"],
    "times-out": ["timed out 102 after 50 ms", "then 0 after 7. ms", "slept until 17. ms", "unloaded"],
    "ends-its-thread": [
        "(started 0|thread in 4 at irql 0)",
        "(started 0|thread in 4 at irql 0)",
        r"thread ended 0 after (3\d|40) ms",
        "unloaded",
    ],
    "waits-for-two": ["any 1 all 0", "unloaded"],
    "queues-dpcs": [
        "dpc 0000000000000001 0000000000000000 on . at irql 2",
        "queued at passive",
        "queued at dispatch",
        "dpc 0000000000000002 0000000000000000 on . at irql 2",
        "lowered",
        "queued, again 0",
        "dpc 0000000000000003 0000000000000000 on . at irql 2",
        "lowered",
        r"dpc 0000000000000004 000000000000000(\d) on \1 at irql 2",
        "unloaded",
    ],
    "spins-on-ticks": ["saw 3 ticks", "unloaded"],
    "callback-signals-callback": ["first one waited 0", "unloaded"],
    "takes-in-one-order": ["unloaded"],
    "frees-last": ["unloaded"],
    "leaves-io-work-item": ["unloaded", "work item done"],
    "shares-mutex": ["at most 1 inside, 0 now", "unloaded"],
    "shares-fast-mutex": ["at most 1 inside, 0 now", "unloaded"],
    "shares-spin-lock": ["at most 1 inside, 0 now", "unloaded"],
    "shares-semaphore": ["at most 2 inside, 0 now", "unloaded"],
    "shares-resource": ["at most 1 inside, 0 now", "unloaded"],
    "reads-resource": ["at most [2-9] inside, 0 now", "unloaded"],
    "shares-push-lock": ["at most 1 inside, 0 now", "unloaded"],
    "reads-under-push-lock": ["at most [2-9] inside, 0 now", "unloaded"],
    "runs-down": ["run down, 0 inside, again 0", "unloaded"],
    "prints-bad-pointers": ["returned c0000005", "returned c0000005", "unloaded"],
    "sees-the-irql": ["at most 1 inside, 0 now", "unloaded"],
    "queues-work-items": ["unloaded"],
    "sleeps-in-callback": [r"at most [2-9] inside, 0 now", "unloaded"],
}


@pytest.mark.parametrize("case", PRINTS)
def test_what_is_right_on_windows_is_right_here(image: bytes, case: str) -> None:
    life = live(image, case)
    assert life.end is None
    expected = PRINTS[case]
    assert len(life.lines) == len(expected), life.lines
    for line, pattern in zip(life.lines, expected, strict=True):
        assert re.fullmatch(pattern, line), line


HANGS = {
    "entry-never-signalled": "waits for the event at 0x[0-9a-f]+, which nobody will signal",
    "callback-never-signalled": "waits for the event at 0x[0-9a-f]+, which nobody will signal",
    "waits-in-a-circle": (
        r"waits for the ERESOURCE at 0x[0-9a-f]+ exclusively, held by a thread callback in thread \d+\.\d+, "
        r"which waits for the ERESOURCE at 0x[0-9a-f]+ exclusively at waits-in-a-circle.sys\+0x[0-9a-f]+, "
        r"held by the first one"
    ),
    "sleeps-for-ever": "has not returned within 600 seconds",
    "sleeps-for-years": "has not returned within 600 seconds",
    "times-out-in-years": "waits for the event at 0x[0-9a-f]+, which nobody will signal",
    "spins-for-ever": "was still executing after 20000000 instructions",
    "queues-dpcs-for-ever": "queues DPCs without end",
    "takes-twice": "waits for the mutex at 0x[0-9a-f]+, which is already held by itself",
    "waits-for-deaf-thread": (
        r"waits for the end of thread 4\.\d+, that is a system thread in thread 4\.\d+, which waits for "
        r"the event at 0x[0-9a-f]+ at waits-for-deaf-thread.sys\+0x[0-9a-f]+"
    ),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", HANGS)
def test_a_wait_that_nobody_can_end_is_a_hang_with_who_waits_for_what(
    image: bytes, case: str, policy: str
) -> None:
    end = live(image, case, policy=policy).end
    assert isinstance(end, DriverHang)
    assert re.search(HANGS[case], end.message), end.message
    assert f"{case}.sys hangs at {case}.sys+0x" in end.message


BUGCHECKS = {
    "mutex-at-dispatch": (0xC4, {0: 0x3B, 1: 2}),
    "fast-mutex-at-dispatch": (0xC4, {0: 0x33, 1: 2}),
    "takes-in-either-order": (0xC4, {0: 0x1001}),
    "frees-first": (0x50, {}),
    "prints-wide": (0x0A, {1: 1}),
    "releases-twice": (0xE3, {}),
    "takes-resource-with-apcs": (0xC4, {0: 0x37}),
    "leaves-timer": (0xCE, {}),
    "leaves-work-item": (0xCE, {}),
    "leaves-thread": (0xCE, {}),
}


@pytest.mark.parametrize("case", BUGCHECKS)
def test_what_windows_stops_for_is_stopped_for_here(image: bytes, case: str) -> None:
    end = live(image, case).end
    code, parameters = BUGCHECKS[case]
    assert isinstance(end, DriverBugcheck)
    assert (end.code, end.module) == (code, f"{case}.sys")
    assert {index: end.parameters[index] for index in parameters} == parameters


def test_the_verifier_names_the_pool_that_an_unload_frees_too_early(image: bytes) -> None:
    end = live(image, "frees-first", verifier=True).end
    assert isinstance(end, DriverBugcheck)
    assert (end.code, end.module) == (0xD5, "frees-first.sys")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", ["shares-mutex", "ends-its-thread", "takes-in-either-order"])
def test_the_same_seed_and_policy_give_the_same_run(image: bytes, case: str, policy: str) -> None:
    lives = [live(image, case, seed=7, policy=policy) for _ in range(2)]
    assert lives[0].lines == lives[1].lines
    assert lives[0].time == lives[1].time
    assert str(lives[0].end) == str(lives[1].end)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", ["shares-mutex", "ends-its-thread", "waits-for-timer", "sleeps-in-callback"])
def test_a_debugger_that_breaks_in_changes_nothing(image: bytes, case: str, policy: str) -> None:
    alone = live(image, case, seed=5, policy=policy)
    watched = live(image, case, seed=5, policy=policy, break_in_every=7)
    assert watched == alone
