"""A serial port that is closed and comes back, of every form, whoever serves it."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kd_peer import KUSER, ThinTarget
from serial_cables import FORMS, Cable

from harness.debuggers.base import DebuggerEvent, Disconnected, PrintReceived, Stopped, TargetRebooted
from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import TargetLost
from harness.kd.session import Session


@pytest.fixture(params=FORMS)
def cable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cable]:
    with Cable(request.param, tmp_path) as cable:
        yield cable


@contextmanager
def running(cable: Cable, *, options: str = ",reconnect") -> Iterator[tuple[NativeDebugger, ThinTarget]]:
    """A target that runs and is listened to."""
    debugger = NativeDebugger(cable.connection + options)
    attaching = threading.Thread(target=lambda: debugger.attach(timeout=60))
    debugger.listen()
    attaching.start()
    with ThinTarget.kdcom(cable.end()) as machine:
        attaching.join()
        debugger.go()
        yield debugger, machine


def next_event(debugger: NativeDebugger) -> DebuggerEvent | None:
    return debugger.receive(timeout=60)


def next_said(debugger: NativeDebugger) -> DebuggerEvent | None:
    """The next event that is no break-in, which may come when the machine is slow; it is let go."""
    while isinstance(event := next_event(debugger), Stopped) and event.break_in:
        debugger.go()
    return event


def text_of(event: DebuggerEvent | None) -> str:
    return event.text if isinstance(event, PrintReceived) else repr(event)


def test_it_goes_on_and_tells_where_it_was_closed(cable: Cable) -> None:
    with running(cable) as (debugger, target):
        for number in range(3):
            target.print(f"before {number}\n")
            assert text_of(next_said(debugger)) == f"before {number}\n"
            target.unplug()
            assert isinstance(next_said(debugger), Disconnected)
            target.print("meanwhile\n")
            target.plug(cable.end())
            assert text_of(next_said(debugger)) == "meanwhile\n", "it was sent until it was acknowledged"
        assert debugger.detach(timeout=10).running is True


def test_without_reconnect_it_ends(cable: Cable) -> None:
    with running(cable, options="") as (debugger, target):
        target.unplug()
        with pytest.raises(TargetLost, match=r"was closed by the target's side|failed"):
            next_event(debugger)
        assert debugger.detach(timeout=1).running is None


def test_a_target_that_gave_its_debugger_up_is_broken_into(cable: Cable) -> None:
    with running(cable) as (debugger, target):
        target.unplug(gives_up=True)
        assert isinstance(next_said(debugger), Disconnected)
        target.print("to nobody\n")
        target.wait(lambda: target.debugger_gone)
        target.plug(cable.end())
        stop = next_event(debugger)
        assert isinstance(stop, Stopped) and stop.break_in
        debugger.go()
        target.print("after\n")
        assert text_of(next_said(debugger)) == "after\n"
        assert debugger.detach(timeout=10).running is True


def test_one_that_began_anew_meanwhile_has_rebooted(cable: Cable) -> None:
    with running(cable) as (debugger, target):

        def set_clock(time: int) -> None:
            target.memory.put(KUSER, bytes(8) + struct.pack("<Q", time) + bytes(0xFF0))

        def boot() -> None:
            """It gives its debugger up before that is back, so that only its clock tells."""
            target.session = Session.kdcom_target()
            set_clock(1_000_000)
            target.debugger_gone = True

        target.unplug()
        assert isinstance(next_said(debugger), Disconnected)
        target.do(lambda: set_clock(2_000_000))
        target.plug(cable.end())
        assert isinstance(next_event(debugger), Stopped)
        debugger.go()
        target.unplug()
        assert isinstance(next_said(debugger), Disconnected)
        target.do(boot)
        target.plug(cable.end())
        assert next_event(debugger) == TargetRebooted(announced=False)
        assert isinstance(next_event(debugger), Stopped)
        debugger.go()
        assert debugger.detach(timeout=10).running is True


def test_a_target_that_speaks_first_after_its_reboot_is_told_of_once(cable: Cable) -> None:
    with running(cable) as (debugger, target):
        target.print("first boot\n")
        assert text_of(next_said(debugger)) == "first boot\n"
        target.unplug()
        assert isinstance(next_said(debugger), Disconnected)
        target.do(lambda: setattr(target, "session", Session.kdcom_target()))
        target.print("second boot\n")
        target.plug(cable.end())
        seen = []
        while text_of(event := next_said(debugger)) != "second boot\n":
            seen.append(event)
        assert seen == [TargetRebooted(announced=False)]
        debugger.detach(timeout=10)


def test_released_while_it_is_closed_nothing_is_known_and_nothing_waited_for(cable: Cable) -> None:
    with running(cable) as (debugger, target):
        target.unplug()
        assert isinstance(next_said(debugger), Disconnected)
        release = debugger.detach(timeout=1000)
        assert release.running is None
        assert "the connection was closed, and nobody has come back" in release.proof


def test_a_continue_that_the_closing_swallowed_arrives_when_it_is_back(cable: Cable) -> None:
    with running(cable) as (debugger, target):
        target.exception(0x80000004)
        assert isinstance(next_event(debugger), Stopped)
        target.unplug()
        going = threading.Thread(target=debugger.go)
        going.start()
        target.plug(cable.end())
        going.join(60)
        target.wait(lambda: not target.halted)
        debugger.detach(timeout=10)


def test_one_that_comes_and_goes_without_a_word_is_told_of_once(cable: Cable) -> None:
    with running(cable) as (debugger, target):
        target.unplug()
        assert isinstance(next_said(debugger), Disconnected)
        for _ in range(3):
            cable.end().close()
        target.plug(cable.end())
        target.print("back\n")
        seen = []
        while text_of(event := next_said(debugger)) != "back\n":
            seen.append(event)
        assert not any(isinstance(event, Disconnected) for event in seen)
        debugger.detach(timeout=10)
