"""The channel's own errors, with a guest in Python; what it does is shown with the real helper, in Wine."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from serial_guest import SerialGuest

from harness.connection import TcpConnection, parse_connection
from harness.errors import GuestError, TargetLost, UsageError
from harness.guests.channels.serial import SerialChannel
from harness.guests.channels.serial.operations import MAX_TEXT, Operation

Answers: TypeAlias = dict[int, bytes]


def dwords(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


HELLO = dwords(1, 77)


class Port:
    """A port of a machine. Serves hosts one after the other."""

    def __init__(self, answers: Answers | None) -> None:
        self.operations: list[int] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.connection = TcpConnection("127.0.0.1", self._server.getsockname()[1])
        self._answers = answers
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _perform(self, operation: int, payload: bytes) -> bytes:
        self.operations.append(operation)
        assert self._answers is not None
        return self._answers.get(operation, b"")

    def _serve(self) -> None:
        guest = SerialGuest(self._perform)
        while True:
            host, _ = self._server.accept()
            with host:
                while data := host.recv(4096):
                    if data == b"end":
                        return
                    if self._answers is not None:
                        host.sendall(guest.receive(data))

    def close(self) -> None:
        with socket.create_connection((self.connection.host, self.connection.port)) as last:
            last.sendall(b"end")
            self._thread.join(60)
        self._server.close()


@pytest.fixture
def port() -> Iterator[Callable[[Answers | None], Port]]:
    made: list[Port] = []

    def make(answers: Answers | None) -> Port:
        made.append(Port(answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def channel(port) -> Iterator[Callable[..., SerialChannel]]:
    made: list[SerialChannel] = []

    def make(answers: Answers | None, **options: float) -> SerialChannel:
        made.append(SerialChannel(port(answers).connection, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_network_connection_is_no_serial_port() -> None:
    with pytest.raises(UsageError, match="needs a serial port") as caught:
        SerialChannel(parse_connection("net:port=50000,key=1.2.3.4"))
    assert "com:ipport=" in caught.value.hint


def test_a_port_that_nobody_serves_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    channel = SerialChannel(TcpConnection("127.0.0.1", number))
    with pytest.raises(TargetLost, match=rf"no serial port at 127.0.0.1:{number}.*\(tried for 0 s\)"):
        channel.await_up(0.1)
    channel.close()


def test_a_guest_that_says_nothing_is_told_with_what_was_tried(channel) -> None:
    with pytest.raises(TargetLost, match=r"HELLO for \d s: asked 2 times, 0 bytes came back") as caught:
        channel(None).await_up(0.8)
    assert "actor.exe serve COM2" in caught.value.hint


def test_ping_and_clock(channel) -> None:
    guest = channel({Operation.HELLO: HELLO, Operation.PING: b"abc", Operation.CLOCK: dwords(5, 1, 3)})
    assert guest.ping(b"abc") < 60
    with pytest.raises(GuestError, match="answered the ping b'xyz' with b'abc'"):
        guest.ping(b"xyz")
    clock = guest.clock()
    assert (clock.utc, clock.uptime) == (0x1_0000_0005, 3)


@pytest.mark.parametrize(
    ("hello", "said"),
    [(dwords(2, 77), "speaks version 2 of the protocol, not 1"), (b"abc", "3 bytes in place of 8: 616263")],
)
def test_another_protocol_is_named(channel, hello: bytes, said: str) -> None:
    with pytest.raises(GuestError, match=said):
        channel({Operation.HELLO: hello}).await_up(60)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({Operation.GET: dwords(0, 1)}, "4294967296 bytes in the guest, more than 100"),
        ({Operation.GET: dwords(101, 0)}, "101 bytes in the guest, more than 100"),
        ({Operation.GET: b""}, "0 bytes in place of 8"),
        ({Operation.GET: dwords(5, 0), Operation.GET_PIECE: b""}, "handed out 0 of 5 bytes"),
        ({Operation.GET: dwords(5, 0), Operation.GET_PIECE: b"123456"}, "handed out 6 of 5 bytes"),
    ],
)
def test_a_guest_that_hands_out_what_was_not_agreed(channel, answers: Answers, said: str) -> None:
    with pytest.raises(GuestError, match=said):
        channel({Operation.HELLO: HELLO, **answers}).get("C:\\x", limit=100)


def test_the_words_of_a_program_are_a_command_line(port) -> None:
    made = port(
        {Operation.HELLO: HELLO, Operation.RUN: dwords(4), Operation.WAIT: dwords(1, 7, 2, 0, 0, 0)}
        | {Operation.OUTPUT: b"ok"}
    )
    channel = SerialChannel(made.connection)
    done = channel.run(["a.exe", "b c", 'd"e'], timeout=5)
    channel.close()
    assert (done.exit_code, done.stdout, done.stderr) == (7, b"ok", b"")
    assert made.operations == [
        Operation.HELLO,
        Operation.TEXT,
        Operation.RUN,
        Operation.WAIT,
        Operation.OUTPUT,
    ]


@pytest.mark.parametrize("path", ["", "a\0b", "x" * (MAX_TEXT + 1)], ids=["empty", "NUL", "long"])
def test_a_text_that_no_path_can_be(channel, path: str) -> None:
    with pytest.raises(GuestError, match="no path and no command line is empty, has a NUL or"):
        channel({Operation.HELLO: HELLO}).put(path, b"")
