"""The host's side of a debugger in a process of its own, against workers that misbehave on purpose."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from this_system import KILL, NO_SUCH_FILE, is_running

from harness.connection import free_connection
from harness.debuggers import rescue
from harness.debuggers.base import (
    BugcheckSeen,
    CommandDebugger,
    Debugger,
    Module,
    PrintReceived,
    Stopped,
    TargetRebooted,
)
from harness.debuggers.workers import debugger as workerdebugger
from harness.debuggers.workers import link as workerlink
from harness.debuggers.workers.debugger import WorkerDebugger
from harness.debuggers.workers.link import WorkerProgram
from harness.errors import ConnectionFailed, DebuggerDied, DriverBugcheck, LinesLost, TargetLost, UsageError

FAKE = Path(__file__).resolve().parents[2] / "doubles" / "fake_worker.py"
LISTENING = {"event": "listening"}
FACTS = {"build": 18362, "machine_type": 0x8664, "processors": 2, "kernel_base": 0x1000, "version": "fake 1"}
ATTACHED = {"emit": [LISTENING], "result": FACTS}
DONE: dict[str, Any] = {"result": {}}
STOP = {
    "event": "stopped",
    "code": 0x80000003,
    "address": 0x1234,
    "first_chance": True,
    "bugcheck": None,
    "break_in": False,
    "command": False,
}


def printed(text: str) -> dict[str, str]:
    return {"event": "print", "text": text.encode().decode("latin-1")}


class Bench:
    """Makes debuggers with a scripted worker and ends what is left of them."""

    def __init__(self) -> None:
        self._made: list[WorkerDebugger] = []

    def debugger(self, connection: str | None = None, **script: Any) -> WorkerDebugger:
        argv = [sys.executable, str(FAKE), json.dumps(script)]
        debugger = WorkerDebugger("fake", connection or str(free_connection()), lambda: WorkerProgram(argv))
        self._made.append(debugger)
        return debugger

    def attached(self, **script: Any) -> WorkerDebugger:
        debugger = self.debugger(attach=ATTACHED, **script)
        debugger.listen()
        debugger.attach(timeout=30)
        return debugger

    def close(self) -> None:
        for debugger in self._made:
            if debugger._link is not None:
                debugger._link.end()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(workerdebugger, "RESCUE_SECONDS", 0.1)
    for module in (rescue, workerdebugger):
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.1)
    bench = Bench()
    yield bench
    bench.close()


def test_it_keeps_the_contract(bench: Bench) -> None:
    assert isinstance(bench.debugger(), CommandDebugger)
    debugger: Debugger = bench.attached()
    assert debugger.name == "fake"


def test_what_the_target_is_comes_from_the_worker(bench: Bench) -> None:
    debugger = bench.debugger(attach=ATTACHED)
    debugger.listen()
    info = debugger.attach(timeout=30)
    assert (info.build, info.machine_type, info.processors) == (18362, 0x8664, 2)
    assert info.debugger_version == "fake 1"


def test_a_port_in_use_is_said_before_anything_is_started(bench: Bench) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionFailed, match=f"UDP port {port} is in use"):
            bench.debugger(f"net:port={port},key=1.2.3.4").listen()


def test_a_program_that_is_not_there_is_the_rig_s_fault(tmp_path: Path) -> None:
    missing = WorkerProgram([str(tmp_path / "python"), "main.py"])
    with pytest.raises(DebuggerDied, match=f"fake's worker cannot be started: .*{NO_SUCH_FILE}"):
        WorkerDebugger("fake", str(free_connection()), lambda: missing).listen()


def test_a_worker_that_never_listens_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workerlink, "LISTEN_SECONDS", 0.2)
    debugger = bench.debugger(attach={"emit": [{"event": "output", "text": "still thinking"}]})
    with pytest.raises(DebuggerDied, match=r"hung in phase 'listen' for 0.2 s and was killed"):
        debugger.listen()


def test_an_attach_that_is_refused_says_why(bench: Bench) -> None:
    said = {"event": "output", "text": "Failed to initialize socket"}
    debugger = bench.debugger(attach={"emit": [said], "error": {"kind": "refused", "message": "no way"}})
    with pytest.raises(ConnectionFailed, match="fake: no way; it said: Failed to initialize socket"):
        debugger.listen()


def test_a_target_that_never_comes_is_looked_for_with_the_native_debugger(bench: Bench) -> None:
    debugger = bench.debugger(attach={"emit": [LISTENING]})
    debugger.listen()
    with pytest.raises(ConnectionFailed, match=r"fake did not attach within 0.1 s: no target dialled"):
        debugger.attach(timeout=0.1)
    release = debugger.detach(timeout=0.1)
    assert release.running is None
    assert "no target was ever connected" in release.proof


def test_a_worker_that_dies_says_in_which_phase_and_what_it_said(bench: Bench) -> None:
    debugger = bench.attached(
        go={"after": [printed("one\n"), {"event": "output", "text": "oh no"}], "result": {}, "exit": 7}
    )
    debugger.go()
    event = debugger.receive(timeout=30)
    assert isinstance(event, PrintReceived)
    assert event.text == "one\n"
    for _ in range(2):  # whoever asks again hears it again
        with pytest.raises(DebuggerDied) as caught:
            debugger.receive(timeout=30)
    words = str(caught.value)
    assert "fake's worker ended with exit code 7: the worker says goodbye" in words
    assert "phase 'go'" in words
    assert "it said last: oh no" in words


@pytest.mark.parametrize("garbage", ["<html>", '{"event": "stopped", "address": Infinity, "bugcheck": null}'])
def test_a_worker_that_speaks_nonsense_is_believed_no_more(bench: Bench, garbage: str) -> None:
    debugger = bench.attached(go={"garbage": garbage})
    with pytest.raises(DebuggerDied, match=r"answered b'.*, which is no answer"):
        debugger.go()


def test_a_break_in_that_never_comes_kills_the_worker_and_the_target_is_looked_after(bench: Bench) -> None:
    debugger = bench.attached(go=DONE, break_in=DONE)
    debugger.go()
    assert debugger._link is not None
    pid = debugger._link.pid
    with pytest.raises(DebuggerDied, match=r"fake hung in phase 'break_in' for 0.5 s and was killed"):
        debugger.break_in(timeout=0.5)
    assert not is_running(pid)
    release = debugger.detach(timeout=0.1)
    assert release.running is None
    assert "the native debugger could not take the target over: no target dialled" in release.proof


def test_what_comes_before_the_break_in_s_stop_is_kept_in_order(bench: Bench) -> None:
    debugger = bench.attached(go=DONE, break_in={"result": {}, "after": [printed("a"), printed("b"), STOP]})
    debugger.go()
    stop = debugger.break_in(timeout=30)
    assert stop == Stopped("break instruction", 0x80000003, 0x1234)
    assert [event.text for event in (debugger.receive(timeout=0), debugger.receive(timeout=0)) if event] == [
        "a",
        "b",
    ]
    assert debugger.receive(timeout=0) is None
    assert debugger.break_in(timeout=0) == stop, "a halted target is halted already"


def test_a_print_s_bytes_are_read_as_utf_8(bench: Bench) -> None:
    damaged = {"event": "print", "text": "\xff"}
    debugger = bench.attached(go={"result": {}, "after": [printed("caf\xe9 \u4e2d"), damaged]})
    debugger.go()
    texts = [debugger.receive(timeout=30) for _ in range(2)]
    assert [event.text for event in texts if isinstance(event, PrintReceived)] == ["caf\xe9 \u4e2d", "\\xff"]


def test_a_bugcheck_is_blamed_on_the_image_that_its_parameters_point_into(bench: Bench) -> None:
    crash = STOP | {"bugcheck": [0xD1, 0, 2, 0, 0x5010]}
    rows = [["ntoskrnl.exe", 0x1000, 0x1000], ["bad.sys", 0x5000, 0x100]]
    debugger = bench.attached(go={"result": {}, "after": [crash]}, modules={"result": {"modules": rows}})
    debugger.go()
    event = debugger.receive(timeout=30)
    assert event == BugcheckSeen(0xD1, (0, 2, 0, 0x5010), "bad.sys", 0x10)
    assert debugger.modules() == [Module("ntoskrnl.exe", 0x1000, 0x1000), Module("bad.sys", 0x5000, 0x100)]


def test_a_command_of_the_target_s_is_a_stop_that_says_so(bench: Bench) -> None:
    said = {"event": "output", "text": "refused to the target: CreateFileW C:\\x"}
    debugger = bench.attached(go={"result": {}, "after": [said, STOP | {"code": 0, "command": True}]})
    debugger.go()
    event = debugger.receive(timeout=30)
    assert isinstance(event, Stopped)
    assert event.reason == (
        "the target wants the host to execute a command; fake said: refused to the target: CreateFileW C:\\x"
    )


def test_commands_are_for_halted_targets_and_may_be_refused(bench: Bench) -> None:
    answer = {"output": "Couldn't resolve 'x'\n", "failed": True, "bugcheck": None, "gone": False}
    debugger = bench.attached(execute={"result": answer}, go=DONE)
    with pytest.raises(UsageError, match="fake refuses the command 'x': Couldn't resolve 'x'"):
        debugger.execute("x", timeout=30)
    debugger.go()
    with pytest.raises(UsageError, match="the target is running; break in first"):
        debugger.execute("r", timeout=30)


def test_a_command_that_cannot_be_broken_off_kills_the_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workerlink, "BREAK_OFF_SECONDS", 0.2)
    debugger = bench.attached(break_in=DONE)
    with pytest.raises(DebuggerDied, match=r"fake hung in phase \"command 'g'\" for 0.1 s and was killed"):
        debugger.execute("g", timeout=0.1)


def test_a_command_that_ends_the_session_is_the_last_one(bench: Bench) -> None:
    answer = {"output": "Shutdown occurred\n", "failed": False, "bugcheck": None, "gone": True}
    debugger = bench.attached(execute={"result": answer})
    assert debugger.execute(".reboot", timeout=30) == "Shutdown occurred\n"
    with pytest.raises(TargetLost, match=r"the command '.reboot' ended fake's session"):
        debugger.execute("r", timeout=30)


def test_a_debugger_that_loses_its_target_says_so(bench: Bench) -> None:
    debugger = bench.attached(go={"result": {}, "after": [{"event": "gone"}]})
    debugger.go()
    with pytest.raises(TargetLost, match="fake has lost the target"):
        debugger.receive(timeout=30)


def test_a_crashed_target_is_let_go_and_not_taken_over(bench: Bench) -> None:
    answer = {"output": "", "failed": False, "bugcheck": [0xE2, 0, 0, 0, 0], "gone": False}
    rebooted = {"result": {}, "after": [{"event": "rebooted"}]}
    debugger = bench.attached(execute={"result": answer}, go=rebooted)
    debugger.execute(".crash", timeout=30)
    release = debugger.detach(timeout=30)
    assert str(release) == "the target crashed: it said that it reboots"


def test_a_worker_that_does_not_start_gets_a_second_chance_where_one_helps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Under Wine: a server that goes down turns its first caller away, or hangs."""
    monkeypatch.setattr(workerlink, "LISTEN_SECONDS", 5.0)
    turned_away = tmp_path / "turned_away.py"
    turned_away.write_text(
        "import pathlib, runpy, sys\n"
        "first = pathlib.Path(__file__).with_name('first')\n"
        "if not first.exists():\n"
        "    first.touch()\n"
        "    sys.exit(1)\n"
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')\n",
        encoding="utf-8",
    )
    argv = [sys.executable, str(turned_away), str(FAKE), json.dumps({"attach": ATTACHED})]
    retried: list[bool] = []
    program = WorkerProgram(argv, retry=retried.append)
    debugger = WorkerDebugger("fake", str(free_connection()), lambda: program)
    debugger.listen()
    assert debugger.attach(timeout=30).build == 18362
    assert retried == [False]
    assert debugger._link is not None
    debugger._link.end()


@contextlib.contextmanager
def noted(notes: list[str]) -> Iterator[None]:
    notes.append("held")
    yield
    notes.append("released")


def test_what_a_worker_needs_is_held_for_as_long_as_it_lives() -> None:
    notes: list[str] = []
    argv = [sys.executable, str(FAKE), json.dumps({"attach": ATTACHED})]
    connection = contextlib.nullcontext(str(free_connection()))
    link = workerlink.WorkerLink("fake", WorkerProgram(argv, hold=lambda: noted(notes)), connection)
    link.await_listening()
    assert notes == ["held"]
    os.kill(link.pid, KILL)
    with pytest.raises(DebuggerDied):
        link.next(30)
    assert notes == ["held", "released"]
    link.end()
    assert notes == ["held", "released"]


def test_nothing_is_held_for_a_worker_that_died_or_was_to_be_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes: list[str] = []
    nowhere = WorkerProgram(["/nowhere/python"], hold=lambda: noted(notes))
    with pytest.raises(DebuggerDied, match="cannot be started"):
        WorkerDebugger("fake", str(free_connection()), lambda: nowhere).listen()
    assert notes == ["held", "released"]
    notes.clear()
    monkeypatch.setattr(workerlink, "LISTEN_SECONDS", 0.2)
    hanging = WorkerProgram(
        [sys.executable, "-c", "input(); input()"],
        retry=lambda hung: notes.append("retry"),
        hold=lambda: noted(notes),
    )
    with pytest.raises(DebuggerDied, match="hung in phase 'listen'"):
        WorkerDebugger("fake", str(free_connection()), lambda: hanging).listen()
    assert notes == ["held", "released", "retry", "held", "released"]


def test_the_second_chance_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    retried: list[bool] = []
    program = WorkerProgram([sys.executable, "-c", "raise SystemExit(1)"], retry=retried.append)
    with pytest.raises(DebuggerDied, match="ended with exit code 1"):
        WorkerDebugger("fake", str(free_connection()), lambda: program).listen()
    monkeypatch.setattr(workerlink, "LISTEN_SECONDS", 0.2)
    hanging = WorkerProgram([sys.executable, "-c", "input(); input()"], retry=retried.append)
    with pytest.raises(DebuggerDied, match="hung in phase 'listen'"):
        WorkerDebugger("fake", str(free_connection()), lambda: hanging).listen()
    assert retried == [False, True]


CRASH = STOP | {"bugcheck": [0xD1, 0, 2, 0, 0x5010]}
NO_MODULES = {"result": {"modules": []}}


def test_a_target_that_crashes_instead_of_breaking_in_is_not_left_running(bench: Bench) -> None:
    """A driver that left something behind: the run's steps are done, and the machine dies of it."""
    rebooted = {"result": {}, "after": [{"event": "rebooted"}]}
    debugger = bench.attached(
        go={"result": {}}, break_in={"result": {}, "after": [CRASH]}, modules=NO_MODULES
    )
    debugger.go()
    with pytest.raises(DriverBugcheck, match="0x000000d1"):
        debugger.break_in(timeout=30)
    debugger = bench.attached(go=rebooted, break_in={"result": {}, "after": [CRASH]}, modules=NO_MODULES)
    debugger.go()
    release = debugger.detach(timeout=30)
    assert release.bugcheck == BugcheckSeen(0xD1, (0, 2, 0, 0x5010), None)
    assert release.crashed
    assert release.running is False


def test_a_clock_that_stands_still_is_no_proof(bench: Bench) -> None:
    debugger = bench.attached(
        go=DONE,
        break_in={"result": {}, "after": [STOP]},
        time={"result": {"time": 5}},
        clear=DONE,
        let_go=DONE,
    )
    debugger.go()
    release = debugger.detach(timeout=30)
    assert release.running is None
    assert "its clock stood still at 5" in release.proof


def test_prints_that_the_debugger_lost_are_lost_lines(bench: Bench) -> None:
    lost = {"event": "lost", "text": "no room for some lines"}
    debugger = bench.attached(go={"result": {}, "after": [printed("a"), lost]})
    debugger.go()
    assert debugger.receive(timeout=30) is not None
    with pytest.raises(LinesLost, match="fake: no room for some lines"):
        debugger.receive(timeout=30)


def test_a_target_that_floods_a_reader_that_sleeps_is_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workerlink, "MAX_INBOX", 3)
    debugger = bench.attached(go={"result": {}, "after": [printed(str(number)) for number in range(9)]})
    debugger.go()
    assert debugger._link is not None
    assert debugger._link.ended.wait(30)
    texts = []
    with pytest.raises(TargetLost, match="3 messages of the target were not read"):
        while True:
            texts.append(debugger.receive(timeout=30))
    assert len(texts) == 3


def test_another_stop_is_named_and_not_taken_for_a_command(bench: Bench) -> None:
    stop = STOP | {"code": 0, "kind": "load_module"}
    debugger = bench.attached(go={"result": {}, "after": [stop]})
    debugger.go()
    assert debugger.receive(timeout=30) == Stopped("the event 'load_module'", 0, 0x1234)


def test_a_kernel_that_moved_in_a_reboot_is_not_blamed(bench: Bench) -> None:
    crash = STOP | {"bugcheck": [0xD1, 0, 2, 0, 0x9010]}
    rows = [["ntoskrnl.exe", 0x9000, 0x1000]]
    debugger = bench.attached(
        go={"result": {}, "after": [{"event": "rebooted"}, crash]}, modules={"result": {"modules": rows}}
    )
    debugger.go()
    assert isinstance(debugger.receive(timeout=30), TargetRebooted)
    event = debugger.receive(timeout=30)
    assert event == BugcheckSeen(0xD1, (0, 2, 0, 0x9010), "ntoskrnl.exe", 0x10)
