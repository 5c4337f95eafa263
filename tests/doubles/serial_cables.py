"""Serial ports between a debugger and a machine, whichever of the two serves the port."""

from __future__ import annotations

import secrets
import socket
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from harness.connection import PipeConnection, TcpConnection
from harness.ports.opening import Opener, await_transport, opener_of
from harness.ports.transport import StreamTransport

__all__ = ["FORMS", "Cable", "serial_connection"]

FORMS = ("pipe", "pipe,server", "tcp", "tcp,server")
"""What the debugger's end is; ``server``: it serves the port."""


def serial_connection(form: str, folder: Path) -> PipeConnection | TcpConnection:
    """A free port, as the debugger's end of it is written.

    :param form: of :data:`FORMS`.
    :param folder: for a socket's file.
    """
    kind, _, served = form.partition(",")
    if kind == "tcp":
        return TcpConnection("127.0.0.1", free_tcp_port(), server=bool(served))
    name = f"procnotify-{secrets.token_hex(8)}"
    path = rf"\\.\pipe\{name}" if sys.platform == "win32" else str(folder / name)
    return PipeConnection(path, server=bool(served))


class Cable:
    """One port, and the machine's end of it. The parameters are those of :func:`serial_connection`."""

    def __init__(self, form: str, folder: Path) -> None:
        ours = serial_connection(form, folder)
        self._opener: Opener = opener_of(replace(ours, server=not ours.server))
        self.connection = str(ours)
        """The debugger's end, without ``reconnect``."""

    def end(self) -> socket.socket:
        """The machine's end, once the debugger's is there."""
        transport = await_transport(self._opener, perf_counter() + 60)
        assert isinstance(transport, StreamTransport)
        return transport._socket

    def __enter__(self) -> Cable:
        return self

    def __exit__(self, *_: object) -> None:
        self._opener.close()


def free_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
