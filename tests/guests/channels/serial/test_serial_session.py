"""Each request is done once and answered, whatever the line does, in simulated time."""

from __future__ import annotations

import pytest
from damaged_frames import FrameDamage
from hypothesis import given
from hypothesis import strategies as st
from serial_guest import SerialGuest

from harness.errors import GuestError, TargetLost
from harness.guests.channels.serial.frames import MAX_PAYLOAD, Frame, FrameKind, encode
from harness.guests.channels.serial.operations import (
    PIECE,
    Operation,
    ProgramState,
    Waited,
    numbers,
    pieces,
)
from harness.guests.channels.serial.session import (
    LONGEST_RETRY_SECONDS,
    Answer,
    HelperRestarted,
    HostSession,
    retry_seconds,
)

RETRY = 0.5


class Line:
    """A host and a guest, and what is between them."""

    def __init__(self, seed: int, share: float) -> None:
        self.done: list[tuple[int, bytes]] = []
        self.guest = SerialGuest(self._perform)
        self.session = HostSession(7, retry=RETRY)
        self.now = 0.0
        self.out, self.back = FrameDamage(f"{seed} out", share), FrameDamage(f"{seed} back", share)

    def _perform(self, operation: int, payload: bytes) -> bytes:
        self.done.append((operation, payload))
        return b"%d" % len(self.done)

    def ask(self, operation: Operation, payload: bytes) -> Answer:
        self.session.ask(operation, payload, self.now)
        for _ in range(1000):
            while data := self.session.output():
                reply = self.back.pass_on(self.guest.receive(self.out.pass_on(data)))
                if answer := self.session.receive(reply, self.now):
                    return answer
            self.now = self.session.due
            self.session.repeat(self.now)
        raise AssertionError("no answer")


@given(
    st.integers(0, 2**32),
    st.floats(0, 0.6),
    st.lists(st.binary(max_size=MAX_PAYLOAD), min_size=1, max_size=30),
)
def test_each_request_is_done_once_and_in_order(seed: int, share: float, payloads: list[bytes]) -> None:
    line = Line(seed, share)
    line.ask(Operation.HELLO, b"")
    answers = [line.ask(Operation.PING, payload) for payload in payloads]
    assert line.done == [(Operation.HELLO, b""), *((Operation.PING, payload) for payload in payloads)]
    assert answers == [Answer(0, b"%d" % (number + 2)) for number in range(len(payloads))]
    assert line.guest.ignored == 0 or "doubled" in line.out.happened


def test_every_kind_of_damage_was_met() -> None:
    line = Line(1, 0.5)
    for _ in range(200):
        line.ask(Operation.HELLO, b"x" * 100)
    assert min(line.out.happened.values()) > 5 < min(line.back.happened.values())
    assert len(line.out.happened) == len(line.back.happened) == 5


def test_a_request_is_repeated_at_growing_pauses_until_it_is_answered() -> None:
    session = HostSession(1, retry=0.25)
    session.ask(Operation.PING, b"", 0.0, longer=1.0)
    first = session.output()
    assert session.output() == b""
    moments = []
    now = 0.0
    for _ in range(6):
        session.repeat(session.due - 0.01)
        assert session.output() == b""
        moments.append(session.due - now)
        now = session.due
        session.repeat(now)
        assert session.output() == first
    assert moments == [1.25, 1.5, 2.0, 1 + LONGEST_RETRY_SECONDS, 3.0, 3.0]
    assert session.asked == 7


def test_damage_is_answered_at_once_and_only_while_a_reply_is_missing() -> None:
    session = HostSession(1, retry=RETRY)
    damaged = encode(Frame(FrameKind.DAMAGED, 0, 0, 0))
    assert session.receive(damaged, 0.0) is None
    assert session.output() == b""
    session.ask(Operation.PING, b"", 0.0)
    request = session.output()
    assert session.receive(damaged + b"broken\0" + damaged, 0.1) is None
    assert session.output() == request
    assert session.damaged == 3
    reply = encode(Frame(FrameKind.REPLY, Operation.PING, 1, 1, bytes(4)))
    assert session.receive(damaged + reply + damaged + reply, 0.2) == Answer(0, b"")
    assert session.output() == b""


@pytest.mark.parametrize(
    "frame",
    [
        Frame(FrameKind.REQUEST, 2, 1, 1),
        Frame(FrameKind.REPLY, 2, 1, 1, b"abc"),
        Frame(FrameKind.REPLY, 2, 2, 1, bytes(4)),
        Frame(FrameKind.REPLY, 2, 1, 2, bytes(4)),
        Frame(FrameKind.NO_SESSION, 2, 2, 1),
        Frame(FrameKind.NO_SESSION, 2, 1, 2),
    ],
    ids=["echo", "no status", "another session", "another id", "lost to another", "lost before"],
)
def test_what_is_no_reply_to_the_latest_request_is_none(frame: Frame) -> None:
    session = HostSession(1, retry=RETRY)
    session.ask(Operation.PING, b"", 0.0)
    assert session.receive(encode(frame), 0.1) is None
    assert session.due == RETRY


def test_a_guest_of_another_session_is_named() -> None:
    guest = SerialGuest(lambda operation, payload: b"")
    first, second = HostSession(1, retry=RETRY), HostSession(2, retry=RETRY)
    for session in (first, second):
        session.ask(Operation.HELLO, b"", 0.0)
        assert session.receive(guest.receive(session.output()), 0.0) == Answer(0, b"")
    first.ask(Operation.PING, b"", 0.0)
    with pytest.raises(HelperRestarted, match=r"asked for PING.*another host has taken it over") as caught:
        first.receive(guest.receive(first.output()), 0.0)
    assert isinstance(caught.value, TargetLost)
    second.ask(Operation.PING, b"", 0.0)
    assert second.receive(guest.receive(second.output()), 0.0) == Answer(0, b"")


def test_ids_end_before_they_begin_anew() -> None:
    session = HostSession(1, retry=RETRY)
    session._id = 0xFFFF_FFFE
    session.ask(Operation.PING, b"", 0.0)
    with pytest.raises(TargetLost, match="no more ids"):
        session.ask(Operation.PING, b"", 0.0)


@given(st.binary(max_size=2500))
def test_pieces_are_whole_in_order_and_fit_into_frames(data: bytes) -> None:
    cut = list(pieces(data))
    assert b"".join(piece[4:] for piece in cut) == data
    assert [numbers("TEXT", piece[:4], 1)[0] for piece in cut] == list(range(0, len(data), PIECE))
    assert all(4 < len(piece) <= MAX_PAYLOAD for piece in cut)


def test_an_answer_of_another_shape_is_the_guests_fault() -> None:
    whole = b"".join(number.to_bytes(4, "little") for number in (1, 9, 10, 0, 20, 5))
    assert Waited.read(whole) == Waited(ProgramState.ENDED, 9, (10, 20), (0, 5))
    with pytest.raises(GuestError, match="23 bytes in place of 24"):
        Waited.read(whole[1:])
    with pytest.raises(GuestError, match="state 3, which is none"):
        Waited.read(b"\x03" + whole[1:])


def test_a_slow_line_is_given_the_time_of_its_frames() -> None:
    assert 0.4 < retry_seconds(115_200) < 0.5
    assert 2.4 < retry_seconds(9600) < 2.5
