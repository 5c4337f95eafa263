"""The numbers of a driver's lines: new, repeated by the transport, reused by the driver, put back."""

from __future__ import annotations

import pytest

from harness.events import Driver, Event, ImageLoad
from harness.numbers import MAX_GAPS, REMEMBERED, TIME_SLACK, Arrival, Numbers


def line(seq: int, time: int | None = None, text: str = "") -> Event:
    time = seq if time is None else time
    return ImageLoad(index=0, line=f"{text}{seq} {time}", seq=seq, time=time, pid=8, image="a", base=1)


def entry(seq: int, time: int) -> Event:
    return Driver(index=0, line=f"entry {seq} {time}", seq=seq, time=time, function="DriverEntry")


def arrivals(events: list[Event]) -> list[Arrival]:
    numbers = Numbers()
    return [numbers.take(event, event.seq) for event in events if event.seq is not None]


N, B, REP, REU, BACK = (
    Arrival.NEW,
    Arrival.BEGINS,
    Arrival.REPEATED,
    Arrival.REUSED,
    Arrival.WENT_BACK,
)
LATE = TIME_SLACK + 1

TABLE = [
    pytest.param([line(1), line(2), line(3)], [B, N, N], id="in turn"),
    pytest.param([line(0), line(1), line(2)], [B, N, N], id="in turn from 0"),
    pytest.param([line(1), line(3), line(2)], [B, N, N], id="out of turn"),
    pytest.param([line(2), line(1), line(3)], [B, N, N], id="the first late"),
    pytest.param([line(1), line(2), line(2), line(3)], [B, N, REP, N], id="the same line twice"),
    pytest.param([line(1), line(2), line(3), line(2)], [B, N, N, REP], id="the same line later"),
    pytest.param([line(1), line(2), line(2, text="x")], [B, N, REU], id="another line, same time"),
    pytest.param([line(1), line(2), line(2, time=9)], [B, N, REU], id="another line, later"),
    pytest.param([line(1), line(2, 7), line(2, time=5)], [B, N, REU], id="another line, a little earlier"),
    pytest.param(
        [line(20, 20), line(21, 40 + LATE), line(21, time=30)], [B, N, BACK], id="clock and number back"
    ),
    pytest.param(
        [line(20, 20), line(21, 40 + LATE), line(20, time=20), line(21, 25)],
        [B, N, BACK, N],
        id="back, and on from there",
    ),
    pytest.param(
        [line(20, LATE + 9), line(21, LATE + 9), line(15, time=8), line(16, 9)],
        [B, N, BACK, N],
        id="back to before the capture",
    ),
    pytest.param([line(20, 9), line(15, 8)], [B, N], id="late from before the capture"),
    pytest.param([entry(1, 5), line(2, 6), entry(1, 900)], [B, N, B], id="loaded again"),
    pytest.param([entry(1, 5), line(2, 6), line(3, 7), line(1, 900)], [B, N, N, B], id="again, no entry"),
]


@pytest.mark.parametrize(("events", "expected"), TABLE)
def test_arrivals(events: list[Event], expected: list[Arrival]) -> None:
    assert arrivals(events) == expected


def test_numbers_far_back_with_an_earlier_clock_are_the_machines_doing() -> None:
    """Two processors that take one number are never so many lines apart."""
    far = [line(seq, 1000 + seq) for seq in range(1, REMEMBERED + 10)]
    assert arrivals([*far, line(5, 1005, text="x")])[-1] is BACK
    assert arrivals([*far, line(5, 9_999, text="x")])[-1] is REU


def test_after_the_last_line_of_a_load_a_number_that_came_begins_the_next() -> None:
    numbers = Numbers()
    for seq in (1, 2, 3):
        numbers.take(line(seq), seq)
    assert numbers.foretell(line(3, 50), 3) is REU
    numbers.close()
    assert numbers.foretell(line(3, 50), 3) is B
    assert numbers.foretell(line(3), 3) is REP
    assert numbers.foretell(line(4), 4) is N


def test_numbers_that_never_come_cost_no_memory_and_are_not_held_against_a_line() -> None:
    numbers = Numbers()
    numbers.take(line(1), 1)
    for seq in range(3, 4 * MAX_GAPS, 2):
        assert numbers.take(line(seq), seq) is N
    assert len(numbers._missing) <= MAX_GAPS
    assert numbers.missing().lost == 2 * MAX_GAPS - 1
    assert numbers.take(line(2), 2) is N
    assert numbers.take(line(4 * MAX_GAPS - 1), 4 * MAX_GAPS - 1) is REP


def test_lines_that_come_late_in_any_order_cost_no_memory() -> None:
    """A hostile driver begins with a high number, and then fills every other one before it."""
    numbers = Numbers()
    top = 4 * MAX_GAPS
    numbers.take(line(top, 9), top)
    for seq in range(top - 2, 0, -2):
        assert numbers.take(line(seq, 9), seq) is N
    assert len(numbers._missing) <= MAX_GAPS
    assert len(numbers._gaps_before) <= MAX_GAPS
    missing = numbers.missing()
    assert missing.lost == 0
    assert missing.before >= 2 * MAX_GAPS, "what was given up counts as missing"


@pytest.mark.parametrize(
    "times", [(5, 9, 7), (5, None, 7), (None, 9, None), (None, None, None), (None,), (3,)]
)
def test_lines_taken_at_once_are_known_as_those_taken_one_by_one(times: tuple[int | None, ...]) -> None:
    """With and without a clock; a line that begins a load is taken by itself before."""
    events: list[Event] = [
        ImageLoad(index=0, line=f"{seq}", seq=seq, time=time, pid=8, image="a", base=1)
        for seq, time in enumerate(times, start=2)
    ]
    at_once, by_one = Numbers(), Numbers()
    for numbers in (at_once, by_one):
        assert numbers.take(line(1), 1) is Arrival.BEGINS
    assert at_once.take_in_turn(events)
    assert [by_one.take(event, event.seq or 0) for event in events] == [Arrival.NEW] * len(events)
    assert at_once.latest == by_one.latest == max(1, *(time or 0 for time in times), 0)
    assert at_once.next == by_one.next == 2 + len(times)
    for numbers in (at_once, by_one):
        assert [numbers.foretell(event, event.seq or 0) for event in events] == [Arrival.REPEATED] * len(
            events
        )
