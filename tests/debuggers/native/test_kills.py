"""A recorder that dies at any moment costs its recording, and never the target.

It dies at the n-th message of attaching, recording or leaving, so that each moment has its turn, whatever the
machine's speed. Seen from the target that is what a killed process is: silence.
``PROCNOTIFY_KILLS`` says how many recorders die; 200 take some minutes. Those that die with breakpoints in
their target leave these there, and the next one takes them away.
"""

from __future__ import annotations

import os
import random

import pytest
from kd_peer import free_udp_port
from living_target import PATIENCE, LivingTarget, calls_its_driver
from serial_cables import free_tcp_port

from harness.connection import Connection
from harness.debuggers.base import Release
from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import ProcnotifyError, TargetLost
from harness.events import Event
from harness.kd.kdnet import Key
from harness.ports import opening
from harness.ports.opening import open_transport
from harness.ports.transport import Transport
from harness.recorder import Recorder

KILLS = int(os.environ.get("PROCNOTIFY_KILLS", "10"))
WATCHING_KILLS = int(os.environ.get("PROCNOTIFY_KILLS", "0"))
SEED = 20261127
KEY = Key.parse("1.2.3.4")
RECORDING = 0.2
"""Seconds that a recording lasts which nobody ends."""
WATCHING = 1.0
"""The same of one that sees callbacks."""
AGAIN = 0.3
"""How often the recorder after a killed one is killed too."""
CONNECTIONS = {
    "kdnet": lambda: f"net:port={free_udp_port()},key={KEY.format()}",
    "kdcom": lambda: f"com:ipport={free_tcp_port()},port=127.0.0.1",
}


class Mortal:
    """A transport whose process is killed at a message, before that is sent, or known to anybody."""

    def __init__(self, inner: Transport) -> None:
        self.name = inner.name
        self.used = 0
        self.last: int | None = None
        """The number of the message after which it is dead; None: it lives."""
        self._inner = inner

    @property
    def dead(self) -> bool:
        return self.last is not None and self.used > self.last

    def _live(self) -> None:
        self.used += 1
        if self.dead:
            raise TargetLost("the recorder was killed")

    def fileno(self) -> int:
        return self._inner.fileno()

    def receive(self) -> tuple[bytes, tuple[str, int] | None] | None:
        received = self._inner.receive()
        if received is not None:
            self._live()
        return received

    def send(self, data: bytes, address: tuple[str, int] | None) -> None:
        self._live()
        self._inner.send(data, address)

    def close(self) -> None:
        self._inner.close()


class Recording:
    """One recording by a recorder that is killed at the n-th message of a phase, or lives.

    :param kill: phase and number, None: it lives.
    :param callbacks: it sees the driver's callbacks at breakpoints.
    """

    def __init__(
        self, connection: str, kill: tuple[str, int] | None = None, *, callbacks: bool = False
    ) -> None:
        self.seen = 0
        """How many callbacks it saw."""
        self._kill = kill
        self._began: dict[str, int] = {}
        self.messages: dict[str, int] = {}
        """How many messages each phase took."""
        self.outcome = ""
        """How the target was left, or why nothing is known."""
        debugger = NativeDebugger(connection)
        go, detach = debugger.go, debugger.detach

        def open_mortal(connection: Connection, *, timeout: float) -> Transport:
            self.mortal = Mortal(open_transport(connection, timeout=timeout))
            self._enter("attach")
            return self.mortal

        def go_on() -> None:
            if "record" not in self._began:
                self._enter("record")
            go()

        def leave(*, timeout: float) -> Release:
            self._enter("release")
            return detach(timeout=timeout)

        def see(event: Event) -> None:
            self.seen += event.witness == "breakpoint"

        recorder = Recorder(debugger, lambda info: None, see, callbacks=callbacks)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(opening, "open_transport", open_mortal)
            patch.setattr(debugger, "go", go_on)
            patch.setattr(debugger, "detach", leave)
            duration = WATCHING if callbacks else RECORDING
            try:
                result = recorder.run(attach_timeout=PATIENCE, duration=duration)
                self.outcome = str(result.release)
            except ProcnotifyError as error:
                self.outcome = str(error)
        starts = [*self._began.values(), self.mortal.used]
        self.messages = {phase: starts[at + 1] - starts[at] for at, phase in enumerate(self._began)}

    def _enter(self, phase: str) -> None:
        self._began[phase] = self.mortal.used
        if self._kill is not None and self._kill[0] == phase and not self.mortal.dead:
            self.mortal.last = self.mortal.used + self._kill[1]


@pytest.mark.skipif(os.name == "nt", reason="the target's thread and the host share one interpreter")
@pytest.mark.parametrize("link", ["kdnet", "kdcom"])
def test_a_recorder_killed_at_any_moment_costs_its_recording_and_never_the_target(link: str) -> None:
    connection, rng = CONNECTIONS[link](), random.Random(SEED)
    with LivingTarget(connection) as target:
        whole = Recording(connection)
        assert "was left running" in whole.outcome
        killed = 0
        for number in range(KILLS):
            phase = rng.choice(list(whole.messages))
            kill = (phase, rng.randrange(whole.messages[phase]))
            when = f"kill {number} of {KILLS} (seed {SEED}), at message {kill[1]} of {phase}"
            killed += Recording(connection, kill).mortal.dead
            if rng.random() < AGAIN:
                continue  # the next one is killed as well
            outcome = Recording(connection).outcome
            assert "was left running" in outcome, f"{when}: {outcome}"
            target.must_run(when)
        outcome = Recording(connection).outcome
        assert "was left running" in outcome, outcome
        target.must_run("after the last kill")
    assert killed > KILLS // 2  # a recording may end before its n-th message


@pytest.mark.skipif(os.name == "nt", reason="the target's thread and the host share one interpreter")
@pytest.mark.skipif(not WATCHING_KILLS, reason="takes seconds a kill: set PROCNOTIFY_KILLS")
@pytest.mark.parametrize("link", ["kdnet", "kdcom"])
def test_a_recorder_killed_among_its_breakpoints_leaves_none_once_another_has_been_there(link: str) -> None:
    connection, rng = CONNECTIONS[link](), random.Random(SEED)
    with LivingTarget(connection, calls_its_driver) as target:
        whole = Recording(connection, callbacks=True)
        assert "was left running" in whole.outcome
        assert whole.seen > 0
        left = 0
        for number in range(WATCHING_KILLS):
            phase = rng.choice(list(whole.messages))
            kill = (phase, rng.randrange(whole.messages[phase]))
            when = f"kill {number} of {WATCHING_KILLS} (seed {SEED}), at message {kill[1]} of {phase}"
            killed = Recording(connection, kill, callbacks=True)
            left += killed.mortal.dead
            outcome = Recording(connection).outcome
            assert "was left running" in outcome, f"{when}: {outcome}"
            target.must_run(when)
            assert target.breakpoints == set(), when
    assert left > WATCHING_KILLS // 4  # a recording on a busy machine may end before its n-th message
