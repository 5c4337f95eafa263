"""The bytes under a debugger: a UDP port, a stream socket, a serial device. Non-blocking, no protocol.

A transport is handed to one thread. :meth:`Transport.receive` never waits; who wants to wait registers
:meth:`Transport.fileno` with a selector.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
from pathlib import Path
from typing import Final, Protocol

from harness.errors import ConnectionFailed, TargetLost
from harness.kd.kdnet import MAX_DATAGRAM
from harness.kd.session_events import Address

if sys.platform != "win32":
    import tty

__all__ = [
    "MAPPED_PREFIX",
    "CharacterDevice",
    "StreamTransport",
    "Transport",
    "UdpTransport",
]

MAPPED_PREFIX: Final = "::ffff:"
"""Of an IPv4 address as an IPv6 socket gives and takes it (RFC 4291, 2.5.5.2)."""

STREAM_PIECE: Final = 65536
"""Bytes taken from a stream at a time."""
SEND_SECONDS: Final = 5.0
"""A stream that takes no byte for this long is dead."""
_RECEIVE_BUFFER: Final = 4 << 20

_ONE_DATAGRAMS: Final = (
    errno.ECONNRESET,
    errno.ENETRESET,
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EMSGSIZE,
)
"""Errors of one datagram, not of the socket: one of ours found nobody, which Windows reports where the next
is received (Microsoft, "recvfrom function"), or one that came is longer than any of KDNET."""


class Transport(Protocol):
    """One open link."""

    name: str
    """For messages: ``UDP port 50000``."""

    def fileno(self) -> int:
        """What a selector can wait for."""

    def receive(self) -> tuple[bytes, Address | None] | None:
        """A datagram with its sender, or a piece of the stream; None when nothing is there.

        Raises :class:`TargetLost` when the other end closed the stream.
        """

    def send(self, data: bytes, address: Address | None) -> None:
        """Send a datagram (a lost one is no error) or write to the stream."""

    def close(self) -> None:
        """Idempotent."""


class UdpTransport:
    """A UDP port bound on all addresses: IPv6 and IPv4, or IPv4 alone where the system has no IPv6."""

    def __init__(self, port: int) -> None:
        self.name = f"UDP port {port}"
        try:
            self._socket = _bind_udp(port)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise ConnectionFailed(
                    f"UDP port {port} is in use or not permitted ({error.strerror})",
                    hint="end the other debugger on it, or choose another port here and at the target",
                ) from error
            raise ConnectionFailed(f"UDP port {port} cannot be bound: {error}") from error
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    def address(self, host: str, port: int) -> Address:
        """The address of a machine, given as IPv4, IPv6 or its name, as :meth:`send` takes it.

        Raises :class:`ConnectionFailed` for a name that this machine does not know.
        """
        both = self._socket.family is socket.AF_INET6
        family = socket.AF_UNSPEC if both else socket.AF_INET
        try:
            found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)
        except OSError as error:
            raise ConnectionFailed(
                f"the target {host} is not known by that name: {error.strerror or error}",
                hint="give its address: target=ADDRESS",
            ) from error
        # IPv4 first, if there is one: older targets have nothing else.
        found.sort(key=lambda info: info[0] is not socket.AF_INET)
        address = str(found[0][4][0])
        return f"{MAPPED_PREFIX}{address}" if both and ":" not in address else address, port

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> tuple[bytes, Address | None] | None:
        try:
            return self._socket.recvfrom(MAX_DATAGRAM + 1)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in _ONE_DATAGRAMS:
                return None
            raise TargetLost(f"{self.name} failed: {error}") from error

    def send(self, data: bytes, address: Address | None) -> None:
        if address is None:
            return
        try:  # not contextlib.suppress: the target waits for what is sent here
            self._socket.sendto(data, address)
        except OSError:
            return  # a datagram may be lost; retransmission is the session's duty

    def close(self) -> None:
        self._socket.close()


def _bind_udp(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return _bind_family(socket.AF_INET6, port)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return _bind_family(socket.AF_INET, port)


def _bind_family(family: socket.AddressFamily, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family is socket.AF_INET6:  # a target with ``hostipv6`` dials over IPv6, every other over IPv4
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if sys.platform == "win32":
            # Without it a second debugger could bind the same port and take half of the datagrams.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        with contextlib.suppress(OSError):  # more than the system allows: its own default will do
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        bound.bind(("", port))
    except OSError:
        bound.close()
        raise
    return bound


class _ByteStream:
    """A stream of bytes that does not block: what a socket and a device file have in common."""

    name: str

    def fileno(self) -> int:
        """For a selector."""
        raise NotImplementedError

    def _read(self) -> bytes:
        raise NotImplementedError

    def _write(self, data: memoryview) -> int:
        raise NotImplementedError

    def receive(self) -> tuple[bytes, Address | None] | None:
        try:
            data = self._read()
        except BlockingIOError:
            return None
        except OSError as error:
            raise TargetLost(f"{self.name} failed: {error}") from error
        if not data:
            raise TargetLost(f"{self.name} was closed by the target's side")
        return data, None

    def send(self, data: bytes, address: Address | None) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._write(rest) :]
            except BlockingIOError:
                if not select.select([], [self.fileno()], [], SEND_SECONDS)[1]:
                    raise TargetLost(f"{self.name} takes no bytes") from None
            except OSError as error:
                raise TargetLost(f"{self.name} failed: {error}") from error


class StreamTransport(_ByteStream):
    """A connected stream socket."""

    def __init__(self, stream: socket.socket, name: str) -> None:
        self.name = name
        self._socket = stream
        stream.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def _read(self) -> bytes:
        return self._socket.recv(STREAM_PIECE)

    def _write(self, data: memoryview) -> int:
        return self._socket.send(data)

    def close(self) -> None:
        self._socket.close()


class CharacterDevice(_ByteStream):
    """A pty or serial device file (POSIX)."""

    def __init__(self, path: Path) -> None:
        self.name = f"device {path}"
        self._fd = -1
        if sys.platform != "win32":
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
            if os.isatty(self._fd):
                # Without raw mode the line discipline would eat and change bytes.
                tty.setraw(self._fd)

    def fileno(self) -> int:
        return self._fd

    def _read(self) -> bytes:
        return os.read(self._fd, STREAM_PIECE)

    def _write(self, data: memoryview) -> int:
        return os.write(self._fd, data)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
