"""DbgEng at a serial port of a machine's: what it gets to see of it, and that it comes to a running kernel.

``PROCNOTIFY_ATTACHES`` says how often it comes to one; each takes some seconds under Wine.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from polling_kernel import PollingKernel
from serial_cables import FORMS, Cable, serial_connection

from harness.connection import PipeConnection, TcpConnection, parse_connection
from harness.debuggers import debugger_factory
from harness.debuggers.pykd.serialrelay import SerialRelay
from harness.errors import ConnectionFailed

ATTACHES = int(os.environ.get("PROCNOTIFY_ATTACHES", "1"))


def joined(where: str) -> socket.socket:
    """DbgEng's end."""
    end = parse_connection(where)
    assert isinstance(end, TcpConnection)
    return socket.create_connection((end.host, end.port), timeout=30)


def got(end: socket.socket, count: int) -> bytes:
    end.setblocking(True)
    end.settimeout(30)
    data = b""
    while len(data) < count and (piece := end.recv(count - len(data))):
        data += piece
    return data


@pytest.mark.parametrize("form", FORMS)
def test_bytes_pass_unchanged_and_either_end_ends_it(form: str, tmp_path: Path) -> None:
    with Cable(form, tmp_path) as cable:
        connection = parse_connection(cable.connection)
        assert isinstance(connection, TcpConnection | PipeConnection)
        for closes_first in ("target", "debugger"):
            with SerialRelay(connection) as where, joined(where) as debugger, cable.end() as target:
                debugger.sendall(bytes(range(256)))
                assert got(target, 256) == bytes(range(256))
                target.sendall(bytes(range(255, -1, -1)))
                assert got(debugger, 256) == bytes(range(255, -1, -1))
                ends = {"target": target, "debugger": debugger}
                ends.pop(closes_first).close()
                (left,) = ends.values()
                assert got(left, 1) == b""


def test_a_port_that_the_debugger_cannot_serve_is_told_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        connection = TcpConnection("127.0.0.1", taken.getsockname()[1], server=True)
        with pytest.raises(ConnectionFailed, match="cannot be served"), SerialRelay(connection):
            pytest.fail("it was served twice")


def test_leaving_it_frees_the_port_although_nobody_ever_came(tmp_path: Path) -> None:
    connection = serial_connection("tcp,server", tmp_path)
    for _ in range(2):
        with SerialRelay(connection):
            pass


def test_dbgeng_comes_to_a_kernel_that_runs_and_hears_nothing_but_a_break_in(
    pykd: str, tmp_path: Path
) -> None:
    for _ in range(ATTACHES):
        connection = str(serial_connection("pipe", tmp_path))
        with PollingKernel(connection) as kernel:
            debugger = debugger_factory(pykd)(connection)
            debugger.listen()
            assert debugger.attach(timeout=30).build == 18362
            assert kernel.thrown_away > 0
            release = debugger.detach(timeout=20)
            assert release.running is True, release
            assert "native" not in release.proof
            assert kernel.runs
