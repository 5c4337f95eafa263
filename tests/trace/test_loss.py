"""Lost lines are proved by the driver's own numbers."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.callbacks import COUNTERS
from harness.events import Disconnect, Driver, Event, Print, Reboot, ThreadCreate, ThreadExit
from harness.trace.loss import LossCounter, LossReport


def registration(seq=1, time=10):
    return Driver(index=0, seq=seq, time=time, function="DriverEntry", routine="PsSetX", status=0)


def totals(seq=None, time=99, **counts):
    every = dict.fromkeys(COUNTERS, 0) | counts
    return Driver(index=0, seq=seq, time=time, function="DriverUnload", totals=every)


def thread(seq, time=20, tid=0):
    line = f"TID({tid or seq}) {{seq={seq} t={time}}}"
    return ThreadCreate(index=0, line=line, seq=seq, time=time, pid=4, tid=tid or seq or 0)


def report(events):
    counter = LossCounter()
    for number, event in enumerate(events):
        counter.add(msgspec.structs.replace(event, index=number))
    return counter.report()


def test_nothing_lost():
    found = report([registration(), thread(2), thread(3), totals(4, thread_create=2)])
    assert found.complete
    assert str(found) == "no line is missing"


@given(st.permutations(range(2, 12)))
def test_late_lines_are_not_lost(order):
    assert report([registration(), *map(thread, order)]).complete


@given(st.sets(st.integers(2, 40), min_size=1), st.randoms(use_true_random=False))
def test_every_missing_number_is_counted(kept, random):
    order = sorted(kept)
    random.shuffle(order)
    found = report([registration(), *map(thread, order)])
    missing = set(range(2, max(kept))) - kept
    assert found.lost == len(missing)
    assert all(set(range(a, b + 1)) <= missing for a, b in found.gaps)
    assert found.complete == (not missing)


def test_a_gap_is_named():
    found = report([registration(), thread(2), thread(5), thread(7)])
    assert (found.lost, found.gaps) == (3, ((3, 4), (6, 6)))
    assert str(found) == "3 lines of the driver never arrived (seq 3..4, 6)"


def test_a_line_that_arrives_twice_is_counted_and_is_no_loss():
    found = report([registration(), thread(2), thread(2), thread(3), totals(4, thread_create=2)])
    assert (found.repeated, found.complete, found.uncounted) == (1, True, ())


def test_lines_before_the_capture_began_are_not_lost():
    found = report([thread(500), thread(499), thread(502)])
    assert (found.before, found.lost, found.gaps) == (498, 1, ((501, 501),))


def test_the_missing_first_line_of_a_load_that_was_captured_is_lost():
    assert report([registration(seq=2), thread(3)]).lost == 1


TOTALS = [
    pytest.param({"thread_create": 1}, (), (), id="agree"),
    pytest.param(
        {"thread_create": 2}, ("the driver counted 2 thread_create, but 1 arrived",), (), id="fewer"
    ),
    pytest.param({}, (), ("the driver counted 0 thread_create, but 1 arrived",), id="more"),
    pytest.param(
        {"thread_exit": 1},
        ("the driver counted 1 thread_exit, but 0 arrived",),
        ("the driver counted 0 thread_create, but 1 arrived",),
        id="both",
    ),
    pytest.param({"thread_create": 1, "registry_set": 7}, (), (), id="a counter more"),
]


@pytest.mark.parametrize(("counts", "miscounted", "uncounted"), TOTALS)
def test_totals_and_lines(counts, miscounted, uncounted):
    found = report([registration(), thread(2), totals(3, **counts)])
    assert (found.miscounted, found.uncounted) == (miscounted, uncounted)
    assert found.complete == (not miscounted)


@pytest.mark.parametrize("said", [0, 1, 2])
def test_totals_with_a_counter_less_still_count_for_what_they_have(said):
    short = Driver(index=0, seq=3, time=99, function="DriverUnload", totals={"thread_create": said})
    found = report([registration(), thread(2), short])
    assert (bool(found.miscounted), bool(found.uncounted)) == (said > 1, said < 1)


def test_a_late_line_counts_although_the_totals_came_first():
    assert report([registration(), totals(3, thread_create=1), thread(2)]) == LossReport()


AFTER = [
    pytest.param([thread(4)], id="numbered"),
    pytest.param([ThreadExit(index=0, pid=4, tid=8)], id="without numbers"),
]


@pytest.mark.parametrize("after", AFTER)
def test_a_callback_after_the_totals_is_told(after):
    found = report([registration(), thread(2), totals(3, thread_create=1), *after])
    assert found.uncounted == ("1 callback line came after the driver's totals, from event 3 on",)
    assert found.complete


def test_another_line_after_the_totals_is_nothing():
    assert report([registration(), totals(2), Print(index=0, line="bye")]) == LossReport()


def test_totals_say_nothing_about_what_came_before_the_capture():
    assert report([thread(50), totals(51, thread_create=40)]).complete


def test_loading_again_starts_anew():
    load = [registration(), thread(2), totals(3, thread_create=1)]
    again = [registration(time=500), thread(2, time=600), totals(3, time=700, thread_create=1)]
    assert report([*load, *again]) == LossReport()
    # ... also where the driver was gone without totals
    assert report([registration(), thread(2), registration(time=500), thread(2, time=600)]).complete


def test_a_loss_before_a_reload_stays_lost():
    found = report([registration(), thread(3), totals(4, thread_create=1), registration(time=500), thread(2)])
    assert (found.lost, found.gaps) == (1, ((2, 2),))


def test_lines_without_numbers_prove_nothing_but_totals_still_count():
    events = [registration(seq=None), ThreadExit(index=0, pid=1, tid=2), Print(index=0, line="x")]
    assert report(events).complete
    assert not report([*events, totals(thread_exit=2)]).complete


def test_a_load_after_another_was_captured_from_its_beginning():
    found = report([registration(), totals(2), thread(2, time=500), thread(3, time=500)])
    assert (found.lost, found.gaps, found.before) == (1, ((1, 1),), 0)


def test_a_driver_that_counts_from_0():
    first = registration(seq=0)
    assert report([first, thread(1), thread(2), totals(3, thread_create=2)]) == LossReport()
    assert report([first, thread(2)]).gaps == ((1, 1),)
    assert report([thread(2), thread(1), first]) == LossReport()


def test_another_boot_counts_anew():
    boot: list[Event] = [registration(), thread(2)]
    assert report([*boot, Reboot(index=0), *boot, totals(3, thread_create=1)]) == LossReport()
    found = report([*boot, thread(4), Reboot(index=0), thread(7), thread(9)])
    assert (found.gaps, found.before) == (((3, 3), (8, 8)), 6)


SECOND = 10_000_000


@pytest.mark.parametrize("tid", [0, 99], ids=["the same line", "another line"])
def test_numbers_that_go_back_together_with_the_clock(tid):
    events = [registration(), *(thread(n, time=n * SECOND) for n in range(2, 7)), thread(3, 3 * SECOND, tid)]
    found = report(events)
    assert found.went_back == ("the target's numbers and clock went back to seq 3 after 6 (event 6)",)
    assert (found.repeated, found.lost, found.before) == (0, 0, 0)


def test_lines_before_the_capture_are_counted_once_though_the_numbers_go_back():
    events = [*(thread(n, time=n * SECOND) for n in range(21, 26)), thread(21, 21 * SECOND, tid=99)]
    found = report(events)
    assert (len(found.went_back), found.before) == (1, 20)


def part_report(before, part, after):
    counter = LossCounter()
    for event in before:
        counter.add(event)
    counter.begin_part()
    for event in part:
        counter.add(event)
    counter.end_part(iter(after))
    return counter.report()


PARTS = [
    pytest.param([], [1, 2, 4], [3, 5], 0, id="late, after the end"),
    pytest.param([1, 3], [2, 4, 5], [6], 0, id="early, before the beginning"),
    pytest.param([1, 2, 4], [5, 7], [6, 3, 8], 0, id="early and late"),
    pytest.param([1, 4], [5, 6], [8], 0, id="lost before the beginning"),
    pytest.param([1], [2, 3], [9], 0, id="lost after the end"),
    pytest.param([1], [2, 4], [5, 6], 1, id="lost in it"),
    pytest.param([1, 2], [4, 6], [7, 5], 1, id="one lost and one late"),
]


@pytest.mark.parametrize(("before", "part", "after", "lost"), PARTS)
def test_of_a_part_those_lines_are_lost_that_come_nowhere(before, part, after, lost):
    sections = [[thread(seq, time=20 + seq) for seq in numbers] for numbers in (before, part, after)]
    assert part_report(*sections).lost == lost
    assert part_report(*sections).before == 0


def test_another_loads_number_is_no_late_line():
    part = [registration(), thread(2), thread(4)]
    again = [registration(time=10**9), thread(2, time=10**9), thread(3, time=10**9)]
    assert part_report([], part, again).gaps == ((3, 3),)
    assert part_report([], part, [Reboot(index=0), thread(3)]).gaps == ((3, 3),)
    assert part_report([], part, [thread(3), *again]).complete


def test_a_late_line_counts_for_the_totals_of_its_part():
    load = [registration(), thread(2), totals(seq=4, thread_create=2)]
    assert not part_report([], load, []).complete
    assert part_report([], load, [thread(3)]).complete
    assert not part_report([], load, [thread(5)]).complete


@given(st.permutations(range(1, 30)), st.integers(0, 29), st.integers(0, 29))
def test_a_whole_recording_has_no_part_with_a_loss(order, one, other):
    first, end = sorted((one, other))
    events = [thread(seq, time=20 + seq) for seq in order]
    assert part_report(events[:first], events[first:end], events[end:]).complete


@given(st.permutations(range(1, 30)), st.integers(0, 29), st.integers(0, 29), st.integers(2, 28))
def test_a_number_that_never_came_is_lost_in_one_part_at_most(order, one, other, lost):
    first, end = sorted((one, other))
    events = [thread(seq, time=20 + seq) for seq in order if seq != lost]
    parts = [
        part_report(events[:a], events[a:b], events[b:])
        for a, b in ((0, first), (first, end), (end, len(events)))
    ]
    assert sum(part.lost for part in parts) <= 1


CLOSED = Disconnect(index=0)
UNNUMBERED = ThreadCreate(index=0, pid=4, tid=8)
LOAD = [registration(), thread(2), thread(3)]
AGAIN = [registration(time=10**9), thread(2, time=10**9)]

PROVED = [
    pytest.param([*LOAD, CLOSED, thread(4)], id="numbers go on"),
    pytest.param([*LOAD, CLOSED, CLOSED, thread(4)], id="closed twice"),
    pytest.param([*LOAD, CLOSED, totals(4, thread_create=2)], id="the totals go on"),
    pytest.param([*LOAD, totals(4, thread_create=2), CLOSED], id="after the totals"),
    pytest.param([*LOAD, totals(4, thread_create=2), CLOSED, *AGAIN], id="between two loads"),
    pytest.param([CLOSED, *LOAD], id="before the load"),
    pytest.param([Reboot(index=0), CLOSED, *LOAD], id="after a reboot that was announced"),
    pytest.param([Print(index=0), CLOSED, Print(index=0)], id="no driver at all"),
]
UNPROVED = [
    pytest.param([*LOAD, CLOSED], id="nothing after it"),
    pytest.param([*LOAD, CLOSED, Print(index=0)], id="nothing numbered after it"),
    pytest.param([*LOAD, CLOSED, Reboot(index=0), *LOAD], id="the end of a boot"),
    pytest.param([*LOAD, CLOSED, *AGAIN], id="the end of a load"),
    pytest.param([CLOSED, thread(4), thread(5)], id="numbers that do not begin behind it"),
    pytest.param([CLOSED, Reboot(index=0), thread(2)], id="the beginning of a boot"),
    pytest.param([UNNUMBERED, CLOSED, UNNUMBERED], id="no numbers"),
    pytest.param([CLOSED, UNNUMBERED], id="no numbers behind it"),
    pytest.param([*LOAD, UNNUMBERED, CLOSED, thread(4)], id="some have none"),
    pytest.param([*LOAD, thread(5), CLOSED, thread(4)], id="a late one says nothing"),
]


def batched(events):
    counter = LossCounter()
    counter.add_all([msgspec.structs.replace(event, index=n) for n, event in enumerate(events)])
    return counter.report()


@pytest.mark.parametrize("events", PROVED)
def test_where_the_connection_was_closed_numbers_prove_that_nothing_is_missing(events):
    assert report(events) == batched(events) == LossReport()


@pytest.mark.parametrize("events", UNPROVED)
def test_where_they_prove_nothing_that_is_said(events):
    found = report(events)
    place = events.index(CLOSED)
    assert found == batched(events)
    assert found.unproved == (
        f"the connection was closed (event {place}), and nothing proves that no line was lost"
        " until it was back",
    )


def test_lines_that_are_proved_to_be_lost_are_counted_as_such():
    found = report([*LOAD, CLOSED, thread(6)])
    assert (found.lost, found.gaps, found.unproved) == (2, ((4, 5),), ())


def test_only_where_a_part_lies_over_it_does_it_concern_the_part():
    assert part_report([*LOAD, CLOSED], [thread(4)], []) == LossReport()
    assert part_report([], LOAD, [CLOSED]) == LossReport()
    assert part_report([], [*LOAD, CLOSED], []).unproved
    assert part_report([], [*LOAD, CLOSED, Print(index=0)], [thread(4)]) == LossReport()
    assert part_report([], [*LOAD, CLOSED, Print(index=0)], [thread(6)]).unproved, "4 may belong to it"


@given(st.data())
def test_no_loss_at_a_place_where_it_was_closed_is_hidden(data):
    boots = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))
    sent = []
    for number, lines in enumerate(boots):
        sent += [Reboot(index=0)] * (number > 0) + [thread(seq) for seq in range(1, lines + 1)]
    first = data.draw(st.integers(0, len(sent)))
    end = data.draw(st.integers(first, len(sent)))
    # A reboot is noticed whenever it was.
    lost = [event for event in sent[first:end] if not isinstance(event, Reboot)]
    noticed = [event for event in sent[first:end] if isinstance(event, Reboot)]
    heard = [*sent[:first], CLOSED, *noticed, *sent[end:]]
    found = report(heard)
    assert found == batched([msgspec.structs.replace(event, index=0) for event in heard])
    whole_loads = sum(
        lines
        for lines, boot in zip(boots, _boots(sent, first, end), strict=True)
        if boot == lines  # of a load of which nothing was heard nothing is known
    )
    if len(lost) > whole_loads:
        assert found.unproved or not found.complete


def _boots(sent, first, end):
    """How many lines of each boot were lost."""
    counts = [0]
    for place, event in enumerate(sent):
        if isinstance(event, Reboot):
            counts.append(0)
        elif first <= place < end:
            counts[-1] += 1
    return counts
