"""The pump between debugger and guest: what is recorded, and what ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from run_doubles import ScriptedDebugger, ScriptedMachine

from harness.debuggers.base import (
    BugcheckSeen,
    DebuggerEvent,
    Module,
    ModuleLoaded,
    PrintReceived,
    Release,
    Stopped,
    TargetRebooted,
)
from harness.errors import DriverBugcheck, DriverFault, DriverHang, GuestError, TargetLost
from harness.events import Bugcheck, Event, Print, Reboot, Stop
from harness.machines.base import MachineStatus
from harness.runs.livetarget import LiveTarget, Watch

QUICK = Watch(silence=0.1, lines=0.1, bugcheck=0.1)
RUNNING = MachineStatus("running", 0, "idle")


@contextmanager
def session(
    debugger: ScriptedDebugger, status: MachineStatus | None = RUNNING, watch: Watch = QUICK
) -> Iterator[tuple[LiveTarget, list[Event]]]:
    events: list[Event] = []
    with LiveTarget(debugger, ScriptedMachine(status), events.append, watch) as live:
        yield live, events


def test_a_call_returns_what_the_guest_made_and_what_was_printed_meanwhile_is_recorded() -> None:
    debugger = ScriptedDebugger()
    with session(debugger) as (live, events):

        def work() -> int:
            debugger.say("one\ntwo\n", "three")
            return 7

        assert live.call("work", work) == 7
        assert live.wait_for("three lines", lambda: not debugger.queue)
        live.finish()
    assert [(type(event), event.index, event.line) for event in events] == [
        (Print, 0, "one"),
        (Print, 1, "two"),
        (Print, 2, "three"),
    ]
    assert all(event.host_time is None for event in events), (
        "a deterministic machine's trace has no host time"
    )


def test_quiet_begins_anew_with_every_line() -> None:
    debugger = ScriptedDebugger()
    debugger.say("one\n", "two\n", "three\n")
    with session(debugger) as (live, events):
        live.await_quiet("step 'settle'", quiet=0.01, maximum=600.0)
    assert [event.line for event in events] == ["one", "two", "three"]


def test_a_guest_that_is_never_quiet_is_waited_for_no_longer_than_the_maximum() -> None:
    class Chatterbox(ScriptedDebugger):
        def receive(self, *, timeout: float) -> DebuggerEvent | None:
            self.say("tick\n")
            return super().receive(timeout=timeout)

    with session(Chatterbox()) as (live, events):
        live.await_quiet("step 'settle'", quiet=600.0, maximum=0.05)
    assert {event.line for event in events} == {"tick"}


class TimedDebugger(ScriptedDebugger):
    """Moves the session's clock: every ``receive`` takes the script's next number of seconds and hears its
    text, or nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, script: list[tuple[float, str | None]]) -> None:
        super().__init__()
        self.now = 0.0
        self.over = threading.Event()
        self._script = iter(script)
        monkeypatch.setattr("harness.runs.livetarget.monotonic", lambda: self.now)

    def receive(self, *, timeout: float) -> DebuggerEvent | None:
        step = next(self._script, None)
        if step is None:
            self.over.set()
            return super().receive(timeout=0.001)
        self.now += step[0]
        return None if step[1] is None else PrintReceived(step[1], 0, 1.5)


PATIENT = Watch(silence=10.0, lines=5.0)
CHATTY = [(4.0, "one\n"), (4.0, "two\n"), (4.0, "three\n"), (4.5, None)]
"""Sixteen seconds in which nothing was late: the last line came four and a half ago."""


def test_lines_that_come_make_the_wait_for_another_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    debugger = TimedDebugger(monkeypatch, [*CHATTY, (0.1, "last\n")])
    with session(debugger, watch=PATIENT) as (live, events):
        assert live.wait_for("the last line", lambda: [e.line for e in events][-1:] == ["last"])


def test_a_line_is_given_up_when_nothing_came_for_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    debugger = TimedDebugger(monkeypatch, [*CHATTY, (0.6, None), (0.1, "last\n")])
    with session(debugger, watch=PATIENT) as (live, events):
        assert not live.wait_for("the last line", lambda: [e.line for e in events][-1:] == ["last"])


def test_lines_that_come_make_the_wait_for_the_guest_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    debugger = TimedDebugger(monkeypatch, [*CHATTY, (5.0, None)])
    with session(debugger, watch=PATIENT) as (live, events):
        live.call("step", debugger.over.wait)
    assert [event.line for event in events] == ["one", "two", "three"]


@pytest.mark.parametrize(("quiet", "lost"), [(0.0, True), (1.0, False)])
def test_a_guest_is_given_up_when_nothing_came_for_long_enough(
    monkeypatch: pytest.MonkeyPatch, quiet: float, lost: bool
) -> None:
    debugger = TimedDebugger(monkeypatch, [*CHATTY, (6.0, None)])
    with session(debugger, watch=PATIENT) as (live, _):
        if lost:
            with pytest.raises(TargetLost, match="silent for 10 s during step"):
                live.call("step", debugger.over.wait)
            debugger.over.set()
        else:
            live.call("step", debugger.over.wait, quiet=quiet)


def test_a_guest_error_reaches_the_caller() -> None:
    def refuse() -> None:
        raise GuestError("no such image")

    with session(ScriptedDebugger()) as (live, _), pytest.raises(GuestError, match="no such image"):
        live.call("work", refuse)


def test_a_hang_that_the_guest_reports_reaches_the_caller() -> None:
    def hang() -> None:
        raise DriverHang("still at 0x10", address=0x10)

    with session(ScriptedDebugger()) as (live, _), pytest.raises(DriverHang, match="0x10"):
        live.call("work", hang)


@pytest.mark.parametrize(
    ("status", "evidence"),
    [
        (RUNNING, "the machine says it is running (idle)"),
        (MachineStatus("halted", 0), "the machine says it is halted"),
        (None, "the machine does not answer"),
    ],
)
def test_a_silent_target_is_lost_with_what_the_machine_says(
    status: MachineStatus | None, evidence: str
) -> None:
    release = threading.Event()
    with session(ScriptedDebugger(), status) as (live, _):
        with pytest.raises(TargetLost) as raised:
            live.call("step 'sleep'", release.wait)
        release.set()
    assert "silent for 0.1 s during step 'sleep'" in str(raised.value)
    assert evidence in str(raised.value)


def test_expected_quiet_is_not_silence() -> None:
    done = threading.Event()
    with session(ScriptedDebugger()) as (live, _):
        assert live.call("sleep", lambda: done.wait(0.25), quiet=5.0) is False


def test_a_bugcheck_is_recorded_after_what_was_printed_and_raised() -> None:
    debugger, release = ScriptedDebugger(), threading.Event()
    debugger.say("half a li")
    debugger.queue.append(BugcheckSeen(0x50, (1, 2, 3, 4), "bad.sys"))
    with session(debugger) as (live, events):
        with pytest.raises(DriverBugcheck, match=r"0x00000050 .* in bad\.sys"):
            live.call("work", release.wait)
        release.set()
    assert [event.line for event in events[:-1]] == ["half a li"]
    assert events[-1] == Bugcheck(index=1, code=0x50, parameters=(1, 2, 3, 4), module="bad.sys")


def test_the_debuggers_word_on_a_bugcheck_is_preferred_to_the_guests() -> None:
    debugger = ScriptedDebugger()

    def crash() -> None:
        debugger.queue.append(BugcheckSeen(0x50, (1, 2, 3, 4), "bad.sys"))
        raise DriverBugcheck(0x50, (1, 2, 3, 4))

    with session(debugger) as (live, events), pytest.raises(DriverBugcheck, match=r"in bad\.sys"):
        live.call("work", crash)
    assert isinstance(events[-1], Bugcheck)


def test_a_bugcheck_that_only_the_guest_knows_of_is_one_all_the_same() -> None:
    def crash() -> None:
        raise DriverBugcheck(0x50, (1, 2, 3, 4))

    with session(ScriptedDebugger()) as (live, _), pytest.raises(DriverBugcheck):
        live.call("work", crash)


def test_a_stop_names_the_module_at_its_address() -> None:
    debugger = ScriptedDebugger((Module("nt", 0x1000, 0x1000), Module("bad.sys", 0x8000, 0x1000)))
    debugger.queue.append(Stopped("breakpoint", 0x80000003, 0x8123))
    with session(debugger) as (live, _), pytest.raises(DriverFault) as raised:
        live.wait_for("anything", lambda: False)
    assert "breakpoint (0x80000003) at 0x0000000000008123 (bad.sys+0x123)" in str(raised.value)


def test_a_first_chance_is_recorded_passed_on_and_no_fault() -> None:
    debugger = ScriptedDebugger((Module("bad.sys", 0x8000, 0x1000),))
    debugger.queue.append(Stopped("access violation, first chance", 0xC0000005, 0x8123))
    debugger.say("handled\n")
    with session(debugger) as (live, events):
        assert live.wait_for("both", lambda: len(events) == 2)
    assert events[0] == Stop(index=0, code=0xC0000005, address=0x8123, first_chance=True, module="bad.sys")
    assert events[1].line == "handled"
    assert debugger.continues == 1


def test_a_second_chance_is_the_driver_s_fault_whatever_follows() -> None:
    debugger = ScriptedDebugger((Module("bad.sys", 0x8000, 0x1000),))
    stop = Stopped("access violation, second chance", 0xC0000005, 0x8123, first_chance=False)
    debugger.queue.append(stop)
    debugger.say("and on it goes\n")
    with session(debugger) as (live, events), pytest.raises(DriverFault, match=r"bad\.sys\+0x123") as raised:
        live.wait_for("anything", lambda: False)
    assert "access violation, second chance (0xc0000005)" in str(raised.value)
    assert not isinstance(raised.value, DriverBugcheck)
    assert isinstance(events[0], Stop) and events[0].first_chance is False
    assert debugger.continues == 1


def test_a_second_chance_that_ends_in_its_bugcheck_is_told_as_that() -> None:
    debugger = ScriptedDebugger()
    debugger.queue.append(Stopped("access violation", 0xC0000005, 0x8123, first_chance=False))
    debugger.queue.append(BugcheckSeen(0x7E, (0xC0000005, 0x8123, 0, 0), "bad.sys"))
    with session(debugger) as (live, events), pytest.raises(DriverBugcheck) as raised:
        live.wait_for("anything", lambda: False)
    assert "0x0000007e SYSTEM_THREAD_EXCEPTION_NOT_HANDLED" in str(raised.value)
    assert [type(event) for event in events] == [Stop, Bugcheck]


def test_a_break_in_of_the_debugger_s_own_that_comes_late_is_let_go() -> None:
    debugger = ScriptedDebugger()
    debugger.queue.append(Stopped("break-in", 0x80000003, 0x8123, break_in=True))
    debugger.say("on\n")
    with session(debugger) as (live, events):
        assert live.wait_for("a line", lambda: bool(events))
    assert [event.line for event in events] == ["on"]
    assert debugger.continues == 1


def test_what_is_said_while_the_target_is_let_go_is_recorded() -> None:
    debugger = ScriptedDebugger()
    release = Release(
        False,
        "it crashed",
        crashed=True,
        bugcheck=BugcheckSeen(0xCE, (1, 2, 3, 4), "late.sys"),
        stops=(Stopped("access violation", 0xC0000005, 0x8123, first_chance=False),),
    )
    with session(debugger) as (live, events):
        live.finish()
    debugger.say("after its totals\n")
    live.finish_release(release)
    assert [type(event) for event in events] == [Print, Stop, Bugcheck]
    assert events[0].line == "after its totals"


def test_a_reboot_in_the_middle_is_a_lost_target_and_divides_the_trace() -> None:
    debugger = ScriptedDebugger()
    debugger.queue.append(ModuleLoaded(Module("a.sys", 0, 1)))
    debugger.say("half a line")
    debugger.queue.append(TargetRebooted())
    with session(debugger) as (live, events), pytest.raises(TargetLost, match="rebooted"):
        live.wait_for("anything", lambda: False)
    assert [type(event) for event in events] == [Print, Reboot]


def test_waiting_for_a_line_that_never_comes_ends() -> None:
    with session(ScriptedDebugger()) as (live, _):
        assert live.wait_for("a marker", lambda: False) is False
