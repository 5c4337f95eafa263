"""The table of callback kinds, and all that must agree with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.callbacks import (
    CALLBACK_KINDS,
    COUNTERS,
    GROUPS,
    CallbackGroup,
    CallbackKind,
    group_of_event,
    group_of_routine,
)
from harness.events import KINDS, Driver, ThreadExit, kind_of
from harness.grammars import builtin_grammar
from harness.virtual.kernel.callbacks import Callback, Callbacks
from harness.virtual.kernel.exports import EXPORTS
from harness.virtual.windows.status import STATUS_SUCCESS

OUR_DRIVER = Path(__file__).parent.parent / "driver" / "procnotify"
OUR_NOTIFY_ROUTINES = {"process": "OnProcessNotify", "thread": "OnThreadNotify", "image": "OnImageNotify"}
KIND_ROWS = list(CALLBACK_KINDS.values())


@pytest.mark.parametrize("row", KIND_ROWS, ids=lambda row: row.kind)
def test_a_callback_kind_is_the_event_of_that_name(row: CallbackKind) -> None:
    assert KINDS[row.kind] is row.event
    assert set(row.context_fields) <= set(row.event.__struct_fields__)
    assert GROUPS[row.group.name] is row.group


def test_every_event_that_somebody_can_cause_in_a_process_is_a_callback_kind() -> None:
    """A new event with a context belongs into the table."""
    with_context = [kind for kind, cls in KINDS.items() if {"context_pid", "creating_pid"} & set(dir(cls))]
    assert with_context == list(CALLBACK_KINDS)


def test_events_and_routines_know_their_group() -> None:
    exit_event = ThreadExit(index=0, pid=1, tid=2)
    assert kind_of(exit_event) == "thread_exit"
    assert group_of_event(exit_event) == "thread"
    assert group_of_event(Driver(index=0, function="DriverEntry")) is None
    removal = group_of_routine("PsRemoveLoadImageNotifyRoutine")
    assert removal is not None and removal.name == "image"
    assert group_of_routine("PsSetSomethingElse") is None
    assert group_of_routine(None) is None


def test_the_drivers_totals_line_counts_every_kind_in_this_order() -> None:
    source = (OUR_DRIVER / "procnotify.c").read_text(encoding="utf-8")
    printed = re.search(r'totals (.*?)",\s*EventTotals', source, re.DOTALL)
    assert printed is not None
    assert tuple(re.findall(r"(\w+)=%u", printed[1])) == COUNTERS


def test_a_totals_line_of_the_driver_is_read_whole() -> None:
    numbers = " ".join(f"{name}={number}" for number, name in enumerate(COUNTERS, 1))
    event = builtin_grammar().parse(f"[procnotify] DriverUnload totals {numbers}", 0)
    assert isinstance(event, Driver) and event.totals is not None


def test_our_driver_registers_and_removes_as_the_table_says() -> None:
    source = (OUR_DRIVER / "procnotify.c").read_text(encoding="utf-8")
    pairs = re.findall(r'\{Set\w+, "(\w+)", Remove\w+, "(\w+)"\}', source)
    groups = []
    for register, remove in pairs:
        group = group_of_routine(register)
        assert group is not None
        assert remove == (group.remove or register)
        groups.append(group.name)
    assert groups == list(GROUPS)


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.name)
def test_our_notify_routines_take_what_the_kernel_hands_them(group: CallbackGroup) -> None:
    header = (OUR_DRIVER / "callbacks.h").read_text(encoding="utf-8")
    prototype = re.search(rf"{OUR_NOTIFY_ROUTINES[group.name]}\((.*?)\);", header)
    assert prototype is not None
    names = tuple(parameter.split()[-1].lstrip("*") for parameter in prototype[1].split(","))
    assert names == group.registrations[0].parameters


def test_the_virtual_kernel_exports_every_routine_of_the_table() -> None:
    assert {routine for group in GROUPS.values() for routine in group.routines} <= set(EXPORTS)
    family = {name for name in EXPORTS if re.fullmatch(r"Ps(Set|Remove)\w+NotifyRoutine(Ex2?)?", name)}
    assert family == {routine for group in GROUPS.values() for routine in group.routines}


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.name)
def test_the_virtual_kernel_refuses_a_second_registration_where_the_table_says_so(
    group: CallbackGroup,
) -> None:
    callbacks = Callbacks()
    first = callbacks.register(group.name, Callback(0x1000, False, "a.sys"))
    again = callbacks.register(group.name, Callback(0x1000, False, "a.sys"))
    assert first == STATUS_SUCCESS
    assert (again != STATUS_SUCCESS) == group.only_once
