"""What the target's end of a link lies on, and its form for KDNET: a UDP socket. No protocol rule is here."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Protocol

from harness.errors import ConnectionFailed
from harness.kd.handshake import Endpoint
from harness.kd.kdnet import MAX_DATAGRAM

__all__ = ["LinkWire", "UdpWire", "WatchingWire"]


class LinkWire(Protocol):
    """What the link needs of a network, or of a serial line."""

    def send(self, data: bytes) -> None:
        """Send one datagram, or bytes of the line; what cannot be sent is lost."""

    def receive(self) -> bytes | None:
        """A datagram, or bytes, that have arrived; None when there are none now."""

    def wait(self, timeout: float | None) -> None:
        """Return when something may have arrived or ``timeout`` seconds have passed; None waits for ever.

        May also return early, and may raise what ends the target.
        """


class WatchingWire(LinkWire, Protocol):
    """A wire that outlives the boots, and wakes whoever waits for other things, too."""

    def watch(self, source: Any, callback: Callable[[], None]) -> None:
        """Call ``callback`` from :meth:`wait` whenever ``source`` (a socket) is readable."""

    def unwatch(self, source: Any) -> None:
        """No more :meth:`watch`, before ``source`` is closed."""

    def close(self) -> None:
        """Free what it holds."""


class UdpWire:
    """A socket connected to the debugger's address, and other things to watch while waiting.

    :param hostip, port: where the debugger listens (bcdedit's names).
    :raises ConnectionFailed: no socket or no route to that address.
    """

    def __init__(self, hostip: IPv4Address | IPv6Address, port: int) -> None:
        family = socket.AF_INET if hostip.version == 4 else socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.connect((str(hostip), port))
        except OSError as error:
            self._socket.close()
            raise ConnectionFailed(
                f"no route to the debugger at {hostip} port {port}: {error.strerror or error}",
                hint="check --hostip",
            ) from error
        self._socket.setblocking(False)
        address, own_port = self._socket.getsockname()[:2]
        self.own = Endpoint(ip_address(address), own_port)
        self.host = Endpoint(hostip, port)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)

    def watch(self, source: Any, callback: Callable[[], None]) -> None:
        """See :class:`WatchingWire`."""
        self._selector.register(source, selectors.EVENT_READ, callback)

    def unwatch(self, source: Any) -> None:
        """See :class:`WatchingWire`."""
        self._selector.unregister(source)

    def send(self, data: bytes) -> None:
        """See :class:`LinkWire`. Nobody listening there (yet) is no error: the link sends again."""
        with contextlib.suppress(OSError):
            self._socket.send(data)

    def receive(self) -> bytes | None:
        """See :class:`LinkWire`."""
        try:
            return self._socket.recv(MAX_DATAGRAM + 1)
        except OSError:
            # Nothing there, or the answer to an earlier send: the port is closed at the other end.
            return None

    def wait(self, timeout: float | None) -> None:
        """See :class:`LinkWire`; callbacks of :meth:`watch` run here."""
        for key, _ in self._selector.select(timeout):
            if key.data is not None:
                key.data()

    def close(self) -> None:
        """See :class:`WatchingWire`."""
        self._selector.close()
        self._socket.close()
