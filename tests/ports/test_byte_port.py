"""A port as a socket: who closes the socket can have the port again."""

from __future__ import annotations

import threading

import pytest

from harness.ports import byteport
from harness.ports.byteport import socket_over


class Port:
    """A port that nothing comes from; it takes what it is given once it may."""

    def __init__(self, *, takes: bool = True) -> None:
        self.taken = b""
        self.may_take = threading.Event()
        self.closed = threading.Event()
        if takes:
            self.may_take.set()

    def read(self) -> bytes:
        self.closed.wait(byteport.PORT_SECONDS)
        return b""

    def write(self, data: bytes) -> None:
        self.may_take.wait()
        self.taken += data

    def close(self) -> None:
        self.closed.set()


def test_the_port_is_closed_when_the_sockets_close_returns_and_has_taken_all() -> None:
    port = Port()
    end = socket_over(port, "loop")
    end.sendall(b"the last")
    end.close()
    assert port.closed.is_set()
    assert port.taken == b"the last"
    end.close()


def test_the_far_side_may_have_closed_it_before() -> None:
    class Gone(Port):
        def read(self) -> bytes:
            raise OSError("gone")

    port = Gone()
    end = socket_over(port, "loop")
    assert end.recv(1) == b""
    end.close()
    assert port.closed.is_set()


def test_a_port_that_takes_no_more_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(takes=False)
    end = socket_over(port, "loop")
    end.sendall(b"stuck")
    monkeypatch.setattr(byteport, "CLOSE_SECONDS", 0.05)
    end.close()
    assert not port.closed.is_set()
    port.may_take.set()
    assert port.closed.wait(60)
