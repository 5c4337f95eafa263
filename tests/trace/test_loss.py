"""Lost lines are proved by the driver's own numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.events import Driver, Print, ThreadCreate, ThreadExit, Totals
from harness.trace.loss import MAX_GAPS, LossCounter


def registration(seq=1, time=10):
    return Driver(index=0, seq=seq, time=time, function="DriverEntry", routine="PsSetX", status=0)


def totals(seq=None, time=99, **counts):
    every = dict.fromkeys(Totals.__struct_fields__, 0) | counts
    return Driver(index=0, seq=seq, time=time, function="DriverUnload", totals=Totals(**every))


def thread(seq, time=20):
    return ThreadCreate(index=0, seq=seq, time=time, pid=4, tid=seq or 0)


def report(events):
    counter = LossCounter()
    for event in events:
        counter.add(event)
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


def test_a_repeated_number_is_counted_and_is_no_loss():
    found = report([registration(), registration(), thread(2), thread(2)])
    assert (found.repeated, found.complete) == (2, True)


def test_lines_before_the_capture_began_are_not_lost():
    found = report([thread(500), thread(499), thread(502)])
    assert (found.before, found.lost, found.gaps) == (498, 1, ((501, 501),))


def test_the_missing_first_line_of_a_load_that_was_captured_is_lost():
    assert report([registration(seq=2), thread(3)]).lost == 1


def test_totals_disagree():
    found = report([registration(), thread(2), totals(3, thread_create=1, thread_exit=1)])
    assert not found.complete
    assert found.miscounted == ("the driver reported 1 thread_exit, 0 arrived",)


def test_totals_say_nothing_about_what_came_before_the_capture():
    assert report([thread(50), totals(51, thread_create=40)]).complete


def test_loading_again_starts_anew():
    session = [registration(), thread(2), totals(3, thread_create=1)]
    assert report([*session, *session]).complete
    # ... also where the driver was gone without totals
    assert report([registration(), thread(2), registration(time=500), thread(2, time=600)]).complete


def test_a_loss_before_a_reload_stays_lost():
    found = report([registration(), thread(3), totals(4, thread_create=1), registration(time=500), thread(2)])
    assert (found.lost, found.gaps) == (1, ((2, 2),))


def test_lines_without_numbers_prove_nothing_but_totals_still_count():
    events = [registration(seq=None), ThreadExit(index=0, pid=1, tid=2), Print(index=0, line="x")]
    assert report(events).complete
    assert not report([*events, totals(thread_exit=2)]).complete


@pytest.mark.parametrize("every", [2, 10])
def test_memory_is_bounded_where_every_nth_line_is_lost(every):
    counter = LossCounter()
    counter.add(registration())
    count = every * MAX_GAPS * 2
    for seq in range(2, count + 1):
        if seq % every:
            counter.number(seq, seq)
    assert len(counter._missing) <= MAX_GAPS
    assert counter.report().lost == count // every - 1  # the last one may still come
