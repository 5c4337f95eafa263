"""Events taken in batches mean what they mean one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.events import Disconnect, Driver, Event, ImageLoad, Marker, Print, ProcessExit, Reboot
from harness.numbers import REMEMBERED, Arrival, Numbers
from harness.order.lifecycle import Lifecycle
from harness.trace.loss import LossCounter
from harness.verdict.survey import Survey

KINDS = st.sampled_from(["image", "exit", "entry", "totals", "marker", "print", "reboot", "closed", "bare"])
STEPS = st.sampled_from([1] * 12 + [0, 2, -1, -3])
"""What a line's number has more than the one before; mostly it is the next."""


def event_of(index: int, kind: str, seq: int) -> Event:
    line, time = f"{kind} {seq}", 100 * seq
    match kind:
        case "image":
            return ImageLoad(index=index, line=line, seq=seq, time=time, pid=8, image="a", base=1)
        case "exit":
            return ProcessExit(index=index, line=line, seq=seq, time=time, pid=8, context_pid=4)
        case "entry":
            return Driver(index=index, line=line, seq=seq, time=time, function="DriverEntry", status=0)
        case "totals":
            return Driver(index=index, line=line, seq=seq, function="Unload", totals={"image_load": index})
        case "marker":
            return Marker(index=index, action="exit", phase="end", step=1, pid=8)
        case "print":
            return Print(index=index, line=f"[procnotify] {seq}")
        case "closed":
            return Disconnect(index=index)
        case "bare":
            return ProcessExit(index=index, line=line, pid=8)
        case _:
            return Reboot(index=index)


def trace_of(parts: list[tuple[str, int]]) -> list[Event]:
    seq, events = 0, []
    for index, (kind, step) in enumerate(parts):
        seq = max(seq + step, 0)
        events.append(event_of(index, kind, seq))
    return events


TRACES = st.lists(st.tuples(KINDS, STEPS), max_size=60).map(trace_of)
MOSTLY_CALLBACKS = st.lists(
    st.tuples(st.sampled_from(["image", "exit", "print", "bare"]), STEPS), max_size=60
)


@given(TRACES | MOSTLY_CALLBACKS.map(trace_of))
def test_losses(events: list[Event]) -> None:
    at_once, one_by_one = LossCounter(), LossCounter()
    at_once.add_all(events[:20])
    at_once.add_all(events[20:])
    for event in events:
        one_by_one.add(event)
    assert at_once.report() == one_by_one.report()


@given(TRACES | MOSTLY_CALLBACKS.map(trace_of))
def test_lifecycle_rules(events: list[Event]) -> None:
    at_once, one_by_one = Lifecycle(), Lifecycle()
    at_once.feed(events)
    for event in events:
        one_by_one.feed([event])
    assert at_once.violations == one_by_one.violations


@given(TRACES | MOSTLY_CALLBACKS.map(trace_of))
def test_a_survey(events: list[Event]) -> None:
    at_once, one_by_one = Survey(), Survey()
    at_once.feed(events)
    for event in events:
        one_by_one.feed([event])
    for survey in (at_once, one_by_one):
        assert survey.events == len(events)
    assert at_once.boots == one_by_one.boots
    assert at_once.counts == one_by_one.counts
    assert at_once.loss == one_by_one.loss
    assert at_once.unfit_lines == one_by_one.unfit_lines


def test_lines_taken_in_turn_are_remembered_over_the_end_of_the_ring() -> None:
    numbers = Numbers()
    first = event_of(0, "image", REMEMBERED - 2)
    numbers.take(first, REMEMBERED - 2)
    lines = [event_of(0, "image", seq) for seq in range(REMEMBERED - 1, REMEMBERED + 4)]
    assert numbers.take_in_turn(lines)
    assert (numbers.next, numbers.latest) == (REMEMBERED + 4, 100 * (REMEMBERED + 3))
    for event in [first, *lines]:
        assert event.seq is not None
        assert numbers.take(event, event.seq) is Arrival.REPEATED
    assert not numbers.take_in_turn(lines), "they do not follow"
