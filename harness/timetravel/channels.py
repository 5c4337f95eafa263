"""Between the process that holds the debugger's link and those that play a run back: pickled tuples, and the
sockets themselves, which go from one process to the other."""

from __future__ import annotations

import os
import socket
import sys
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

__all__ = ["Connection", "channel"]


def channel() -> tuple[Connection, Connection]:
    """Two ends; one at which nobody is any more, in whichever process, ends with EOFError or OSError."""
    one, other = socket.socketpair()
    return Connection(one.detach()), Connection(other.detach())


if sys.platform != "win32" or TYPE_CHECKING:
    __all__ += ["receive_end", "send_end"]

    def send_end(through: Connection, end: Connection) -> None:
        """Hand an end of a channel to whoever is at the other end of another one, and close it here."""
        with socket.socket(fileno=os.dup(through.fileno())) as carrier, end:
            socket.send_fds(carrier, [b"\0"], [end.fileno()])

    def receive_end(through: Connection) -> Connection:
        """The end that :func:`send_end` has sent."""
        with socket.socket(fileno=os.dup(through.fileno())) as carrier:
            _, (descriptor,), _, _ = socket.recv_fds(carrier, 1, 1)
        return Connection(descriptor)
