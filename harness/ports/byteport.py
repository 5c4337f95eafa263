"""A port that can only be read and written by waiting, as a socket, so that one selector can wait for it.

Two threads copy, one for each direction, until either side is closed. A port is had by one at a time, so who
has closed the socket can rely on it that the port is free.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Final, Protocol

__all__ = ["CLOSE_SECONDS", "PIECE", "PORT_SECONDS", "WRITE_SECONDS", "BytePort", "socket_over"]

PIECE: Final = 4096
"""Bytes copied at a time."""
PORT_SECONDS: Final = 0.1
"""How long a port may wait before it says that nothing came: so soon a closed one is let go."""

WRITE_SECONDS: Final = 5.0
"""A port that takes no byte for this long is dead."""
CLOSE_SECONDS: Final = 2.0
"""How long who closes the socket waits until the port is closed: until what was sent before is taken. A port
that takes no more is closed later, by itself."""


class BytePort(Protocol):
    """One open port. Read and written by one thread each, closed when both have ended."""

    def read(self) -> bytes:
        """What came, up to :data:`PIECE` bytes; nothing when none did for :data:`PORT_SECONDS`.

        Raises OSError when the other end is gone.
        """

    def write(self, data: bytes) -> None:
        """Write all. Raises OSError when the other end is gone, or takes nothing for
        :data:`WRITE_SECONDS`."""

    def close(self) -> None:
        """Nobody uses it any more."""


def socket_over(port: BytePort, name: str) -> socket.socket:
    """The other end of the port. Closing the socket closes the port, and the other way round; it is
    closed when the socket's ``close`` returns, within :data:`CLOSE_SECONDS`."""
    ours, theirs = socket.socketpair()
    copier = _Copier(port, ours)
    for work in (copier.port_to_socket, copier.socket_to_port):
        threading.Thread(target=work, name=name, daemon=True).start()
    return _PortSocket(theirs, copier)


class _PortSocket(socket.socket):
    def __init__(self, end: socket.socket, copier: _Copier) -> None:
        super().__init__(end.family, end.type, end.proto, fileno=end.detach())
        self._copier = copier

    def close(self) -> None:
        super().close()
        self._copier.port_closed.wait(CLOSE_SECONDS)


class _Copier:
    def __init__(self, port: BytePort, end: socket.socket) -> None:
        self._port = port
        self._end = end
        self.port_closed = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads = 2

    def port_to_socket(self) -> None:
        try:
            while not self._stopping.is_set():
                if data := self._port.read():
                    self._end.sendall(data)
        except OSError:
            pass  # either side is gone, and the end of the socket says so
        finally:
            self._leave()

    def socket_to_port(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._end, selectors.EVENT_READ)
                # Not in recv: not everywhere does the shutdown below end one that waits (Wine's does not).
                while not self._stopping.is_set():
                    if selector.select(PORT_SECONDS):
                        data = self._end.recv(PIECE)
                        if not data:
                            break
                        self._port.write(data)
        except OSError:
            pass  # as above
        finally:
            self._leave()

    def _leave(self) -> None:
        """The last of the two closes the port: a handle closed under the other one might be somebody else's
        by its next use."""
        self._stopping.set()
        with contextlib.suppress(
            OSError
        ):  # wakes the other thread; it may have been closed from the far side
            self._end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._threads -= 1
            if self._threads:
                return
        try:
            self._port.close()
        finally:
            self.port_closed.set()
            self._end.close()
