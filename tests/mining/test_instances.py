"""Cutting a trace into instances."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from launches import PARENT, indexed, interleaved, launch

import harness.mining.instances as instances
from harness.errors import TraceError
from harness.events import (
    Disconnect,
    Driver,
    Event,
    ImageLoad,
    Marker,
    Print,
    ProcessCreate,
    ProcessExit,
    Reboot,
)
from harness.mining.instances import Cutter, Instance
from harness.mining.selection import parse_selections

LIFE = "+ t a.exe b.dll x1 -"
REMOVED = Driver(index=0, function="DriverUnload", routine="PsRemoveLoadImageNotifyRoutine", status=0)
REGISTERED = Driver(index=0, function="DriverEntry", routine="PsSetLoadImageNotifyRoutine", status=0)
UNLOADED = Driver(index=0, function="DriverUnload", totals={})
REFUSED = Driver(index=0, function="DriverEntry", routine="PsSetLoadImageNotifyRoutine", status=0xC000009A)


def cut(
    events: Iterable[Event], *select: str, whole: bool = False, complete: bool = True
) -> tuple[list[Instance], Cutter]:
    cutter = Cutter(parse_selections(select), whole=whole)
    found = list(cutter.feed(indexed(events)))
    found += cutter.finish(complete=complete)
    return found, cutter


def test_each_launch_of_the_program_is_an_instance_and_holds_its_own_events_alone() -> None:
    trace = interleaved(launch(LIFE, 1000), launch("+ t other.exe -", 2000), launch(LIFE, 3000))
    found, cutter = cut(trace, "image=A.exe")
    assert [instance.pid for instance in found] == [1000, 3000]
    assert [{event.pid for event in instance.events} for instance in found] == [{1000}, {3000}]
    assert [len(instance.events) for instance in found] == [6, 6]
    assert not cutter.left_out


def test_the_program_is_the_one_that_the_creation_names_or_the_first_image() -> None:
    assert len(cut(launch("+ t b.dll -", image="x\\A.EXE"), "image=a.exe")[0]) == 1
    assert len(cut(launch("+ t a.exe -", image="b.exe"), "image=a.exe")[0]) == 0
    assert len(cut(launch("+ t b.dll a.exe -"), "image=a.exe")[0]) == 0


def test_a_process_id_that_comes_back_is_another_instance() -> None:
    assert len(cut([*launch(LIFE), *launch(LIFE)], "image=a.exe")[0]) == 2


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (launch(LIFE)[2:], instances.BEGINNING),
        (launch(LIFE)[:-1], instances.END),
        ([*launch(LIFE)[:-1], Reboot(index=0)], instances.BROKEN_OFF),
        ([*launch(LIFE)[:3], Disconnect(index=0), *launch(LIFE)[3:]], instances.BROKEN_OFF),
        ([*launch(LIFE)[:3], REMOVED, *launch(LIFE)[4:]], instances.UNTOLD),
        ([*launch(LIFE)[:3], UNLOADED, *launch(LIFE)[4:]], instances.UNTOLD),
        ([*launch("+ t a.exe"), REGISTERED, *launch(LIFE)[3:]], instances.UNTOLD),
        ([*launch(LIFE)[:-1], *launch("+ t c.exe -")], instances.REUSED),
    ],
)
def test_what_is_cut_off_is_said_and_left_out(events: list[Event], why: str) -> None:
    found, cutter = cut(events, "image=a.exe")
    assert (found, dict(cutter.left_out)) == ([], {why: 1})


def test_what_the_driver_was_told_whole_is_taken_whatever_it_registers_besides() -> None:
    assert len(cut([REGISTERED, *launch(LIFE), REMOVED, UNLOADED], "image=a.exe")[0]) == 1
    assert len(cut([*launch(LIFE)[:3], REFUSED, *launch(LIFE)[3:]], "image=a.exe")[0]) == 1
    line = msgspec.structs.replace(REGISTERED, line="first")
    last = msgspec.structs.replace(UNLOADED, line="last")
    assert len(cut([line, *launch(LIFE), last], "marker=first...last")[0]) == 1
    assert len(cut([REGISTERED, *launch(LIFE), UNLOADED], whole=True)[0]) == 1


def test_a_process_without_an_image_is_nobodys() -> None:
    found, cutter = cut([*launch("+ t x1 -"), *launch("+ t", 2000)], "image=a.exe")
    assert (found, cutter.programs_unknown, dict(cutter.left_out)) == ([], 2, {})


def test_a_tree_ends_with_its_last_process() -> None:
    root = launch("+ t a.exe - ", 1000)
    child = launch("+ t b.exe -", 2000, parent=1000)
    grandchild = launch("+ t a.exe -", 3000, parent=2000)
    stranger = launch("+ t c.exe -", 4000)
    events = [*root[:3], *child[:3], *stranger, *grandchild[:3], root[3], child[3], grandchild[3]]
    (instance,), _ = cut(events, "tree=a.exe")
    assert {event.pid for event in instance.events} == {1000, 2000, 3000}
    assert len(instance.events) == 12
    (own, other), _ = cut(events, "image=a.exe")
    assert (own.pid, other.pid) == (1000, 3000)


def test_a_trace_of_one_run_is_one_instance_unless_it_ended_early() -> None:
    events = [Marker(index=0, action="launch", phase="begin", step=1, pid=8), *launch(LIFE), Print(index=0)]
    (instance,), _ = cut(events, whole=True)
    assert (instance.pid, len(instance.events)) == (None, 7)
    found, cutter = cut(events, whole=True, complete=False)
    assert (found, dict(cutter.left_out)) == ([], {instances.END: 1})
    assert cut(events, whole=False)[0] == []


def test_a_window_goes_from_a_line_to_the_next_that_fits() -> None:
    def said(text: str) -> Event:
        return Print(index=0, line=text)

    events = [
        said("go 1"),
        *launch(LIFE),
        said("stop"),
        *launch(LIFE),
        said("go 2"),
        *launch(LIFE),
        said("stop"),
    ]
    found, cutter = cut([said("stop"), *events], "marker=go...stop")
    assert ([len(instance.events) for instance in found], dict(cutter.left_out)) == ([6, 6], {})
    found, cutter = cut(
        [said("go"), *launch(LIFE), said("go"), *launch(LIFE), said("stop"), said("go")], "marker=go...stop"
    )
    assert [len(instance.events) for instance in found] == [6]
    assert dict(cutter.left_out) == {instances.REOPENED: 1, instances.END: 1}


def test_an_instance_that_is_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "MAX_INSTANCE_EVENTS", 5)
    found, cutter = cut([*launch(LIFE), *launch("+ t a.exe x1 -", 2000)], "image=a.exe")
    assert ([instance.pid for instance in found], list(cutter.left_out.values())) == ([2000], [1])


def test_what_open_instances_hold_together_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "MAX_HELD", 10)
    assert len(cut([*launch(LIFE), *launch(LIFE), *launch(LIFE)], "image=a.exe")[0]) == 3
    with pytest.raises(TraceError, match="more than 10 events"):
        cut(interleaved(launch(LIFE, 1000), launch(LIFE, 2000)), "image=a.exe")


def test_nothing_of_other_processes_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "MAX_HELD", 3)
    others = interleaved(*(launch("+ c.exe " + "d.dll " * 9, pid) for pid in (1000,)))
    assert cut(others, "image=a.exe")[0] == []


def test_an_instance_tells_its_span_and_its_duration() -> None:
    (instance,), _ = cut([*launch("+ t c.exe -", 2000), *launch(LIFE)], "image=a.exe")
    assert (instance.first, instance.last, instance.duration) == (4, 9, 50)
    bare: list[Event] = [ProcessCreate(index=0, pid=PARENT), ProcessExit(index=1, pid=PARENT)]
    assert Instance(PARENT, bare).duration is None


def test_an_image_of_a_process_that_nobody_named_is_no_program() -> None:
    events = [ImageLoad(index=0, pid=None, image="a.exe"), ImageLoad(index=0, pid=5, image=None)]
    found, cutter = cut(events, "image=a.exe")
    assert (found, dict(cutter.left_out)) == ([], {})
