"""The pump between debugger and guest: what is recorded, and what ends it."""

from __future__ import annotations

import dataclasses
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
from harness.debuggers.whereabouts import MAX_FRAMES
from harness.errors import DriverBugcheck, DriverFault, DriverHang, GuestError, TargetLost
from harness.events import Bugcheck, Event, Print, Reboot, Stop
from harness.machines.base import MachineStatus
from harness.runs.livetarget import LiveTarget
from harness.runs.watch import Watch

QUICK = Watch(silence=0.1, lines=0.1, bugcheck=0.1)
RUNNING = MachineStatus("running", 0, "idle")


@contextmanager
def session(
    debugger: ScriptedDebugger,
    status: MachineStatus | None = RUNNING,
    watch: Watch = QUICK,
    drivers: tuple[str, ...] = ("bad.sys",),
) -> Iterator[tuple[LiveTarget, list[Event]]]:
    events: list[Event] = []
    with LiveTarget(debugger, ScriptedMachine(status), events.append, watch, drivers) as live:
        yield live, events


@contextmanager
def set_at_the_end(event: threading.Event) -> Iterator[threading.Event]:
    """A guest that waits for ``event`` goes on when the test ends, even if it fails: the interpreter does not
    exit before the guest's thread has."""
    try:
        yield event
    finally:
        event.set()


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
        return None if step[1] is None else PrintReceived(step[1].encode("utf-8"), 0, 1.5)


PATIENT = Watch(silence=10.0, lines=5.0, printing=60.0)
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
    with set_at_the_end(debugger.over) as over, session(debugger, watch=PATIENT) as (live, events):
        live.call("step", over.wait)
    assert [event.line for event in events] == ["one", "two", "three"]


@pytest.mark.parametrize(("quiet", "lost"), [(0.0, True), (1.0, False)])
def test_a_guest_is_given_up_when_nothing_came_for_long_enough(
    monkeypatch: pytest.MonkeyPatch, quiet: float, lost: bool
) -> None:
    debugger = TimedDebugger(monkeypatch, [*CHATTY, (6.0, None)])
    with set_at_the_end(debugger.over) as over, session(debugger, watch=PATIENT) as (live, _):
        if lost:
            with pytest.raises(TargetLost, match="silent for 10 s during step"):
                live.call("step", over.wait)
        else:
            live.call("step", over.wait, quiet=quiet)


BUSY = [(5.0, f"line {n}\n") for n in range(14)]
"""Seventy seconds of lines."""


@pytest.mark.parametrize(("printing", "hangs"), [(60.0, True), (69.0, True), (71.0, False)])
def test_a_step_that_prints_for_long_is_given_the_time_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, printing: float, hangs: bool
) -> None:
    debugger = TimedDebugger(monkeypatch, BUSY)
    watch = dataclasses.replace(PATIENT, printing=printing)
    with set_at_the_end(debugger.over) as over, session(debugger, watch=watch) as (live, events):
        if hangs:
            with pytest.raises(DriverHang, match=r"without end during step; .*--step-timeout"):
                live.call("step", over.wait)
        else:
            live.call("step", over.wait)
            assert len(events) == len(BUSY)


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
    with (
        set_at_the_end(threading.Event()) as release,
        session(ScriptedDebugger(), status) as (live, _),
        pytest.raises(TargetLost) as raised,
    ):
        live.call("step 'sleep'", release.wait)
    assert "silent for 0.1 s during step 'sleep'" in str(raised.value)
    assert evidence in str(raised.value)


def test_expected_quiet_is_not_silence() -> None:
    done = threading.Event()
    with session(ScriptedDebugger()) as (live, _):
        assert live.call("sleep", lambda: done.wait(0.25), quiet=5.0) is False


def test_a_bugcheck_is_recorded_after_what_was_printed_and_raised() -> None:
    debugger = ScriptedDebugger()
    debugger.say("half a li")
    debugger.queue.append(BugcheckSeen(0x50, (1, 2, 3, 4), "bad.sys"))
    with (
        set_at_the_end(threading.Event()) as release,
        session(debugger) as (live, events),
        pytest.raises(DriverBugcheck, match=r"0x00000050 .* in bad\.sys"),
    ):
        live.call("work", release.wait)
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


@pytest.mark.parametrize("announced", [True, None, False])
def test_a_target_that_begins_anew_while_it_is_released_divides_the_trace(announced: bool | None) -> None:
    debugger = ScriptedDebugger()
    with session(debugger) as (live, events):
        debugger.say("before\n")
        debugger.queue.append(TargetRebooted(announced))
        debugger.say("after\n")
        live.finish_release(Release(True, "it says so"))
    unsaid = announced is False
    assert [type(event) for event in events] == [Print, *([Reboot] if unsaid else []), Print]
    assert ("began anew without a word" in live.interruption) is unsaid


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (MachineStatus("paused"), "the machine says it is paused"),
        (MachineStatus("off", detail="QEMU ended"), r"the machine says it is off \(QEMU ended\)"),
        (MachineStatus("running", detail="it was reset", disturbed=True), r"it is running \(it was reset\)"),
    ],
)
def test_a_machine_that_does_not_run_is_not_waited_for(
    status: MachineStatus, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.runs.livetarget.ASK_MACHINE_SECONDS", 0.05)
    monkeypatch.setattr(ScriptedMachine, "deterministic", False)
    with (
        set_at_the_end(threading.Event()) as never,
        session(ScriptedDebugger(), status, Watch()) as (live, _),
        pytest.raises(TargetLost, match=f"the target fell silent during work; .*{word}"),
    ):
        live.call("work", never.wait)


@pytest.mark.parametrize("refused", [False, True])
def test_a_machine_that_was_interfered_with_ends_the_run_though_its_guest_answers(
    refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedMachine, "deterministic", False)

    def work() -> None:
        if refused:
            raise GuestError("no such process")

    reverted = MachineStatus("running", detail="it was stopped and went on", disturbed=True)
    with session(ScriptedDebugger(), reverted) as (live, events):
        with pytest.raises(
            TargetLost, match=r"interfered with during work; .* \(it was stopped and went on\)"
        ):
            live.call("work", work)
        live.finish_release(Release(True, "it says so"))
    assert [type(event) for event in events] == [Reboot]


def test_a_machine_that_was_interfered_with_while_it_was_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedMachine, "deterministic", False)
    with session(ScriptedDebugger(), MachineStatus("running", disturbed=True)) as (live, events):
        live.finish_release(Release(True, "it says so"))
    assert [type(event) for event in events] == [Reboot]
    assert live.interruption == "the machine was interfered with"


@pytest.mark.parametrize("status", [RUNNING, None])
def test_a_machine_that_runs_or_does_not_answer_has_all_the_time_to_speak(
    status: MachineStatus | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.runs.livetarget.ASK_MACHINE_SECONDS", 0.02)
    monkeypatch.setattr(ScriptedMachine, "deterministic", False)
    with (
        set_at_the_end(threading.Event()) as never,
        session(ScriptedDebugger(), status) as (live, _),
        pytest.raises(TargetLost, match=r"the target was silent for 0\.1 s during work"),
    ):
        live.call("work", never.wait)


def test_waiting_for_a_line_that_never_comes_ends() -> None:
    with session(ScriptedDebugger()) as (live, _):
        assert live.wait_for("a marker", lambda: False) is False


ENDLESS = [(4.0, "[procnotify] endless\n")] * 16
"""Sixty-four seconds of lines."""
MARKER = "[actor] end launch id=1 pid=4 status=0\n"
IMAGES = (Module("nt", 0x1000, 0x1000), Module("bad", 0x8000, 0x1000))


class Stacked(TimedDebugger):
    """Reads stacks and a clock. ``clock`` is what each halt finds."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, script: list[tuple[float, str | None]], clock: list[int | None]
    ) -> None:
        super().__init__(monkeypatch, script)
        self._modules = list(IMAGES)
        self._clock = clock
        self.words: list[tuple[int, ...]] = [(0x1010, 0x5, 0x1020), (0x1030, 0x8123, 0x1040)]

    def break_in(self, *, timeout: float) -> Stopped:
        return Stopped("break-in", 0x80000003, 0x1010, break_in=True)

    def interrupt_time(self) -> int | None:
        return self._clock.pop(0)

    def stacks(self, *, timeout: float) -> list[tuple[int, ...]]:
        return self.words


def hung(live: LiveTarget, debugger: TimedDebugger, **options: float) -> Exception:
    with set_at_the_end(debugger.over) as over, pytest.raises((DriverHang, TargetLost)) as raised:
        live.call("step 'launch'", over.wait, **options)
    return raised.value


def test_a_driver_that_prints_without_end_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    debugger = TimedDebugger(monkeypatch, ENDLESS)
    with session(debugger, watch=PATIENT) as (live, events):
        error = hung(live, debugger)
    assert isinstance(error, DriverHang) and error.address == 0
    assert "printed for 64 s without end during step 'launch'; it executes at 0x0000000000000000" in str(
        error
    )
    assert len(events) == 16, "what it printed is in the trace"


def test_a_line_that_is_waited_for_among_others_without_end_is_a_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with session(TimedDebugger(monkeypatch, ENDLESS), watch=PATIENT) as (live, _), pytest.raises(DriverHang):
        live.wait_for("a marker", lambda: False)


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (ENDLESS[:15], {}),
        ([*ENDLESS[:8], (4.0, MARKER), *ENDLESS[:15]], {}),
        (ENDLESS, {"quiet": 5.0}),
        (ENDLESS, {"quiet": 1.0, "lasting": 5.0}),
    ],
    ids=["sixty-seconds", "a-marker", "it-sleeps", "it-settles"],
)
def test_lines_that_have_an_end_are_no_hang(
    monkeypatch: pytest.MonkeyPatch, script: list[tuple[float, str | None]], options: dict[str, float]
) -> None:
    debugger = TimedDebugger(monkeypatch, list(script))
    with set_at_the_end(debugger.over) as over, session(debugger, watch=PATIENT) as (live, events):
        live.call("step", over.wait, **options)
    assert len(events) == len(script)


def test_prints_without_end_are_the_driver_s_where_the_target_does_not_break_in_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unbreakable(TimedDebugger):
        def break_in(self, *, timeout: float) -> Stopped:
            raise TargetLost(f"the target did not break in within {timeout:g} s")

    debugger = Unbreakable(monkeypatch, ENDLESS)
    with session(debugger, watch=PATIENT) as (live, _):
        error = hung(live, debugger)
    assert isinstance(error, DriverHang) and error.address is None
    assert "did not break in within 10 s" in str(error)


SILENT: list[tuple[float, str | None]] = [(4.0, "one\n"), (10.5, None)]
STACK = "on its stack: nt+0x30, bad+0x123, nt+0x40"


def test_a_silent_target_whose_clock_moves_and_whose_driver_executes_is_a_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    debugger = Stacked(monkeypatch, SILENT, [10, 20])
    with session(debugger, watch=PATIENT) as (live, _):
        error = hung(live, debugger)
    assert isinstance(error, DriverHang) and error.address == 0x8123
    assert "silent for 10 s during step 'launch' while its clock moved" in str(error)
    assert f"at 0x0000000000008123 (bad+0x123); {STACK}" in str(error)
    assert debugger.continues == 1, "let go once, so that its clock can move"


@pytest.mark.parametrize(
    ("clock", "drivers", "where"),
    [
        ([10, 10], ("bad.sys",), f"(bad+0x123); {STACK}"),
        ([None, None], ("bad.sys",), f"(bad+0x123); {STACK}"),
        ([10, 20], ("good.sys",), "at 0x0000000000001010 (nt+0x10); on its stack: nt+0x10, nt+0x20"),
    ],
    ids=["its-clock-stands", "no-clock", "no-driver"],
)
def test_a_silent_target_otherwise_is_lost_with_its_stack(
    monkeypatch: pytest.MonkeyPatch, clock: list[int | None], drivers: tuple[str, ...], where: str
) -> None:
    debugger = Stacked(monkeypatch, SILENT, clock)
    with session(debugger, watch=PATIENT, drivers=drivers) as (live, _):
        error = hung(live, debugger)
    assert isinstance(error, TargetLost)
    assert "the machine says it is running (idle); broken into, it executes" in str(error)
    assert where in str(error)


def test_a_stack_is_told_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    debugger = Stacked(monkeypatch, SILENT, [10, 20])
    debugger.words = [tuple(range(0x1000, 0x1000 + 2 * MAX_FRAMES))]
    with session(debugger, watch=PATIENT) as (live, _):
        error = hung(live, debugger)
    assert str(error).count("nt+0x") == MAX_FRAMES + 1, "and the stop's own address"


def test_a_silent_target_that_has_bugchecked_says_so_when_it_is_broken_into(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Crashed(TimedDebugger):
        def break_in(self, *, timeout: float) -> Stopped:
            raise DriverBugcheck(0x50, (1, 2, 3, 4), module="bad.sys")

    debugger = Crashed(monkeypatch, SILENT)
    with (
        set_at_the_end(debugger.over) as over,
        session(debugger, watch=PATIENT) as (live, events),
        pytest.raises(DriverBugcheck, match=r"in bad\.sys"),
    ):
        live.call("step", over.wait)
    assert isinstance(events[-1], Bugcheck)


def test_second_chances_without_end_end_as_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Again(TimedDebugger):
        def receive(self, *, timeout: float) -> DebuggerEvent | None:
            self.now += 0.001
            return Stopped("access violation, second chance", 0xC0000005, 0x8000 + self.continues, False)

    debugger = Again(monkeypatch, [])
    watch = Watch(bugcheck=5.0)
    with session(debugger, watch=watch) as (live, events), pytest.raises(DriverFault) as raised:
        live.wait_for("anything", lambda: False)
    assert "0x0000000000008000" in str(raised.value), "the first"
    assert 4999 <= len(events) == debugger.continues <= 5002
    assert debugger.now < 5.01
