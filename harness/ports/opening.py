"""How a connection is opened, and opened again: as a client of a port of the machine's, or as its server."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import select
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter, sleep
from typing import Final, Protocol

from harness.connection import (
    Connection,
    NetConnection,
    PipeConnection,
    SerialConnection,
    TcpConnection,
)
from harness.errors import ConnectionFailed
from harness.ports.byteport import socket_over
from harness.ports.portserver import PortServer, serve_pipe, serve_tcp
from harness.ports.transport import CharacterDevice, StreamTransport, Transport, UdpTransport
from harness.waiting import wait_in_slices

__all__ = ["TRY_SECONDS", "Opener", "PortRefused", "await_transport", "open_transport", "opener_of"]

_log = logging.getLogger(__name__)

TRY_SECONDS: Final = 10.0
"""For a TCP connection to come about, or a machine to connect, at one try."""
_AGAIN: Final = 0.2
"""Seconds between two tries of a serial port."""
_LASTING: Final = (
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.ENOTSOCK,
    errno.ENOTTY,
    errno.EISDIR,
    errno.ENXIO,
)
"""Errors of a serial port's path that do not go away when the machine is started."""
_UNDER_WAY: Final = (
    errno.EINPROGRESS,
    errno.EWOULDBLOCK,
    getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK),
)


class PortRefused(ConnectionFailed):
    """A serial port is not there, or not for us, yet: trying again may help."""


class Opener(Protocol):
    """Opens one connection, as often as it was closed."""

    def open(self, timeout: float) -> Transport:
        """Bind, connect, or wait for the machine to connect.

        :param timeout: seconds for it to come about.
        :raises PortRefused: not yet.
        :raises ConnectionFailed: it cannot be had; with the port or path and what to do.
        """

    def close(self) -> None:
        """Nobody can connect to it any more. Idempotent."""


def opener_of(connection: Connection) -> Opener:
    """What opens ``connection``; the machine can connect from now on, if it is its client.

    :raises ConnectionFailed: the debugger was to serve a port that it cannot have.
    """
    match connection:
        case PipeConnection(path=path, server=True):
            return _Server(lambda: serve_pipe(path), path)
        case TcpConnection(host=host, port=port, server=True):
            return _Server(lambda: serve_tcp(host, port), f"{host}:{port}")
        case _:
            return _Client(connection)


class _Client:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(self, timeout: float) -> Transport:
        return open_transport(self._connection, timeout=timeout)

    def close(self) -> None:
        """Nothing is held."""


class _Server:
    def __init__(self, serve: Callable[[], PortServer], where: str) -> None:
        self._where = where
        try:
            self._server = serve()
        except OSError as error:
            raise ConnectionFailed(
                f"the serial port {where} cannot be served: {error.strerror or error}",
                hint="make its folder first"
                if isinstance(error, FileNotFoundError)
                else "end whoever has it, or choose another one here and at the machine",
            ) from error
        _log.info("waiting for a machine to connect to %s", where)

    def open(self, timeout: float) -> Transport:
        try:
            accepted = self._server.accept(timeout)
        except OSError as error:
            _log.debug("%s is not served: %s", self._where, error)
            accepted = None
        if accepted is None:
            raise PortRefused(
                f"no machine has connected to {self._where}",
                hint="start the machine, with its serial port as a client of it",
            )
        return accepted

    def close(self) -> None:
        self._server.close()


def open_transport(connection: Connection, *, timeout: float = TRY_SECONDS) -> Transport:
    """Bind, or connect to a port that the machine serves; see :meth:`Opener.open`."""
    match connection:
        case NetConnection(port=port):
            return UdpTransport(port)
        case TcpConnection(host=host, port=port):
            return _open_tcp(host, port, timeout)
        case PipeConnection(path=path):
            return _open_pipe(path)
        case SerialConnection(device=device, baud=baud):
            return _open_serial(device, baud)


def await_transport(opener: Opener, deadline: float) -> Transport:
    """As :meth:`Opener.open`, but a serial port that is not there yet is tried again until ``deadline``, a
    moment of ``perf_counter``."""
    started = perf_counter()
    while True:
        left = deadline - perf_counter()
        try:
            return opener.open(min(max(left, _AGAIN), TRY_SECONDS))
        except PortRefused as error:
            if left <= _AGAIN:
                waited = perf_counter() - started
                raise ConnectionFailed(
                    f"{error.message} (tried for {waited:.0f} s)", hint=error.hint
                ) from error
        sleep(_AGAIN)


def _open_tcp(host: str, port: int, timeout: float) -> Transport:
    try:
        stream = _connect(host, port, timeout)
    except OSError as error:
        raise _no_port(
            f"{host}:{port}",
            error,
            "start the machine first, with its serial port as a TCP server (QEMU: "
            "-serial tcp:HOST:PORT,server,nodelay)",
        ) from error
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return StreamTransport(stream, f"serial port at {host}:{port}")


def _connect(host: str, port: int, timeout: float) -> socket.socket:
    """As :func:`socket.create_connection`, which Ctrl-C does not end on Windows."""
    failure = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        stream = socket.socket(family, kind, protocol)
        try:
            stream.setblocking(False)
            code = stream.connect_ex(address)
            if code in _UNDER_WAY:
                if not wait_in_slices(partial(_is_settled, stream), timeout):
                    raise TimeoutError(errno.ETIMEDOUT, "timed out")
                code = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise _socket_error(code)
        except OSError as error:
            stream.close()
            failure = error
        except KeyboardInterrupt:
            stream.close()
            raise
        else:
            return stream
    raise failure


def _is_settled(stream: socket.socket, seconds: float) -> bool:
    _, connected, failed = select.select([], [stream], [stream], seconds)  # Windows has failures apart
    return bool(connected or failed)


def _socket_error(code: int) -> OSError:
    if sys.platform == "win32":
        return OSError(0, ctypes.FormatError(code), None, code)
    return OSError(code, os.strerror(code))


def _open_pipe(path: str) -> Transport:
    try:
        if sys.platform == "win32":
            from harness.ports.windowspipe import connect_pipe

            return StreamTransport(socket_over(connect_pipe(path), f"pipe {path}"), f"pipe {path}")
        if Path(path).is_char_device():
            return CharacterDevice(Path(path))
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            stream.connect(path)
        except OSError:
            stream.close()
            raise
    except OSError as error:
        raise _no_port(
            path, error, "start the machine first, with its serial port as a socket server there"
        ) from error
    return StreamTransport(stream, f"serial port {path}")


def _open_serial(device: str, baud: int) -> Transport:
    from harness.ports.serialport import SerialPort

    try:
        port = SerialPort(device, baud)
    except OSError as error:
        raise _no_port(
            device,
            error,
            "is it there, free, and yours to use? The socket or pipe of a machine is com:pipe,port=PATH",
        ) from error
    return StreamTransport(socket_over(port, f"serial port {device}"), f"serial port {device}")


def _no_port(where: str, error: OSError, hint: str) -> ConnectionFailed:
    # A machine that is being started has no port yet, and one that serves another client refuses.
    kind = ConnectionFailed if error.errno in _LASTING else PortRefused
    _log.debug("no serial port at %s: %s", where, error)
    return kind(f"no serial port at {where}: {error}", hint=hint)
