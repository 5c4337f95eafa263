"""Steps become the guest helper's command lines, and bind names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from run_doubles import ScriptedDebugger, ScriptedGuest, ScriptedMachine, scenario_of

from harness.errors import DriverFault, GuestError, LinesLost
from harness.guests.base import ActionResult
from harness.machines.base import MachineStatus
from harness.runs.livetarget import LiveTarget
from harness.runs.performing import probe_names
from harness.runs.steps import (
    GuestDriver,
    Markers,
    StepRunner,
    argv_of,
    describe,
    loads_driver_itself,
)
from harness.runs.watch import Watch
from harness.scenario.model import ActorStep

BOUND = {"a": 200, "a.tid": 204}
PATHS = {"actor.exe": r"C:\procnotify\actor.exe", "probe-x.dll": r"C:\procnotify\probe-x.dll"}

COMMAND_LINES = [
    ("launch: notepad.exe", ["launch", "notepad.exe"], "launch notepad.exe"),
    (
        "launch: {image: actor.exe, args: [sleep, 20]}",
        ["launch", r"C:\procnotify\actor.exe", "sleep", "20"],
        "launch actor.exe sleep 20",
    ),
    (
        "launch_for: {process: $a, image: notepad.exe, args: [x]}",
        ["launch-for", "200", "notepad.exe", "x"],
        "launch_for $a notepad.exe x",
    ),
    ("terminate: $a", ["terminate", "200", "0"], "terminate $a"),
    ("terminate: {process: 8, code: 3}", ["terminate", "8", "3"], "terminate 8"),
    ("create_thread", ["create-thread"], "create_thread"),
    ("create_remote_thread: $a", ["create-remote-thread", "200"], "create_remote_thread $a"),
    (
        "load_library: {path: probe-x.dll, times: 2}",
        ["load-library", r"C:\procnotify\probe-x.dll", "2"],
        "load_library probe-x.dll 2 times",
    ),
    ("load_library: version.dll", ["load-library", "version.dll", "1"], "load_library version.dll"),
    ("free_library: version.dll", ["free-library", "version.dll"], "free_library version.dll"),
    (
        "inject: {process: $a, dll: probe-x.dll}",
        ["inject", "200", r"C:\procnotify\probe-x.dll"],
        "inject $a probe-x.dll",
    ),
    ("sleep: 1500ms", ["sleep", "1500"], "sleep 1.5s"),
    ("exit: 7", ["exit", "7"], "exit 7"),
]


@pytest.mark.parametrize(("step", "argv", "words"), COMMAND_LINES)
def test_a_step_is_the_helpers_command_line(step: str, argv: list[str], words: str) -> None:
    parsed = scenario_of(f"  - launch: {{image: x.exe, as: a}}\n  - {step}").steps[1]
    assert isinstance(parsed, ActorStep)
    assert argv_of(parsed, BOUND, PATHS) == argv
    assert describe(parsed) == words


@contextmanager
def runner(steps: str) -> Iterator[tuple[StepRunner, ScriptedGuest]]:
    debugger, markers = ScriptedDebugger(), Markers()
    guest = ScriptedGuest(debugger)
    machine = ScriptedMachine(MachineStatus("running", 0))
    driver = GuestDriver("bad", "bad.sys", b"MZ")
    with LiveTarget(debugger, machine, markers.see, Watch(silence=5.0, lines=0.1)) as live:
        yield StepRunner(scenario_of(steps), live, guest, driver, markers), guest


def test_names_are_bound_as_the_scenario_says() -> None:
    with runner(
        "  - exit: 0\n"
        "  - launch: {image: x.exe, as: child, by: parent}\n"
        "  - create_thread: {as: worker, by: maker}\n"
        "  - terminate: $child"
    ) as (steps, guest):
        steps.run()
    assert steps.bindings == {
        "agent": 100,
        "parent": 200,
        "child": 204,
        "child.tid": 208,
        "maker": 300,
        "worker": 312,
    }
    assert guest.calls[-1] == ("act", "terminate", "204", "0")


def test_a_repeated_name_is_bound_once_a_round_and_a_step_uses_its_own_rounds() -> None:
    with runner(
        "  - repeat:\n"
        "      times: 3\n"
        "      steps:\n"
        "        - launch: {image: x.exe, as: child}\n"
        "        - terminate: $child"
    ) as (steps, guest):
        steps.run()
    assert [steps.bindings[f"child[{round_}]"] for round_ in (1, 2, 3)] == [104, 304, 504]
    assert "child" not in steps.bindings
    assert [call[2] for call in guest.calls if call[1] == "terminate"] == ["104", "304", "504"]


def test_a_settle_is_in_seconds() -> None:
    with runner("  - settle: {quiet: 300ms, max: 10s}") as (steps, guest):
        steps.run()
    assert guest.calls == [("settle", "0.3", "10.0")]


def test_a_guest_that_cannot_settle_is_settled_when_its_prints_have_ended() -> None:
    class PlainGuest:
        """No more than :class:`harness.guests.base.Guest` asks for."""

        def __init__(self, scripted: ScriptedGuest) -> None:
            self.put, self.act = scripted.put, scripted.act
            self.load_driver, self.unload_driver = scripted.load_driver, scripted.unload_driver

    debugger, heard = ScriptedDebugger(), []
    debugger.say("late\n", "later\n")
    guest = PlainGuest(ScriptedGuest(debugger))
    machine = ScriptedMachine(MachineStatus("running", 0))
    driver = GuestDriver("bad", "bad.sys", b"MZ")
    scenario = scenario_of("  - settle: {quiet: 10ms, max: 60s}")
    with LiveTarget(debugger, machine, heard.append, Watch()) as live:
        StepRunner(scenario, live, guest, driver, Markers()).run()
    assert [event.line for event in heard] == ["late", "later"]


REFUSED = "  - launch: {image: x.exe, status: 5}"


def test_a_step_can_want_to_be_refused() -> None:
    with runner(REFUSED) as (steps, guest):
        guest.action_status = 5
        steps.run()
        assert steps.bindings == {"agent": 100}


def test_what_should_have_been_refused_and_was_not_is_the_drivers_fault() -> None:
    with runner(REFUSED) as (steps, _), pytest.raises(DriverFault) as raised:
        steps.run()
    assert str(raised.value) == (
        "probe.yaml:4: step 'launch x.exe' succeeded; the step wants Win32 error 5"
        " (ERROR_ACCESS_DENIED: access denied); what should have refused it did not"
    )


def test_what_failed_in_another_way_than_wanted_did_not_happen() -> None:
    with runner(REFUSED) as (steps, guest):
        guest.action_status = 2
        with pytest.raises(GuestError, match=r"not happen: Win32 error 2 .*; the step wants Win32 error 5"):
            steps.run()


def test_a_program_that_may_have_been_refused_is_told_how_to_say_so() -> None:
    with runner("  - launch: x.exe") as (steps, guest):
        guest.action_status = 5
        with pytest.raises(GuestError, match="write status: 5 in the step"):
            steps.run()


def test_a_step_that_failed_in_the_guest_did_not_happen() -> None:
    with runner("  - launch: missing.exe") as (steps, guest):
        guest.action_status = 2
        with pytest.raises(GuestError) as raised:
            steps.run()
    assert str(raised.value) == (
        "probe.yaml:4: step 'launch missing.exe' did not happen: "
        "Win32 error 2 (ERROR_FILE_NOT_FOUND: no such file);"
        " a program of your own is put there by a step run: {file: my.exe}"
    )


def test_a_step_that_the_guest_refused_did_not_happen() -> None:
    def refuse() -> ActionResult:
        raise GuestError("the helper cannot be started")

    with runner("  - exit: 0") as (steps, guest):
        guest.refusal = refuse
        with pytest.raises(GuestError, match=r"probe\.yaml:4: step 'exit 0' did not happen: the helper"):
            steps.run()


def test_an_answer_without_what_the_step_made_is_an_error() -> None:
    with runner("  - create_thread: {as: worker}") as (steps, guest):
        guest.makes = False
        with pytest.raises(GuestError, match=r"probe\.yaml:4: .* has no number 'new_tid'"):
            steps.run()


def test_an_end_marker_that_never_arrives_is_a_lost_line() -> None:
    with runner("  - exit: 0") as (steps, guest):
        guest.marks = False
        with pytest.raises(LinesLost, match=r"never heard its end marker \(id=1\)"):
            steps.run()


def test_a_driver_that_does_not_load_is_at_fault() -> None:
    with runner("  - load_driver") as (steps, guest):
        guest.load_status = -1073741790  # STATUS_ACCESS_DENIED, as a signed 32-bit number
        with pytest.raises(DriverFault) as raised:
            steps.run()
    assert str(raised.value).startswith(
        "probe.yaml:4: bad.sys did not load: NTSTATUS 0xc0000022 (STATUS_ACCESS_DENIED: access denied)"
    )
    assert "/INTEGRITYCHECK" in raised.value.hint
    assert guest.calls == [("put", "bad.sys"), ("load_driver", "bad", r"C:\procnotify\bad.sys")]


def test_a_minifilter_that_was_not_installed_is_told_what_it_lacks() -> None:
    with runner("  - load_driver") as (steps, guest):
        guest.load_status = 0xC0000034  # STATUS_OBJECT_NAME_NOT_FOUND
        with pytest.raises(DriverFault) as raised:
            steps.run()
    assert "Instances" in raised.value.hint and "INF" in raised.value.hint


def test_a_driver_that_does_not_unload_is_at_fault() -> None:
    with runner("  - load_driver\n  - unload_driver") as (steps, guest):
        guest.unload_status = 0xC0000010
        with pytest.raises(DriverFault, match=r"probe\.yaml:5: bad\.sys did not unload: NTSTATUS 0xc0000010"):
            steps.run()


STATUSES = [
    (0x0000_0000, True),  # STATUS_SUCCESS
    (0x0000_0103, True),  # STATUS_PENDING
    (0x4000_0000, True),  # the first of the informational ones
    (0x7FFF_FFFF, True),
    (0x8000_0000, False),  # the first warning
    (0x8000_0005, False),
    (0xC000_0001, False),
    (0xFFFF_FFFF, False),
    (-1, False),
    (-0x8000_0000, False),
]
"""NTSTATUS values and NT_SUCCESS of each, at its limit above all."""


@pytest.mark.parametrize(("status", "success"), STATUSES)
@pytest.mark.parametrize("step", ["load_driver", "unload_driver"])
def test_a_status_is_at_fault_from_the_first_warning_on(step: str, status: int, success: bool) -> None:
    with runner(f"  - {step}") as (steps, guest):
        guest.load_status = guest.unload_status = status
        if success:
            steps.run()
        else:
            with pytest.raises(DriverFault, match=f"NTSTATUS 0x{status & 0xFFFF_FFFF:08x}"):
                steps.run()
    assert guest.calls[-1][0] == step


@pytest.mark.parametrize(
    ("steps", "itself"),
    [
        ("  - exit: 0", False),
        ("  - load_driver", True),
        ("  - repeat: {times: 2, steps: [exit: 0, unload_driver: ]}", True),
        ("  - repeat: {times: 2, steps: [exit: 0]}", False),
    ],
)
def test_a_scenario_may_load_the_driver_itself(steps: str, itself: bool) -> None:
    assert loads_driver_itself(scenario_of(steps).steps) is itself


def test_only_bare_probe_names_are_copies_of_the_probe() -> None:
    steps = scenario_of(
        "  - launch: {image: x.exe, as: a}\n"
        "  - load_library: probe-one.dll\n"
        "  - repeat: {times: 2, steps: [inject: {process: $a, dll: probe2.dll}]}\n"
        "  - free_library: 'C:\\x\\probe3.dll'\n"
        "  - load_library: version.dll"
    ).steps
    assert probe_names(steps) == {"probe-one.dll", "probe2.dll"}


def test_an_action_has_its_deadline_besides_what_it_sleeps() -> None:
    class Timing(ScriptedGuest):
        def act(self, argv: list[str], *, step: int, timeout: float) -> ActionResult:
            deadlines.append(timeout)
            return super().act(argv, step=step, timeout=timeout)

    deadlines: list[float] = []
    debugger, markers = ScriptedDebugger(), Markers()
    driver = GuestDriver("bad", "bad.sys", b"MZ")
    machine = ScriptedMachine(MachineStatus("running", 0))
    with LiveTarget(debugger, machine, markers.see, Watch(lines=0.1)) as live:
        scenario = scenario_of("  - exit: 0\n  - sleep: 2s")
        StepRunner(scenario, live, Timing(debugger), driver, markers, action_seconds=50.0).run()
    assert deadlines[:2] == [50.0, 52.0]
