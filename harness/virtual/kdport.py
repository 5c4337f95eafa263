"""The port that a target is debugged through. It outlives the boots; each begins a session of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Protocol, TypeAlias

from harness.connection import Connection, NetConnection, PipeConnection, SerialConnection, TcpConnection
from harness.errors import UsageError
from harness.kd.handshake import Endpoint
from harness.kd.kdnet import Key
from harness.kd.session import Session
from harness.virtual.stub.link import MAX_TRIES
from harness.virtual.stub.serialwire import SerialWire
from harness.virtual.stub.wire import UdpWire, WatchingWire

__all__ = ["KdPort", "com_session", "net_session", "open_kd_port"]

_RETRANSMIT: Final = 0.5
"""Seconds until a packet without an ACK is sent again."""

_Com: TypeAlias = TcpConnection | PipeConnection | SerialConnection


class KdPort(Protocol):
    """What a target is debugged through."""

    words: str
    """What the target does there, for people: ``dialling 127.0.0.1 port 50000``."""
    wire: WatchingWire

    def session(self) -> Session:
        """The target's end of a session, for a boot that begins now."""


def open_kd_port(
    connection: Connection,
    hostip: str,
    *,
    now: Callable[[], float],
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> KdPort:
    """The target's end of ``connection``, which is written as for the debugger: where that serves the port,
    the target connects, and where that connects, the target serves it.

    :param hostip: where KDNET finds the debugger (bcdedit's name).
    :param now: a monotonic clock in seconds.
    :param random_bytes: source of KDNET's nonces.
    :raises UsageError: not an IP address.
    :raises ConnectionFailed: the port cannot be had.
    """
    if isinstance(connection, NetConnection):
        return _NetPort(connection, _ip(hostip), now, random_bytes)
    return _ComPort(connection, now)


def net_session(key: Key, *, own: Endpoint, host: Endpoint, now: float, nonce: bytes) -> Session:
    """The target's end of KDNET.

    :param nonce: 32 random bytes, new for every boot.
    """
    return Session.kdnet_target(
        key,
        client_key=nonce,
        own=own,
        host=host,
        now=now,
        retransmit=_RETRANSMIT,
        max_tries=MAX_TRIES,
    )


def com_session() -> Session:
    """The target's end of KDCOM."""
    return Session.kdcom_target(retransmit=_RETRANSMIT, max_tries=MAX_TRIES)


def _ip(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise UsageError(f"{text!r} is no IP address", hint="give hostip as in 192.168.0.10") from None


class _NetPort:
    def __init__(
        self,
        connection: NetConnection,
        hostip: IPv4Address | IPv6Address,
        now: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.words = f"dialling {hostip} port {connection.port}"
        self._wire = UdpWire(hostip, connection.port)
        self.wire: WatchingWire = self._wire
        self._key = connection.key
        self._now = now
        self._random_bytes = random_bytes

    def session(self) -> Session:
        return net_session(
            self._key,
            own=self._wire.own,
            host=self._wire.host,
            now=self._now(),
            nonce=self._random_bytes(32),
        )


class _ComPort:
    def __init__(self, connection: _Com, now: Callable[[], float]) -> None:
        own = connection
        if not isinstance(own, SerialConnection):
            own = replace(own, server=not own.server)
        self.words = f"at its end of {connection}"
        self.wire: WatchingWire = SerialWire(own, now)

    def session(self) -> Session:
        return com_session()
