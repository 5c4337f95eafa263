"""Lines against calls: every kind of fault by itself, and none where nothing is wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.events import Call, Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.witness import Fault, compare_witnesses, matching
from harness.witness.compare import MAX_FINDINGS

DLL = "\\Device\\HarddiskVolume3\\Windows\\System32\\kernel32.dll"
EXE = "\\Device\\HarddiskVolume3\\a.exe"


def call(left: int | None, routine: int = 0x1000) -> Call:
    return Call(driver="my.sys", routine=routine, irql=0, left=left)


def called(kind: Callable[..., Event], time: int, by: tuple[int, int] = (4, 8), **fields: Any) -> Event:
    names = ("creating_pid", "creating_tid") if kind in (ProcessCreate, ThreadCreate) else CONTEXT
    context = dict(zip(names, by, strict=True))
    made = call(fields.pop("left", time + 5), fields.pop("routine", 0x1000))
    return kind(index=0, time=time, cpu=0, witness="target", call=made, **context, **fields)


CONTEXT = ("context_pid", "context_tid")
CALLS = [
    called(ProcessCreate, 10, pid=100, parent_pid=4),
    called(ThreadCreate, 20, pid=100, tid=104),
    called(ImageLoad, 30, (100, 104), pid=100, image=EXE, base=0x1_4000_0000, size=0x5000),
    called(ImageLoad, 40, (100, 104), pid=100, image=DLL, base=0x7FF8_0000_0000, size=0x9000),
    called(ImageLoad, 45, (100, 104), pid=100, image=None, base=0x7FF9_0000_0000, size=0x9000),
    called(ThreadExit, 50, (100, 104), pid=100, tid=104),
    called(ProcessExit, 60, (100, 104), pid=100),
]
ABSENT = {"call": None, "witness": "print", "time": None, "cpu": None}


def line(event: Event, **changes: Any) -> Event:
    """What a driver prints of a call."""
    return msgspec.structs.replace(event, **{**ABSENT, **changes})


def placed(events: Sequence[Event], first: int = 0) -> list[Event]:
    return [msgspec.structs.replace(event, index=first + n) for n, event in enumerate(events)]


def compare(
    printed: Sequence[Event], *, calls: Sequence[Event] = CALLS, **how: Any
) -> list[tuple[Fault, str]]:
    found = compare_witnesses(placed(printed), placed(calls, 1000), complete=how.pop("complete", True), **how)
    return [(finding.fault, finding.message) for finding in found.findings]


LINES = [line(event) for event in CALLS]
PROCESS, THREAD, EXECUTABLE, LIBRARY, NAMELESS, THREAD_EXIT, PROCESS_EXIT = range(7)


def changed(place: int, **changes: Any) -> list[Event]:
    return [line(event, **changes) if n == place else event for n, event in enumerate(LINES)]


def without(*places: int) -> list[Event]:
    return [event for n, event in enumerate(LINES) if n not in places]


def test_what_is_called_and_reported_agrees() -> None:
    found = compare_witnesses(placed(LINES), placed(CALLS), complete=True)
    assert (found.compared, found.findings, found.more, found.not_judged) == (7, (), 0, ())


LATE_IMAGE = [*without(LIBRARY)[:5], LINES[LIBRARY], *without(LIBRARY)[5:]]
FAULTS: dict[str, tuple[list[Event], Fault, str]] = {
    "not reported": (
        [*without(LIBRARY)],
        Fault.NOT_REPORTED,
        f"image_load image {DLL} base 0x7ff800000000 pid 100, in thread 104 of process 100",
    ),
    "twice": ([*LINES, LINES[THREAD_EXIT]], Fault.TWICE, "thread_exit tid 104 pid 100"),
    "without a call": (
        [*LINES, ProcessExit(index=0, pid=200)],
        Fault.NOT_CALLED,
        "process_exit pid 200",
    ),
    "late": (
        LATE_IMAGE,
        Fault.LATE,
        f"image_load image {DLL} base 0x7ff800000000 pid 100, after thread_exit tid 104 pid 100 of the same"
        " thread, which came later",
    ),
    "wrong number": (
        changed(PROCESS, parent_pid=5),
        Fault.WRONG_FIELD,
        "process_create pid 100: parent_pid 5 is printed, 4 was told",
    ),
    "wrong identity": (
        changed(THREAD_EXIT, tid=105),
        Fault.WRONG_FIELD,
        "thread_exit tid 104 pid 100: tid 105 is printed, 104 was told",
    ),
    "wrong address": (
        changed(LIBRARY, base=0x7FF8_0001_0000),
        Fault.WRONG_FIELD,
        f"image_load image {DLL} base 0x7ff800000000 pid 100: base 0x7ff800010000 is printed,"
        " 0x7ff800000000 was told",
    ),
    "wrong name": (
        changed(LIBRARY, image="ntdll.dll"),
        Fault.WRONG_FIELD,
        f"image_load image {DLL} base 0x7ff800000000 pid 100: image ntdll.dll is printed, {DLL} was told",
    ),
    "no name": (
        changed(LIBRARY, image=None),
        Fault.WRONG_FIELD,
        f"image_load image {DLL} base 0x7ff800000000 pid 100: image (none) is printed, {DLL} was told",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named(name: str) -> None:
    printed, fault, message = FAULTS[name]
    assert compare(printed) == [(fault, message)]


@pytest.mark.parametrize(
    "image",
    [
        "kernel32.dll",
        "KERNEL32.DLL",
        "C:\\Windows\\System32\\kernel32.dll",
        DLL[:40],
        "kernel32.dll"[:14],
        "",
    ],
)
def test_a_name_may_be_spelt_as_drivers_do(image: str) -> None:
    assert compare(changed(LIBRARY, image=image)) == []


def test_other_characters_than_ascii_are_not_compared() -> None:
    calls = [*CALLS[:LIBRARY], msgspec.structs.replace(CALLS[LIBRARY], image="\\\u00fcber.dll"), *CALLS[4:]]
    assert compare(changed(LIBRARY, image="\\?ber.dll"), calls=calls) == []


def test_the_low_half_of_an_address_is_enough() -> None:
    assert compare(changed(LIBRARY, base=0x7FF8_0000_0000 & 0xFFFF_FFFF)) == []


def test_what_a_line_does_not_carry_is_not_compared() -> None:
    bare = [
        ProcessCreate(index=0, pid=100),
        ThreadCreate(index=0, pid=100, tid=104),
        *(ImageLoad(index=0, image=image) for image in (EXE, DLL, None)),
        ThreadExit(index=0, pid=100, tid=104),
        ProcessExit(index=0, pid=100),
    ]
    assert compare(bare) == []
    assert compare(bare[:-1]) == [], "a kind that is never printed is not judged"


def test_a_kind_that_is_never_printed_is_told_as_not_judged() -> None:
    found = compare_witnesses(placed(without(THREAD_EXIT)), placed(CALLS), complete=True)
    assert found.findings == ()
    (said,) = found.not_judged
    assert "thread_exit" in said and "no line of this driver reports one" in said


def test_a_driver_that_promises_no_completeness_may_leave_out_and_add() -> None:
    assert compare(without(LIBRARY), complete=False) == []
    assert compare([*LINES, LINES[0], ProcessExit(index=0, pid=200)], complete=False) == []
    assert compare(LATE_IMAGE, complete=False) == []


def test_a_line_that_can_be_about_one_call_alone_is_held_to_it_all_the_same() -> None:
    wrong = compare(changed(PROCESS, parent_pid=5), complete=False)
    assert [fault for fault, _ in wrong] == [Fault.WRONG_FIELD]
    assert compare(changed(PROCESS, pid=5), complete=False) == [], "it may be about another process"


def test_where_a_line_may_be_lost_none_is_missed() -> None:
    found = compare_witnesses(placed(without(LIBRARY)), placed(CALLS), complete=True, doubt="lines are lost")
    assert found.findings == ()
    assert all("lines are lost" in said for said in found.not_judged) and found.not_judged
    twice = compare([*without(LIBRARY), LINES[PROCESS]], doubt="lines are lost")
    assert [fault for fault, _ in twice] == [Fault.TWICE]


def test_a_call_that_has_not_returned_need_not_be_reported() -> None:
    calls = [*CALLS, called(ImageLoad, 70, (100, 104), pid=100, image=DLL, base=0x1000, left=None)]
    assert compare(LINES, calls=calls) == []


def test_two_routines_of_one_kind_may_print_one_line() -> None:
    calls = [*CALLS, called(ProcessCreate, 10, pid=100, parent_pid=4, routine=0x2000)]
    found = compare_witnesses(placed(LINES), placed(calls), complete=True)
    assert found.findings == ()
    assert any("2 routines of the driver" in said for said in found.not_judged)


def test_an_id_that_is_used_again_is_another_call() -> None:
    again = [*CALLS, called(ThreadCreate, 70, pid=100, tid=104), called(ThreadExit, 80, pid=100, tid=104)]
    lines = [line(event) for event in again]
    assert compare(lines, calls=again) == []
    assert [fault for fault, _ in compare(lines[:-1], calls=again)] == [Fault.NOT_REPORTED]


def test_a_thread_on_another_processor_may_print_in_between() -> None:
    """A line without its end stands until the next one of its processor."""
    calls = list(CALLS)
    calls[LIBRARY] = msgspec.structs.replace(calls[LIBRARY], cpu=1)
    assert compare(LATE_IMAGE, calls=calls) == []


def test_callbacks_within_one_another_end_in_the_other_order() -> None:
    outer = called(ProcessCreate, 10, pid=100, parent_pid=4, left=90)
    inner = called(ThreadCreate, 20, pid=100, tid=104, left=30)
    assert compare([line(inner), line(outer)], calls=[outer, inner]) == []


def test_lines_with_different_fields_take_nobody_elses_call() -> None:
    """The line that carries less could take the call that the other one needs."""
    calls = [
        called(ThreadExit, 10, (1, 2), pid=100, tid=104),
        called(ThreadExit, 20, (1, 3), pid=100, tid=104),
    ]
    bare = ThreadExit(index=0, pid=100, tid=104)
    for whole in calls:
        assert compare([bare, line(whole)], calls=calls) == []
        assert compare([line(whole), bare], calls=calls) == []


def test_many_findings_are_counted() -> None:
    calls = [called(ProcessExit, 10 * n, (n, n), pid=4 * n) for n in range(1, 60)]
    found = compare_witnesses([line(calls[0])], placed(calls), complete=True)
    assert len(found.findings) == MAX_FINDINGS
    assert found.more == 58 - MAX_FINDINGS
    assert str(found.findings[0]) == "called and not reported: process_exit pid 8, in thread 2 of process 2"


def test_what_would_take_too_long_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MAX_COMPARISONS", 2)
    found = compare_witnesses(placed(changed(LIBRARY, size=1)), placed(CALLS), complete=True)
    assert found.findings == ()
    (said,) = found.not_judged
    assert "image_load" in said and "too many differ" in said


def _boots(seed: int, count: int) -> list[Event]:
    chance = random.Random(seed)
    calls = []
    for n in range(count):
        by = (4 * chance.randint(1, 3), 4 * chance.randint(1, 3))
        pid, tid = 4 * chance.randint(1, 4), 4 * chance.randint(1, 4)
        kind = chance.choice([ProcessCreate, ProcessExit, ThreadCreate, ThreadExit, ImageLoad])
        more: dict[str, Any] = {"tid": tid} if kind in (ThreadCreate, ThreadExit) else {}
        if kind is ImageLoad:
            more = {"image": chance.choice([EXE, DLL, None]), "base": 0x1000 * tid, "size": 0x1000}
        if kind is ProcessCreate:
            more = {"parent_pid": tid}
        calls.append(called(kind, 10 * n, by, pid=pid, **more))
    return calls


def _bare(event: Event, chance: random.Random) -> Event:
    """The line with some of its fields."""
    fields = [*CONTEXT, "creating_pid", "creating_tid", "parent_pid", "base", "size"]
    return line(event, **{name: None for name in fields if hasattr(event, name) and chance.random() < 0.4})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 40), st.booleans())
def test_a_driver_without_a_fault_is_never_accused(seed: int, count: int, shuffled: bool) -> None:
    chance = random.Random(seed)
    calls = _boots(seed, count)
    lines = [_bare(event, chance) for event in calls]
    if shuffled:  # each thread prints in its order, and threads among one another as it comes
        turns = [by(event) for event in calls]
        chance.shuffle(turns)
        queues = {thread: [n for n, event in enumerate(calls) if by(event) == thread] for thread in turns}
        lines = [lines[queues[thread].pop(0)] for thread in turns]
    assert compare(lines, calls=calls) == []


def by(event: Event) -> tuple[object, object]:
    names = CONTEXT if hasattr(event, "context_pid") else ("creating_pid", "creating_tid")
    return getattr(event, names[0]), getattr(event, names[1])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(2, 30), st.sampled_from(["drop", "double", "change"]))
def test_one_fault_is_one_finding(seed: int, count: int, what: str) -> None:
    chance = random.Random(seed)
    calls = _boots(seed, count)
    lines = [line(event) for event in calls]
    place = chance.randrange(count)
    kept = [event for n, event in enumerate(lines) if type(event) is type(lines[place]) and n != place]
    if what == "drop":
        del lines[place]
        found = compare(lines, calls=calls)
        assert [fault for fault, _ in found] == ([Fault.NOT_REPORTED] if kept else [])
    elif what == "double":
        lines.insert(place, lines[place])
        assert [fault for fault, _ in compare(lines, calls=calls)] == [Fault.TWICE]
    else:
        lines[place] = msgspec.structs.replace(lines[place], pid=9999)
        ((fault, message),) = compare(lines, calls=calls)
        assert fault is Fault.WRONG_FIELD and "pid 9999 is printed" in message
