"""The serial port of the target's KDCOM link: bytes out and in, and waiting. No protocol rule is here.

A serial port has no connections: a debugger comes and goes, and what is sent while nobody listens is lost.
"""

from __future__ import annotations

import contextlib
import select
import selectors
from collections.abc import Callable
from typing import Any, Final

from harness.connection import PipeConnection, SerialConnection, TcpConnection
from harness.errors import ConnectionFailed, TargetLost
from harness.ports.opening import PortRefused, opener_of
from harness.ports.transport import Transport

__all__ = ["SerialWire"]

_AGAIN: Final = 0.05
"""Seconds between two looks for a debugger, while none is there."""
_CONNECT_SECONDS: Final = 1.0
"""For a debugger's port to let the target in, where the target connects; it does nothing else meanwhile."""


class SerialWire:
    """The target's serial port, at which one debugger after the other may be, and other things to watch.

    :param connection: the target's own end: with ``server`` it serves the port.
    :param now: a monotonic clock in seconds.
    :raises ConnectionFailed: the port cannot be had, now or later.
    """

    def __init__(
        self, connection: TcpConnection | PipeConnection | SerialConnection, now: Callable[[], float]
    ) -> None:
        self._now = now
        serves = not isinstance(connection, SerialConnection) and connection.server
        self._open_seconds = 0.0 if serves else _CONNECT_SECONDS
        self._selector = selectors.DefaultSelector()
        self._transport: Transport | None = None
        self._next_try = now()
        self._opener = opener_of(connection)
        try:
            self._look_for_debugger()
        except ConnectionFailed as error:
            # A debugger may be not there yet, a device of this machine is or is not.
            if isinstance(error, PortRefused) and not isinstance(connection, SerialConnection):
                return
            self.close()
            raise

    def watch(self, source: Any, callback: Callable[[], None]) -> None:
        """See :class:`harness.virtual.stub.wire.WatchingWire`."""
        self._selector.register(source, selectors.EVENT_READ, callback)

    def unwatch(self, source: Any) -> None:
        """See :class:`harness.virtual.stub.wire.WatchingWire`."""
        self._selector.unregister(source)

    def send(self, data: bytes) -> None:
        """See :class:`harness.virtual.stub.wire.LinkWire`. Who takes no bytes now misses these."""
        transport = self._transport
        if transport is None or not select.select([], [transport.fileno()], [], 0)[1]:
            return
        try:
            transport.send(data, None)
        except TargetLost:
            self._lose()

    def receive(self) -> bytes | None:
        """See :class:`harness.virtual.stub.wire.LinkWire`."""
        if self._transport is None:
            return None
        try:
            received = self._transport.receive()
        except TargetLost:
            self._lose()
            return None
        return None if received is None else received[0]

    def wait(self, timeout: float | None) -> None:
        """See :class:`harness.virtual.stub.wire.LinkWire`; callbacks of :meth:`watch` run here."""
        if self._transport is None:
            with contextlib.suppress(ConnectionFailed):  # not there yet, or not any more: it may come back
                self._look_for_debugger()
        if self._transport is None:
            pause = max(self._next_try - self._now(), 0.0)
            timeout = pause if timeout is None else min(timeout, pause)
        for key, _ in self._selector.select(timeout):
            if key.data is not None:
                key.data()

    def close(self) -> None:
        """See :class:`harness.virtual.stub.wire.WatchingWire`."""
        self._lose()
        self._opener.close()
        self._selector.close()

    def _look_for_debugger(self) -> None:
        now = self._now()
        if now < self._next_try:
            return
        self._next_try = now + _AGAIN
        self._transport = self._opener.open(self._open_seconds)
        self._selector.register(self._transport, selectors.EVENT_READ)

    def _lose(self) -> None:
        """The debugger has gone."""
        transport, self._transport = self._transport, None
        if transport is not None:
            self._selector.unregister(transport)
            transport.close()
