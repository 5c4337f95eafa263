"""What is added to DbgEng's words on a serial line, until a target that runs has heard its RESET."""

from __future__ import annotations

import pytest

from harness.debuggers.pykd.resync import BREAK_IN_AGAIN, RESET_AGAIN, Resynchroniser
from harness.kd.kdcom import frame_packet
from harness.kd.packet_ids import KDCOM_FIRST, SYNC
from harness.kd.packets import BREAK_IN, Packet, PacketType

RESET = frame_packet(Packet(PacketType.RESET, 0))
ACK = frame_packet(Packet(PacketType.ACKNOWLEDGE, KDCOM_FIRST))
STOP = frame_packet(Packet(PacketType.STATE_CHANGE64, KDCOM_FIRST | SYNC, bytes(240)))


@pytest.fixture
def resync() -> Resynchroniser:
    """DbgEng has sent its first RESET at second 10, a byte at a time as it does."""
    resync = Resynchroniser()
    for byte in RESET:
        assert resync.deadline is None
        resync.from_debugger(bytes([byte]), 10.0)
    return resync


def test_nothing_is_added_before_dbgeng_has_spoken() -> None:
    resync = Resynchroniser()
    assert resync.from_target(b"boot loader" + STOP, 1.0) == b""
    assert resync.handle_timer(100.0) == b""


def test_a_silent_target_is_broken_into_again_and_again(resync: Resynchroniser) -> None:
    assert resync.deadline == 10.0
    assert resync.handle_timer(10.0) == BREAK_IN
    assert resync.handle_timer(10.1) == b""
    assert resync.deadline == 10.0 + BREAK_IN_AGAIN
    assert resync.handle_timer(10.0 + BREAK_IN_AGAIN) == BREAK_IN


def test_a_target_that_speaks_without_an_answer_is_sent_reset_and_is_broken_into_no_more(
    resync: Resynchroniser,
) -> None:
    assert resync.from_target(STOP, 11.0) == RESET
    assert resync.deadline is None
    assert resync.from_target(STOP, 11.0 + RESET_AGAIN / 2) == b""
    assert resync.from_target(STOP, 11.0 + RESET_AGAIN) == RESET


def test_an_answer_that_dbgeng_acts_upon_ends_it(resync: Resynchroniser) -> None:
    assert resync.from_target(RESET[:7], 10.2) == b""
    assert resync.from_target(RESET[7:] + STOP, 10.2) == b""
    assert resync.deadline is None
    resync.from_debugger(ACK, 10.3)
    assert resync.from_target(STOP, 12.0) == b""


def test_an_answer_that_dbgeng_has_missed_does_not(resync: Resynchroniser) -> None:
    assert resync.from_target(RESET + STOP, 10.2) == b""
    assert resync.from_target(STOP, 10.3) == b""
    assert resync.from_target(STOP, 10.2 + RESET_AGAIN) == RESET


def test_a_later_reset_is_repeated_too_and_the_target_is_not_stopped_for_it(resync: Resynchroniser) -> None:
    resync.from_target(RESET, 10.2)
    resync.from_debugger(ACK, 10.3)
    resync.from_debugger(RESET, 20.0)
    assert resync.deadline is None
    assert resync.from_target(STOP, 20.5) == RESET


def test_nothing_is_put_into_the_middle_of_a_packet(resync: Resynchroniser) -> None:
    resync.from_debugger(RESET[:5], 10.1)
    assert resync.handle_timer(10.2) == b""
    assert resync.from_target(STOP, 11.0) == b""
    resync.from_debugger(RESET[5:], 11.1)
    assert resync.from_target(STOP, 11.3) == RESET
