"""A break-in that crossed the report of a stop: the debugger knows of it and is not told again."""

from __future__ import annotations

from kd_debugger import MemoryDebugger, go

from harness.kd.manipulate import GetVersion64
from harness.kd.packets import PacketType
from harness.kd.session_events import PacketReceived
from harness.kd.statechange import decode_state_change

BEAT = 0.1
"""Seconds between two break-ins."""
BREAK_INS = 20


class Impatient(MemoryDebugger):
    """Asks one thing about its first stop, then breaks in again and again before it lets the target go."""

    def __init__(self) -> None:
        super().__init__()
        self.reports = 0
        self.break_ins = 0

    def wait(self, timeout: float | None) -> None:
        super().wait(min(timeout or 0.0, BEAT))
        if not self.reports or self._dialog is not None:
            return
        if self.break_ins < BREAK_INS:
            self.break_ins += 1
            self.break_in()
        else:
            self._dialog = go(self.stops[0])
            self._say(next(self._dialog))

    def _hear(self, event: PacketReceived) -> None:
        if event.packet_type is PacketType.STATE_CHANGE64:
            self.reports += 1
            if not self.stops:
                self.stops.append(decode_state_change(event.payload))
                self._say(GetVersion64())
        elif self._dialog is not None:
            super()._hear(event)


def test_a_debugger_that_has_asked_something_is_not_told_again() -> None:
    debugger = Impatient()
    target = debugger.attached()
    assert debugger.break_ins == BREAK_INS
    assert debugger.reports == 1
    assert target.stops == 1
