"""Serial ports that are not there yet, ports that block, and what is said of those that cannot be had."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kd_peer import ThinTarget, free_udp_port

from harness.connection import SerialConnection, TcpConnection, parse_connection
from harness.debuggers.base import PrintReceived, Stopped, TargetRebooted
from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import ConnectionFailed, TargetLost
from harness.kd.debugio import PrintString
from harness.kd.kdcom import frame_packet
from harness.kd.packet_ids import KDCOM_FIRST
from harness.kd.packets import Packet, PacketType, encode_packet
from harness.kd.session import Session
from harness.ports import opening
from harness.ports.byteport import socket_over
from harness.ports.opening import PortRefused, await_transport, open_transport, opener_of
from harness.ports.transport import UdpTransport

posix = pytest.mark.skipif(sys.platform == "win32", reason="the paths are POSIX")


class TestWaiting:
    """A VM's serial port is there once the VM is."""

    def test_attaching_waits_for_a_port_that_refuses(self, monkeypatch) -> None:
        with socket.socket() as server, contextlib.ExitStack() as stack:
            server.bind(("127.0.0.1", 0))
            server.settimeout(10)
            refused = 0

            def serve() -> None:
                stack.enter_context(ThinTarget.kdcom(server.accept()[0]))

            serving = threading.Thread(target=serve)

            def sleep(seconds: float) -> None:
                nonlocal refused
                refused += 1
                if refused == 3:
                    server.listen()
                    serving.start()

            monkeypatch.setattr(opening, "sleep", sleep)
            debugger = NativeDebugger(f"com:ipport={server.getsockname()[1]},port=127.0.0.1")
            debugger.listen()
            assert debugger.attach(timeout=20).build == 18362
            serving.join()
            assert refused == 3
            debugger.go()
            assert debugger.detach(timeout=5).running is True

    def test_a_port_that_never_comes_is_named_with_how_long_it_was_tried(self, tmp_path: Path) -> None:
        pipe = r"\\.\pipe\no-pipe-has-this-name" if sys.platform == "win32" else str(tmp_path / "none")
        for connection in (f"com:ipport={free_udp_port()},port=127.0.0.1", f"com:pipe,port={pipe}"):
            debugger = NativeDebugger(connection)
            debugger.listen()
            with pytest.raises(ConnectionFailed, match=r"no serial port at .* \(tried for 0 s\)") as raised:
                debugger.attach(timeout=0.1)
            assert "start the machine first" in raised.value.hint
            assert debugger.detach(timeout=0.1).running is None

    @posix
    def test_what_waiting_cannot_mend_is_said_at_once(self, tmp_path: Path, monkeypatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setattr(opening, "sleep", lambda seconds: pytest.fail("it waits"))
        with pytest.raises(ConnectionFailed, match="Not a directory"):
            await_transport(opener_of(parse_connection(f"com:pipe,port={tmp_path}/file/com1")), float("inf"))

    def test_the_deadline_bounds_each_try(self, monkeypatch) -> None:
        timeouts: list[float] = []

        def never(host: str, port: int, timeout: float) -> socket.socket:
            timeouts.append(timeout)
            raise TimeoutError("timed out")

        times = iter([0.0, 0.0, 9.0, 9.0, 9.95, 9.95])
        monkeypatch.setattr(opening, "perf_counter", lambda: next(times))
        monkeypatch.setattr(opening, "sleep", lambda seconds: None)
        monkeypatch.setattr(opening, "_connect", never)
        with pytest.raises(ConnectionFailed, match="timed out"):
            await_transport(opener_of(TcpConnection("192.0.2.1", 5000)), 10.0)
        assert max(timeouts) <= 10.0 and timeouts[-1] <= 1.0


class TestTarget:
    """A target on the other end of a TCP serial port."""

    @pytest.fixture
    def running(self) -> Iterator[tuple[NativeDebugger, ThinTarget]]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            debugger = NativeDebugger(f"com:ipport={server.getsockname()[1]},port=127.0.0.1")
            debugger.listen()
            with ThinTarget.kdcom(server.accept()[0]) as target:
                debugger.attach(timeout=20)
                debugger.go()
                yield debugger, target
                debugger.detach(timeout=5)

    def test_a_wrong_byte_behind_a_packet_costs_nothing(
        self, running: tuple[NativeDebugger, ThinTarget], caplog: pytest.LogCaptureFixture
    ) -> None:
        debugger, target = running
        caplog.set_level("DEBUG", "harness")
        damaged = encode_packet(Packet(PacketType.DEBUG_IO, KDCOM_FIRST, PrintString.of(b"hi\n").encode()))
        target.do(lambda: target._sock.sendall(damaged + b"\0"))
        target.print("after it\n")
        assert texts(debugger, 1) == ["after it\n"]
        assert "dropped: byte after the packet is 0x00, expected 0xaa" in caplog.text

    def test_a_reset_in_the_middle_of_a_packet_is_a_reboot(
        self, running: tuple[NativeDebugger, ThinTarget], caplog: pytest.LogCaptureFixture
    ) -> None:
        debugger, target = running
        target.print("first boot\n")
        assert texts(debugger, 1) == ["first boot\n"]
        target.wait_until_acknowledged()
        cut = frame_packet(Packet(PacketType.STATE_CHANGE64, KDCOM_FIRST, b"\x30\x30\0\0" + bytes(2996)))[:26]

        def reset() -> None:
            target._sock.sendall(cut)
            target.session = Session.kdcom_target()

        target.do(reset)
        target.print("second boot\n")
        rebooted = debugger.receive(timeout=10)
        assert rebooted == TargetRebooted(announced=False)
        assert texts(debugger, 1) == ["second boot\n"]
        assert "packet ids begin anew: it was reset" in caplog.text

    def test_a_target_that_gave_the_debugger_up_and_breaks_in_has_not_rebooted(
        self, running: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = running
        target.print("a line\n")
        assert texts(debugger, 1) == ["a line\n"]
        target.wait_until_acknowledged()
        target.do(lambda: setattr(target, "session", Session.kdcom_target()))
        target.exception(0x80000004)
        event = debugger.receive(timeout=10)
        assert isinstance(event, Stopped)
        debugger.go()


def texts(debugger: NativeDebugger, count: int) -> list[str]:
    events = [debugger.receive(timeout=10) for _ in range(count)]
    return [event.text if isinstance(event, PrintReceived) else repr(event) for event in events]


class Loop:
    """A byte port whose other end is a test."""

    def __init__(self) -> None:
        self.to_read: list[bytes] = []
        self.written = bytearray()
        self.broken = threading.Event()
        self.closed = threading.Event()
        self.users = 0
        self.closed_in_use = False
        self._changed = threading.Condition()

    def put(self, data: bytes) -> None:
        with self._changed:
            self.to_read.append(data)
            self._changed.notify_all()

    def read(self) -> bytes:
        self.users += 1
        try:
            with self._changed:
                self._changed.wait_for(lambda: self.to_read, 0.02)
                if self.broken.is_set():
                    raise OSError("the other end is gone")
                return self.to_read.pop(0) if self.to_read else b""
        finally:
            self.users -= 1

    def write(self, data: bytes) -> None:
        self.written += data
        with self._changed:
            self._changed.notify_all()

    def wait_written(self, size: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.written) >= size, 10)

    def close(self) -> None:
        self.closed_in_use = self.users > 0
        self.closed.set()


class TestBytePort:
    def test_bytes_pass_both_ways_and_closing_the_socket_closes_the_port(self) -> None:
        port = Loop()
        end = socket_over(port, "loop")
        end.settimeout(10)
        for size in (1, 5000, 100_000):
            port.written.clear()
            data = os.urandom(size)
            port.put(data)
            received = bytearray()
            while len(received) < size:
                received += end.recv(65536)
            assert received == data
            end.sendall(data)
            port.wait_written(size)
            assert port.written == data
        assert not port.closed.is_set()
        end.close()
        assert port.closed.wait(10)
        assert not port.closed_in_use

    def test_a_port_that_breaks_ends_the_socket(self) -> None:
        port = Loop()
        end = socket_over(port, "loop")
        end.settimeout(10)
        port.broken.set()
        assert end.recv(1) == b""
        assert port.closed.wait(10) and not port.closed_in_use
        end.close()

    def test_a_port_that_takes_nothing_ends_the_socket(self, monkeypatch) -> None:
        port = Loop()

        def refuse(data: bytes) -> None:
            raise TimeoutError("takes no bytes")

        monkeypatch.setattr(port, "write", refuse)
        end = socket_over(port, "loop")
        end.settimeout(10)
        end.sendall(b"b")
        with contextlib.suppress(ConnectionError):
            assert end.recv(1) == b""
        assert port.closed.wait(10)
        end.close()


@posix
class TestSerialDevice:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("serial")

    def test_bytes_of_every_value_pass_unchanged(self) -> None:
        controller, device = os.openpty()
        opened = open_transport(SerialConnection(os.ttyname(device), 115200))
        try:
            everything = bytes(range(256))
            opened.send(everything, None)
            written = bytearray()
            while len(written) < 256:
                written += os.read(controller, 4096)
            assert written == everything
            os.write(controller, everything)
            received = bytearray()
            while len(received) < 256:
                piece = opened.receive()
                received += b"" if piece is None else piece[0]
            assert received == everything
        finally:
            opened.close()
            os.close(device)
            os.close(controller)

    def test_a_device_that_goes_away_ends_the_link(self) -> None:
        controller, device = os.openpty()
        opened = open_transport(SerialConnection(os.ttyname(device), 9600))
        os.close(device)
        os.close(controller)
        with pytest.raises(TargetLost, match="closed"):
            while True:
                opened.receive()
        opened.close()

    def test_a_device_that_somebody_has_and_one_that_is_not_there(self, tmp_path: Path) -> None:
        controller, device = os.openpty()
        connection = SerialConnection(os.ttyname(device), 115200)
        opened = open_transport(connection)
        with pytest.raises(PortRefused, match="exclusively lock") as raised:
            open_transport(connection)
        assert "com:pipe,port=PATH" in raised.value.hint
        opened.close()
        os.close(device)
        os.close(controller)
        with pytest.raises(PortRefused, match=r"no serial port at COM1: .*No such file"):
            open_transport(parse_connection("com:port=COM1,baud=115200"))

    def test_a_socket_is_no_serial_device(self, tmp_path: Path) -> None:
        path = str(tmp_path / "s")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            with pytest.raises(ConnectionFailed) as raised:
                open_transport(SerialConnection(path, 115200))
        assert not isinstance(raised.value, PortRefused)


def test_a_targets_name_is_looked_up() -> None:
    port = UdpTransport(0)
    try:
        assert port.address("localhost", 50000)[0].endswith("127.0.0.1")
        with pytest.raises(
            ConnectionFailed, match=r"the target no-such-host\.invalid is not known"
        ) as raised:
            port.address("no-such-host.invalid", 50000)
        assert "target=ADDRESS" in raised.value.hint
    finally:
        port.close()
