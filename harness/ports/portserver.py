"""A serial port that the debugger serves and a machine connects to: a TCP port, a Unix socket, a named pipe.

One machine is served at a time. On a socket another one that connects meanwhile is let in once the first has
gone; a named pipe turns it away.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import stat
import sys
from functools import partial
from pathlib import Path
from typing import Protocol

from harness.ports.byteport import socket_over
from harness.ports.transport import StreamTransport, Transport
from harness.waiting import wait_in_slices

__all__ = ["PortServer", "serve_pipe", "serve_tcp"]


class PortServer(Protocol):
    """A port that machines can connect to."""

    def accept(self, seconds: float) -> Transport | None:
        """The machine that has connected, None where none does within ``seconds``. Ctrl-C ends it.

        :raises OSError: the port cannot be served now.
        """

    def close(self) -> None:
        """Serve it no longer; who has connected stays. Idempotent."""


def serve_tcp(host: str, port: int) -> PortServer:
    """Listen on TCP at an address of this machine; OSError where that cannot be had."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    return _SocketServer(socket.socket(family, kind, protocol), address, f"serial port at {host}:{port}")


def serve_pipe(path: str) -> PortServer:
    """Serve a named pipe of Windows, or a Unix socket; OSError where somebody else does."""
    if sys.platform == "win32":
        return _WindowsPipeServer(path)
    _remove_left_behind(path)
    return _SocketServer(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path, f"serial port {path}")


def _remove_left_behind(path: str) -> None:
    """Remove the socket of a server that has ended; OSError where one answers, or it is something else."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "it is no socket", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, "somebody serves it already", path)
    Path(path).unlink()


class _SocketServer:
    def __init__(self, server: socket.socket, address: str | tuple[object, ...], name: str) -> None:
        self._server = server
        self._name = name
        self._file: tuple[Path, int] | None = None
        """The socket's file, and its number there: somebody may have put another one in its place."""
        is_tcp = server.family in (socket.AF_INET, socket.AF_INET6)
        try:
            if sys.platform == "win32":
                server.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            elif is_tcp:  # not kept for minutes by a connection that has ended
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(address)
            if not is_tcp:
                path = Path(str(address))
                self._file = path, path.stat().st_ino
            server.listen(1)
        except OSError:
            server.close()
            raise
        server.setblocking(False)

    def accept(self, seconds: float) -> Transport | None:
        if not wait_in_slices(partial(_is_readable, self._server), seconds):
            return None
        try:
            stream, _ = self._server.accept()
        except (BlockingIOError, ConnectionError):
            return None  # it has gone again
        if stream.family in (socket.AF_INET, socket.AF_INET6):
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return StreamTransport(stream, self._name)

    def close(self) -> None:
        self._server.close()
        if self._file is not None:
            path, number = self._file
            self._file = None
            with contextlib.suppress(OSError):  # somebody was faster
                if path.stat().st_ino == number:
                    path.unlink()


def _is_readable(server: socket.socket, seconds: float) -> bool:
    return bool(select.select([server], [], [], seconds)[0])


if sys.platform == "win32":
    from harness.ports.windowspipe import NamedPipeServer

    class _WindowsPipeServer:
        def __init__(self, path: str) -> None:
            self._name = f"pipe {path}"
            self._server = NamedPipeServer(path)

        def accept(self, seconds: float) -> Transport | None:
            # Only to wait in slices is Ctrl-C heard.
            if not wait_in_slices(self._server.is_connected, seconds):
                return None
            return StreamTransport(socket_over(self._server.take(), self._name), self._name)

        def close(self) -> None:
            self._server.close()
