"""The lifecycle rules on small traces: what breaks them, where, and which earlier event it contradicts."""

from __future__ import annotations

import pytest
from msgspec import structs

from harness.callbacks import COUNTERS
from harness.events import (
    Call,
    Driver,
    Event,
    ImageLoad,
    ProcessCreate,
    ProcessExit,
    ThreadCreate,
    ThreadExit,
)
from harness.order.lifecycle import Lifecycle
from harness.order.refutation import RuleBreach
from harness.order.rulebreach import refusal_of_breach

SECOND = 10_000_000
TOTALS = dict.fromkeys(COUNTERS, 0)


def broken(*events: Event, off: frozenset[str] = frozenset()) -> list[tuple[str, int, int | None]]:
    lifecycle = Lifecycle(off)
    lifecycle.feed(events)
    return [(found.rule, found.index, found.before) for found in lifecycle.violations]


def create(index, pid=8, **fields):
    return ProcessCreate(index=index, pid=pid, parent_pid=4, **fields)


def image(index, pid=8, **fields):
    return ImageLoad(index=index, pid=pid, image="a.dll", base=0, **fields)


def unload(index):
    return Driver(index=index, function="DriverUnload", totals=TOTALS)


@pytest.mark.parametrize(
    ("stamps", "violations"),
    [
        ([(1, 5 * SECOND), (2, 6 * SECOND), (3, 6 * SECOND)], []),
        ([(1, 5 * SECOND), (2, 4 * SECOND)], []),
        ([(1, 5 * SECOND), (2, 4 * SECOND - 1)], [("time_follows_seq", 1, 0)]),
        ([(1, 2 * SECOND), (2, 5 * SECOND), (3, 4 * SECOND), (4, 3 * SECOND)], [("time_follows_seq", 3, 1)]),
        ([(2, 5 * SECOND), (1, 0)], []),
        ([(1, 5 * SECOND), (None, 0), (2, None), (3, 0)], [("time_follows_seq", 3, 0)]),
    ],
    ids=["in order", "within the slack", "back", "back behind the latest", "a late line", "no stamp"],
)
def test_the_time_follows_the_number(stamps, violations):
    events = [image(index, seq=seq, time=time) for index, (seq, time) in enumerate(stamps)]
    assert broken(*events) == violations
    assert not broken(*events, off=frozenset(["time_follows_seq"]))


def test_a_driver_that_is_loaded_again_numbers_and_times_its_lines_anew():
    events = [image(0, seq=7, time=9 * SECOND), unload(1), image(2, seq=1, time=SECOND)]
    assert not broken(*events)
    assert broken(events[0], image(1, seq=8, time=SECOND)) == [("time_follows_seq", 1, 0)]


def test_an_image_of_a_process_that_has_ended():
    events = [create(0), image(1), ProcessExit(index=2, pid=8), image(3), image(4, pid=12)]
    assert broken(*events) == [("nothing_after_process_exit", 3, 2)]
    assert not broken(*events[:3], create(3), image(4))


def test_an_image_shows_that_a_process_is_at_work():
    assert broken(image(0), image(1), create(2)) == [("process_created_first", 2, 0)]


def test_the_image_of_a_driver_is_of_no_process():
    assert not broken(image(0, pid=0), create(1, pid=0))


LIFE = [
    (ProcessCreate, {"pid": 8}),
    (ThreadCreate, {"pid": 8, "tid": 9}),
    (ThreadExit, {"pid": 8, "tid": 9}),
    (ProcessExit, {"pid": 8}),
]


def called(kind, fields, routine, index=0):
    call = Call(driver="two.sys", routine=routine)
    return kind(index=index, **fields, witness="target", call=call)


def calls(*routines, lives=2):
    told = [called(*each, routine) for each in LIFE * lives for routine in routines]
    return [structs.replace(event, index=index) for index, event in enumerate(told)]


def test_what_two_routines_of_a_driver_are_told_happened_once():
    assert not broken(*calls(0x10))
    assert not broken(*calls(0x10, 0x20))
    assert not broken(*calls(0x10, 0x20, 0x30))


def test_the_first_of_two_routines_is_removed_and_a_third_registered():
    *first, end, more = calls(0x10, 0x20, lives=1)
    later = [called(*each, 0x30) for each in LIFE[1:]]
    born = called(*LIFE[0], 0x30)
    events = [*first, end, more, born, *later]
    assert not broken(*(structs.replace(event, index=index) for index, event in enumerate(events)))


def test_what_one_routine_is_told_twice_happened_twice():
    one, two = calls(0x10, 0x20, lives=1)[:2]
    again = structs.replace(one, index=2)
    assert broken(one, two, again) == [("process_created_once", 2, 0)]
    assert refusal_of_breach(RuleBreach("process_created_once", 2, 0, ""), [one, two, again]) == ""
    assert refusal_of_breach(RuleBreach("process_created_once", 1, 0, ""), [one, two, again])
