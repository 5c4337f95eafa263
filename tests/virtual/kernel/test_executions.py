"""Drivers that wait, overlap and leave things behind: what they print, and how they end."""

from __future__ import annotations

import os
import re

import pytest
from driver_lives import live
from tried_policies import POLICIES_TRIED

from harness.errors import DriverBugcheck, DriverHang
from harness.virtual.cpu.hardware import Hardware

SEEDS = int(os.environ.get("PROCNOTIFY_SEEDS", "2"))
"""As many schedules are tried of every driver that is right."""

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
    "cancels-before-freeing": ["cancelled 1", " 0", "unloaded"],
    "sees-processors": ["on 3 of 2", "unloaded"],
    "sets-priority": ["was 8, old 8, is 16", ", again 8", "unloaded"],
    "interrupts-wait": [
        "special 0{15}7 0{15}2 at irql 1, at home 1",
        "normal 0{15}1 0{15}7 0{14}21 at irql 0, at home 1",
        "setting",
        "waited 0",
        "ended, queued 0",
        "unloaded",
    ],
    "interrupts-sleep": [
        "special 0{15}7 0{15}2 at irql 1, at home 1",
        "normal 0{15}1 0{15}7 0{14}21 at irql 0, at home 1",
        "slept 50 ms",
        "unloaded",
    ],
    "sleeps-in-unload": [r"slept 6\d ms, 1 ended", "unloaded"],
    "holds-off": [
        "normal 0{15}1 0{15}1 0{14}21 at irql 0, at home 1",
        "special 0{15}1 0{15}2 at irql 1, at home 1",
        "nowhere: 0 0",
        "special 0{15}2 0{15}2 at irql 1, at home 1",
        "critical region: 1 0",
        "normal 0{15}1 0{15}2 0{14}21 at irql 0, at home 1",
        "guarded region: 1 1",
        "special 0{15}3 0{15}2 at irql 1, at home 1",
        "normal 0{15}1 0{15}3 0{14}21 at irql 0, at home 1",
        "APC_LEVEL: 0 1",
        "special 0{15}4 0{15}2 at irql 1, at home 1",
        "normal 0{15}1 0{15}4 0{14}21 at irql 0, at home 1",
        "special 0{15}5 0{15}2 at irql 1, at home 1",
        "mutex: 1 0",
        "normal 0{15}1 0{15}5 0{14}21 at irql 0, at home 1",
        "unloaded",
    ],
    "alerts": [
        "waited 101 at 1",
        "alerted 0",
        " 1, deaf 102",
        ", delay 101",
        " 0",
        ", tested 1",
        " 0",
        "user 102 c0",
        "unloaded",
    ],
    "queues-to-new-thread": ["ran at home 1, left 0", "unloaded"],
    "queues-to-ending-thread": ["run down", "unloaded"],
    "ends-at-creation": [
        "create, ended 0, again c000010a",
        "thread",
        "thread gone",
        "exit with c0000022",
        "unloaded",
    ],
    "ends-from-work-item": [
        "status 103, waited 102",
        "ended 0, waited 0, status c0000022",
        "again c000010a",
        "unloaded",
    ],
    "waits-for-handles": [
        r"created 0, late 102 after 5\d ms, bad c0000008",
        "103 0, starts there 1",
        "event 0",
        "set 0, was 0, thread 0",
        "0 101 101, own thread 1",
        "unloaded",
    ],
    "ticks-by-ex-timer": [
        "set before 0",
        *3 * ["tick of its own 1 at irql 2"],
        "deleted 1 at irql 2",
        "cancelled 1",
        "unloaded",
    ],
    "waits-for-ex-timer": [
        r"waited 0 for 3\d ms, again 102",
        "set 0 1, cancelled 1 0",
        ", deleted 0",
        "unloaded",
    ],
    "deletes-ex-timer-early": ["itself: cancelled 1, set 0", "left set 0", "last tick", "unloaded"],
    "deletes-busy-ex-timer": ["cancelled 0, ended 1", "unloaded"],
    "drains-remove-lock": ["acquired 0, drained, 0 inside, again c0000056", "unloaded"],
    "drains-work-item": [r"drained 1 after 10\d ms", "unloaded"],
    "uses-own-work-item": ["waited 0", "unloaded"],
    "registers-for-bugcheck": ["registered 1 0 1", "removed 1 0 1", "unloaded"],
    "says-where-threads-start": ["in the program 1", "unloaded"],
    "sleeps-in-callback": [r"at most [2-9] inside, 0 now", "unloaded"],
}


@pytest.mark.parametrize("case", PRINTS)
def test_what_is_right_on_windows_is_right_here(executions: bytes, case: str) -> None:
    life = live(executions, case)
    assert life.end is None
    assert life.broken_rules == ()
    expected = PRINTS[case]
    assert len(life.lines) == len(expected), life.lines
    for line, pattern in zip(life.lines, expected, strict=True):
        assert re.fullmatch(pattern, line), line


LOCKED = ("CallbackWaitsLong",)
"""Where some schedule has six callbacks come to a lock that each holds for 200 ms, one does wait long."""
STILL_BROKEN = {"queues-work-items": ("UnloadWorkItems",)}
"""Nothing holds a driver until an item of ExQueueWorkItem has returned: Microsoft wants IoQueueWorkItem."""


@pytest.mark.parametrize("case", PRINTS)
def test_what_is_right_on_windows_raises_no_alarm_whatever_the_schedule(executions: bytes, case: str) -> None:
    hardware = Hardware()
    for seed in range(1, SEEDS + 1):
        life = live(executions, case, seed=seed, policy="random", hardware=hardware)
        broken = [rule for rule in life.broken_rules if rule.rule not in STILL_BROKEN.get(case, LOCKED)]
        assert (life.end, broken) == (None, []), f"seed {seed}"
        assert "unloaded" in life.lines, f"seed {seed}"


HANGS = {
    "entry-never-signalled": "waits for the event at 0x[0-9a-f]+, which nobody will signal",
    "callback-never-signalled": "waits for the event at 0x[0-9a-f]+, which nobody will signal",
    "waits-in-a-circle": (
        r"waits for the ERESOURCE at 0x[0-9a-f]+ exclusively, held by a thread callback in thread \d+\.\d+ "
        r"since waits-in-a-circle.sys\+0x[0-9a-f]+, which waits for the ERESOURCE at 0x[0-9a-f]+ exclusively "
        r"at waits-in-a-circle.sys\+0x[0-9a-f]+, held by the first one since waits-in-a-circle.sys\+0x"
    ),
    "waits-for-new-thread": r"waits for the end of thread \d+\.\d+, which cannot come before it returns",
    "waits-for-itself": r"waits for the end of thread \d+\.\d+, which cannot come before it returns",
    "waits-for-own-process": r"waits for the end of process \d+, which cannot come before it returns",
    "keeps-remove-lock": r"waits for the last release of the remove lock at 0x\w+, which nobody will signal",
    "sleeps-for-ever": "has not returned within 600 seconds",
    "sleeps-for-years": "has not returned within 600 seconds",
    "times-out-in-years": "waits for the event at 0x[0-9a-f]+, which nobody will signal",
    "spins-for-ever": "was still executing after 20000000 instructions",
    "queues-dpcs-for-ever": "queues DPCs without end",
    "takes-twice": r"waits for the mutex at 0x[0-9a-f]+, which it took itself at takes-twice.sys\+0x",
    "waits-for-deaf-thread": (
        r"waits for the end of thread 4\.\d+, that is a system thread in thread 4\.\d+, which waits for "
        r"the event at 0x[0-9a-f]+ at waits-for-deaf-thread.sys\+0x[0-9a-f]+"
    ),
}

SPINS = ("spins-for-ever", "random")


@pytest.mark.parametrize(
    ("case", "policy"),
    # 20 million instructions are as many, whoever may go first: once is enough
    [(case, policy) for case in HANGS for policy in POLICIES_TRIED if (case, policy) != SPINS],
)
def test_a_wait_that_nobody_can_end_is_a_hang_with_who_waits_for_what(
    executions: bytes, case: str, policy: str
) -> None:
    end = live(executions, case, policy=policy).end
    assert isinstance(end, DriverHang)
    assert re.search(HANGS[case], end.message), end.message
    assert re.match(rf"{case}.sys hangs(, \w+)? at {case}.sys\+0x", end.message)


BUGCHECKS = {
    "mutex-at-dispatch": (0xC4, {0: 0x3B, 1: 2}),
    "fast-mutex-at-dispatch": (0xC4, {0: 0x33, 1: 2}),
    "allocates-paged-at-dispatch": (0xC2, {0: 8, 1: 2}),
    "frees-paged-at-dispatch": (0xC2, {0: 9, 1: 2}),
    "keeps-mutex": (0x01, {2: 0xFFFF, 3: 0}),
    "stays-in-guarded-region": (0x01, {2: 0xFFFF0000, 3: 1}),
    "thread-ends-in-region": (0x20, {1: 0xFFFF, 2: 0}),
    "dpc-stays-in-region": (0xC7, {0: 4, 2: 0, 3: 0xFFFF}),
    "delays-at-dispatch": (0xC4, {0: 0x3B, 1: 2}),
    "takes-in-either-order": (0xC4, {0: 0x1001}),
    "frees-first": (0x50, {}),
    "prints-wide-at-dispatch": (0x0A, {1: 2}),
    "releases-twice": (0xE3, {}),
    "leaves-timer": (0xCE, {}),
    "leaves-apc": (0xCE, {}),
    "leaves-dpc": (0xCE, {}),
    "frees-work-item": (0x0A, {}),
    "queues-twice": (0xE4, {0: 1}),
    "frees-timer": (0x0A, {1: 2}),
    "frees-dpc": (0x0A, {1: 2}),
    "leaves-work-item": (0xCE, {}),
    "leaves-thread": (0xCE, {}),
    "ends-own-process": (0x20, {1: 0xFFFF}),
    "ends-attached-process": (0x05, {2: 1}),
    "ends-critical-process": (0xEF, {}),
    "leaves-ex-timer": (0xCE, {}),
    "takes-own-work-item-back": (0xE4, {0: 0}),
    "waits-in-ex-timer": (0xC4, {0: 0x3B, 1: 2}),
}


def test_unicode_text_printed_at_apc_level_is_paged_in_and_breaks_a_rule(executions: bytes) -> None:
    life = live(executions, "prints-wide")
    assert life.end is None
    levels = [line.rpartition(" at irql ")[2] for line in life.lines if "at irql" in line]
    assert {"0", "1"} == set(levels)
    (broken,) = life.broken_rules
    assert broken.rule == "IrqlUnicodeFormats"
    assert re.fullmatch(
        r"prints-wide.sys calls DbgPrint with Unicode text at IRQL APC_LEVEL, above PASSIVE_LEVEL, "
        r"at prints-wide.sys\+0x[0-9a-f]+",
        broken.message,
    )


def test_a_resource_that_is_taken_with_apcs_enabled_breaks_a_rule(executions: bytes) -> None:
    """Windows goes on, unless Driver Verifier looks."""
    life = live(executions, "takes-resource-with-apcs")
    assert life.end is None
    (broken,) = life.broken_rules
    assert broken.rule == "ResourceApcsDisabled"
    assert re.fullmatch(
        r"takes-resource-with-apcs\.sys calls ExAcquireResourceExclusiveLite with normal kernel APCs enabled,"
        r" at takes-resource-with-apcs\.sys\+0x[0-9a-f]+",
        broken.message,
    )


def test_a_callback_for_bugchecks_that_is_left_breaks_a_rule(executions: bytes) -> None:
    (broken,) = live(executions, "forgets-bugcheck-callback").broken_rules
    assert broken.rule == "UnloadCallbacks"
    assert "1 bugcheck callback, from KeRegisterBugCheckCallback at " in broken.message


@pytest.mark.parametrize("case", ["forgets-ex-timer", "leaves-ex-timer"])
def test_an_allocated_timer_that_is_left_breaks_a_rule_set_or_not(executions: bytes, case: str) -> None:
    (broken,) = live(executions, case).broken_rules
    assert broken.rule == "UnloadTimers"
    assert re.search(r"1 allocated timer, from ExAllocateTimer at \w", broken.message)


@pytest.mark.parametrize("case", BUGCHECKS)
def test_what_windows_stops_for_is_stopped_for_here(executions: bytes, case: str) -> None:
    end = live(executions, case).end
    code, parameters = BUGCHECKS[case]
    assert isinstance(end, DriverBugcheck)
    assert (end.code, end.module) == (code, f"{case}.sys")
    assert {index: end.parameters[index] for index in parameters} == parameters


def test_locks_in_opposite_orders_are_told_with_where_each_was_taken(executions: bytes) -> None:
    life = live(executions, "takes-in-either-order")
    place, lock = r"takes-in-either-order.sys\+0x[0-9a-f]+", "0x[0-9a-f]{16}"
    assert re.fullmatch(
        r"Driver Verifier: locks in opposite orders: a thread callback in thread \d+\.\d+ "
        rf"takes ({lock}) at {place} while it holds ({lock}), taken at {place}; "
        rf"before, \2 was taken at {place} while \1 was held",
        life.lines[-1],
    )


VERIFIED = {
    "frees-first": (0xD5, {}),
    "frees-timer": (0xC7, {0: 0}),
    "frees-dpc": (0xC7, {0: 1}),
    "frees-work-item": (0xE4, {0: 0}),
    "leaves-timer": (0xC7, {0: 0}),
    "leaves-dpc": (0xC7, {0: 1}),
}


@pytest.mark.parametrize("case", VERIFIED)
def test_the_verifier_stops_where_memory_goes_that_is_still_in_use(executions: bytes, case: str) -> None:
    end = live(executions, case, verifier=True).end
    code, parameters = VERIFIED[case]
    assert isinstance(end, DriverBugcheck)
    assert (end.code, end.module) == (code, f"{case}.sys")
    assert {index: end.parameters[index] for index in parameters} == parameters
    if code in (0xC7, 0xE4):
        assert end.parameters[2] <= end.parameters[1] < end.parameters[3]


def test_the_verifier_lets_pass_what_was_cancelled_before(executions: bytes) -> None:
    assert live(executions, "cancels-before-freeing", verifier=True).end is None


@pytest.mark.parametrize("policy", POLICIES_TRIED)
@pytest.mark.parametrize("case", ["shares-mutex", "ends-its-thread", "takes-in-either-order"])
def test_the_same_seed_and_policy_give_the_same_run(executions: bytes, case: str, policy: str) -> None:
    lives = [live(executions, case, seed=7, policy=policy) for _ in range(2)]
    assert lives[0].lines == lives[1].lines
    assert lives[0].time == lives[1].time
    assert str(lives[0].end) == str(lives[1].end)


@pytest.mark.parametrize(("processors", "seen"), [(1, "1"), (3, "[1-7]"), (8, "[0-9a-f]{1,2}")])
def test_a_driver_sees_as_many_processors_as_there_are(executions: bytes, processors: int, seen: str) -> None:
    lives = [live(executions, "sees-processors", processors=processors) for _ in range(2)]
    assert lives[0] == lives[1]
    assert lives[0].end is None
    assert re.fullmatch(f"on {seen} of {processors}", lives[0].lines[0])


@pytest.mark.parametrize(
    "case", ["shares-spin-lock", "shares-mutex", "sleeps-in-callback", "ends-its-thread"]
)
@pytest.mark.parametrize("processors", [1, 8])
def test_what_is_right_is_right_on_any_number_of_processors(
    executions: bytes, case: str, processors: int
) -> None:
    assert live(executions, case, processors=processors).end is None
    assert live(executions, case, processors=processors, policy="random").end is None


@pytest.mark.parametrize("policy", POLICIES_TRIED)
@pytest.mark.parametrize("case", ["shares-mutex", "ends-its-thread", "waits-for-timer", "counts-often"])
def test_a_debugger_that_breaks_in_changes_nothing(executions: bytes, case: str, policy: str) -> None:
    alone = live(executions, case, seed=5, policy=policy)
    watched = live(executions, case, seed=5, policy=policy, break_in_every=7)
    assert watched == alone
