"""A serial port that the debugger serves: who may have it, and what is left of it."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
from pathlib import Path

import pytest
from serial_cables import free_tcp_port

from harness.connection import PipeConnection, TcpConnection, parse_connection
from harness.errors import ConnectionFailed, TargetLost
from harness.ports.opening import Opener, PortRefused, open_transport, opener_of
from harness.ports.transport import Transport

posix = pytest.mark.skipif(sys.platform == "win32", reason="a Unix socket is the POSIX form of a pipe")
windows = pytest.mark.skipif(sys.platform != "win32", reason="named pipes are Windows'")


@pytest.fixture(params=["pipe", "tcp"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> PipeConnection | TcpConnection:
    if request.param == "tcp":
        return TcpConnection("127.0.0.1", free_tcp_port(), server=True)
    name = f"procnotify-{secrets.token_hex(8)}"
    return PipeConnection(
        rf"\\.\pipe\{name}" if sys.platform == "win32" else str(tmp_path / name), server=True
    )


def client_of(served: PipeConnection | TcpConnection) -> Transport:
    return open_transport(parse_connection(str(served).removesuffix(",server")))


def connect(opener: Opener, served: PipeConnection | TcpConnection) -> tuple[Transport, Transport]:
    """Both ends, once the machine before is out of the way."""
    theirs: Transport | None = None
    for _ in range(600):
        with contextlib.suppress(PortRefused):
            theirs = theirs or client_of(served)
        with contextlib.suppress(PortRefused):
            ours = opener.open(0.1)
            assert theirs is not None
            return ours, theirs
    pytest.fail("nobody was let in")


def received(transport: Transport) -> bytes:
    while (found := transport.receive()) is None:
        pass
    return found[0]


def test_bytes_pass_both_ways_to_one_machine_after_the_other(served: PipeConnection | TcpConnection) -> None:
    opener = opener_of(served)
    everything = bytes(range(256))
    for _ in range(3):
        ours, theirs = connect(opener, served)
        theirs.send(everything, None)
        assert received(ours) == everything
        ours.send(everything, None)
        assert received(theirs) == everything
        theirs.close()
        with pytest.raises(TargetLost):
            received(ours)
        ours.close()
    opener.close()
    opener.close()


def test_where_nobody_connects_that_is_said_with_the_way_out(served: PipeConnection | TcpConnection) -> None:
    opener = opener_of(served)
    with pytest.raises(PortRefused, match="no machine has connected to ") as raised:
        opener.open(0.0)
    assert "as a client of it" in raised.value.hint
    opener.close()


def test_a_port_that_somebody_serves_is_not_served_twice(served: PipeConnection | TcpConnection) -> None:
    opener = opener_of(served)
    with pytest.raises(ConnectionFailed, match="cannot be served") as raised:
        opener_of(served)
    assert not isinstance(raised.value, PortRefused)
    assert "choose another one" in raised.value.hint
    for end in connect(opener, served):  # the first one has not suffered
        end.close()
    opener.close()


@posix
def test_a_socket_in_a_folder_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match="cannot be served: No such file or directory") as raised:
        opener_of(PipeConnection(str(tmp_path / "none" / "com1"), server=True))
    assert raised.value.hint == "make its folder first"


@posix
def test_the_sockets_file_is_gone_afterwards_and_one_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "com1"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    assert path.is_socket()
    opener = opener_of(PipeConnection(str(path), server=True))
    for end in connect(opener, PipeConnection(str(path), server=True)):
        end.close()
    opener.close()
    assert not path.exists()


@posix
def test_what_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(ConnectionFailed, match="it is no socket"):
        opener_of(PipeConnection(str(path), server=True))
    assert path.read_text(encoding="utf-8") == "mine"


@posix
def test_anothers_socket_in_its_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "com1"
    opener = opener_of(PipeConnection(str(path), server=True))
    path.rename(tmp_path / "moved")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        opener.close()
        assert path.is_socket()


@posix
def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match="No such file"):
        opener_of(PipeConnection(str(tmp_path / "none" / "com1"), server=True))


@windows
@pytest.mark.parametrize(
    ("path", "message"),
    [(r"\\VMHOST\pipe\kd1", "only a pipe of this machine can be served"), ("kd1", "no name of a pipe")],
)
def test_a_pipe_that_cannot_be_served(path: str, message: str) -> None:
    with pytest.raises(ConnectionFailed, match=message):
        opener_of(PipeConnection(path, server=True))


@windows
def test_two_machines_on_one_pipe_are_not_let_in() -> None:
    served = PipeConnection(rf"\\.\pipe\procnotify-{os.getpid()}", server=True)
    opener = opener_of(served)
    ends = connect(opener, served)
    with pytest.raises(PortRefused, match="no serial port at"):
        client_of(served)
    for end in ends:
        end.close()
    opener.close()
