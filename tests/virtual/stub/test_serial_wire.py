"""The target's serial port, in every form of a connection: who comes, who leaves, what is lost meanwhile."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
from serial_cables import FORMS, serial_connection

from harness.connection import Connection, SerialConnection, TcpConnection
from harness.errors import ConnectionFailed
from harness.ports.opening import Opener, await_transport, opener_of
from harness.ports.transport import Transport
from harness.virtual.kdport import open_kd_port
from harness.virtual.stub.wire import WatchingWire

PATIENCE = 30.0


def until(wire: WatchingWire, done: Callable[[], bool]) -> None:
    """Let the target look after its port until something has happened."""
    deadline = monotonic() + PATIENCE
    while not done():
        assert monotonic() < deadline
        wire.wait(0.05)


class Line:
    """A target's wire and the debugger's end of it, which is opened and closed at will."""

    def __init__(self, connection: Connection) -> None:
        self._opener: Opener = opener_of(connection)
        self.wire = open_kd_port(connection, "127.0.0.1", now=monotonic).wire
        self.debugger: Transport | None = None

    def plug(self) -> None:
        """A debugger comes; the target has noticed when it hears of it."""
        if self.debugger is None:
            self.wire.wait(0.1)  # where the target connects, it has to have tried
            self.debugger = await_transport(self._opener, monotonic() + PATIENCE)
        self.debugger.send(b"hello", None)
        assert self.heard(5) == b"hello"

    def unplug(self) -> None:
        assert self.debugger is not None
        self.debugger.close()
        self.debugger = None

    def heard(self, count: int) -> bytes:
        """So many bytes from the debugger."""
        got = bytearray()

        def take() -> bool:
            got.extend(self.wire.receive() or b"")
            return len(got) >= count

        until(self.wire, take)
        return bytes(got)

    def told(self, count: int) -> bytes:
        """So many bytes from the target."""
        got = bytearray()
        assert self.debugger is not None
        deadline = monotonic() + PATIENCE
        while len(got) < count and monotonic() < deadline:
            received = self.debugger.receive()
            got.extend(received[0] if received is not None else b"")
        return bytes(got)

    def close(self) -> None:
        self.wire.close()
        if self.debugger is not None:
            self.debugger.close()
        self._opener.close()


@pytest.fixture(params=FORMS)
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Line]:
    line = Line(serial_connection(request.param, tmp_path))
    yield line
    line.close()


def test_a_debugger_comes_goes_and_comes_again_and_misses_what_was_said_meanwhile(line: Line) -> None:
    line.plug()
    line.wire.send(bytes(range(256)))
    assert line.told(256) == bytes(range(256))
    line.unplug()
    until(line.wire, lambda: line.wire.receive() is None and line.wire._transport is None)  # type: ignore[attr-defined]
    line.wire.send(b"nor does anybody now")
    line.plug()
    line.wire.send(b"again")
    assert line.told(5) == b"again"


def test_other_things_are_watched_with_and_without_a_debugger(line: Line) -> None:
    ours, theirs = socket.socketpair()
    seen: list[bytes] = []
    with ours, theirs:
        line.wire.watch(theirs, lambda: seen.append(theirs.recv(16)))
        ours.send(b"one")
        until(line.wire, lambda: len(seen) == 1)
        line.plug()
        ours.send(b"two")
        until(line.wire, lambda: len(seen) == 2)
    assert seen == [b"one", b"two"]


@pytest.mark.skipif(sys.platform == "win32", reason="a pty is POSIX")
def test_a_device_is_the_far_end_of_the_debugger_s_cable() -> None:
    if sys.platform == "win32":
        return
    far, near = os.openpty()
    wire = open_kd_port(SerialConnection(os.ttyname(near), 115200), "127.0.0.1", now=monotonic).wire
    try:
        os.write(far, b"b0000\n\r\x03")
        got = b""
        while len(got) < 8:
            wire.wait(PATIENCE)
            got += wire.receive() or b""
        assert got == b"b0000\n\r\x03"
        wire.send(b"\xaa\x00\x11\n")
        assert os.read(far, 16) == b"\xaa\x00\x11\n"
    finally:
        wire.close()
        os.close(far)
        os.close(near)


def test_a_port_that_somebody_has_is_refused_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        connection = TcpConnection("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ConnectionFailed, match="cannot be served"):
            open_kd_port(connection, "127.0.0.1", now=monotonic)


def test_a_device_that_is_none_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no device", encoding="ascii")
    with pytest.raises(ConnectionFailed, match="no serial port at"):
        open_kd_port(SerialConnection(str(tmp_path / "file"), 115200), "127.0.0.1", now=monotonic)
