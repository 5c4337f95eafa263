"""A stop that the debugger missed is told again: to one that breaks in, to one that has just come."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kd_debugger import MemoryDebugger

from harness.kd.manipulate import GetVersion64
from harness.kd.packets import PacketType
from harness.kd.session_events import PacketReceived
from harness.kd.statechange import Exception64, decode_state_change

PATIENCE = 200
"""Times that the halted target waits before a test has gone wrong."""


class AbsentMinded(MemoryDebugger):
    """Overhears the first stop. While the target waits for it, it does something.

    :param remedy: done once, at the second wait of the halted target.
    """

    def __init__(self, remedy: Callable[[AbsentMinded], None]) -> None:
        super().__init__()
        self.overheard: list[Exception64] = []
        self._remedy = remedy
        self._waits = 0

    def wait(self, timeout: float | None) -> None:
        super().wait(timeout)
        if self.overheard and not self.stops:
            self._waits += 1
            assert self._waits < PATIENCE, "the stop was never told again"
            if self._waits == 2:
                self._remedy(self)

    def _hear(self, event: PacketReceived) -> None:
        if event.packet_type is PacketType.STATE_CHANGE64 and not self.overheard:
            stop = decode_state_change(event.payload)
            assert isinstance(stop, Exception64)
            self.overheard.append(stop)
        else:
            super()._hear(event)

    def begin_anew(self) -> None:
        """Another debugger in this one's place, which knows nothing and does not break in."""
        self.break_in_at_once = False
        self._session = self._host_session()


@pytest.mark.usefixtures("any_link")
def test_a_break_in_at_a_halted_target_has_the_stop_told_again() -> None:
    debugger = AbsentMinded(lambda it: it.break_in())
    debugger.attached()
    (missed,), (told,) = debugger.overheard, debugger.stops
    assert isinstance(told, Exception64)
    assert (told.exception_code, told.exception_address) == (missed.exception_code, missed.exception_address)


def test_a_debugger_that_connects_while_the_target_is_halted_is_told_the_stop() -> None:
    debugger = AbsentMinded(AbsentMinded.begin_anew)
    debugger.attached()
    (missed,), (told,) = debugger.overheard, debugger.stops
    assert isinstance(told, Exception64)
    assert (told.exception_code, told.exception_address) == (missed.exception_code, missed.exception_address)


class Inquisitive(MemoryDebugger):
    """Asks one thing at its first stop and is killed; another one comes, which breaks in until it hears of a
    stop."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Exception64] = []
        self._waits = 0

    def wait(self, timeout: float | None) -> None:
        super().wait(min(timeout or 0.0, 0.2))
        if self.asked and not self.stops:
            self._waits += 1
            assert self._waits < PATIENCE, "the stop was never told again"
            if self._waits == 5:
                self._session = self._host_session()
            if self._waits >= 5:
                self.break_in()

    def _hear(self, event: PacketReceived) -> None:
        if event.packet_type is PacketType.STATE_CHANGE64 and not self.asked:
            stop = decode_state_change(event.payload)
            assert isinstance(stop, Exception64)
            self.asked.append(stop)
            self._say(GetVersion64())
        elif self._waits >= 5:
            super()._hear(event)


@pytest.mark.usefixtures("kdcom")
def test_over_kdcom_the_next_debugger_is_told_the_stop_that_the_one_before_had_asked_about() -> None:
    debugger = Inquisitive()
    target = debugger.attached()
    (first,), told = debugger.asked, debugger.stops[0]
    assert isinstance(told, Exception64)
    assert told.exception_address == first.exception_address
    assert not target.stub.halted
