"""How the native debugger comes to a halted target: the handshake, then break-ins until it stops."""

from __future__ import annotations

import logging
import secrets
import sys
from functools import partial
from time import perf_counter
from typing import Final

from harness.connection import Connection, NetConnection
from harness.debuggers.native.conversation import Conversation
from harness.debuggers.native.linklog import LinkLog
from harness.debuggers.native.linkthread import LinkThread
from harness.errors import ConnectionFailed, TargetLost
from harness.kd.kdnet import Drop
from harness.kd.session import Session
from harness.kd.statechange import StateChange
from harness.ports.opening import Opener, PortRefused, await_transport, opener_of
from harness.ports.transport import Transport, UdpTransport

__all__ = ["BREAK_IN_AGAIN", "LinkOpener", "await_session", "break_in_until_halted"]

_log = logging.getLogger(__name__)

_LET_IN: Final = (
    " As an administrator: netsh advfirewall firewall add rule name=procnotify dir=in action=allow "
    "protocol=UDP localport={port}"
    if sys.platform == "win32"
    else ""
)
"""What Windows' own firewall takes to let a target's datagrams in: it drops those for a program that its user
did not allow, and asks nobody about one without a window (a service, CI)."""
LISTEN_SECONDS: Final = 10.0
"""For a TCP connection to come about, before a machine is waited for at length."""
REOPEN_SECONDS: Final = 1.0
"""The same for one that was closed; the link's thread does nothing else meanwhile."""
BREAK_IN_AGAIN: Final = 0.485
"""Seconds between break-ins, as Microsoft's host."""


class LinkOpener:
    """Opens a connection, and begins to speak KD over it; once.

    :param spin: see :class:`LinkThread`.
    """

    def __init__(self, connection: Connection, talk: Conversation, spin: float) -> None:
        self._connection = connection
        self._talk = talk
        self._spin = spin
        self._opener: Opener | None = None

    def listen(self) -> LinkThread | None:
        """Bind or connect; None: what the debugger connects to is not there yet, or nobody connects to it.

        :raises ConnectionFailed: it cannot be had.
        """
        self._opener = opener_of(self._connection)
        try:
            timeout = 0.0 if self._connection.debugger_first else LISTEN_SECONDS
            return self._start(self._opener.open(timeout), self._opener)
        except PortRefused:
            return None

    def connect(self, deadline: float) -> LinkThread:
        """Wait for it until ``deadline``, a moment of ``perf_counter``.

        :raises ConnectionFailed: it cannot be had until then.
        """
        opener = self._opener or opener_of(self._connection)
        self._opener = opener
        return self._start(await_transport(opener, deadline), opener)

    def close(self) -> None:
        """Nobody can connect to it any more; the link stops by itself. Idempotent."""
        if self._opener is not None:
            self._opener.close()

    def _start(self, transport: Transport, opener: Opener) -> LinkThread:
        connection, reopen = self._connection, None
        if isinstance(connection, NetConnection):
            session = Session.kdnet_host(connection.key, secrets.token_bytes)
        else:
            session = Session.kdcom_host()
            if connection.reconnect:
                reopen = partial(opener.open, REOPEN_SECONDS)
        link = self._talk.link = LinkThread(session, transport, self._talk, spin=self._spin, reopen=reopen)
        link.start()
        _log.info("listening at %s", transport.name)
        return link


def await_session(talk: Conversation, connection: NetConnection, deadline: float) -> None:
    """Until a target has dialled. Raises :class:`ConnectionFailed` with what was seen instead.

    That is said at the deadline and no sooner: a datagram that fails authentication may be anybody's, and the
    target with the right key may still be on its way.
    """
    started = perf_counter()
    link = talk.link
    assert link is not None
    if connection.target is not None and isinstance(link.transport, UdpTransport):
        address = link.transport.address(connection.target, connection.port)
        link.post(lambda now: link.session.call_target(address))
    if not talk.wait(lambda: talk.sessions > 0, max(deadline - started, 0.0)):
        raise _what_was_seen(link.log, connection.port, perf_counter() - started)


def _what_was_seen(seen: LinkLog, port: int, waited: float) -> ConnectionFailed:
    """Why no session came about; what a target with the right key sent counts most."""
    if seen.pokes_answered:
        return ConnectionFailed(
            f"a target with the right key dials UDP port {port} (KDNET version {seen.poke_version}), but "
            f"nothing came back to the {seen.pokes_answered} answers that it was given",
            hint="does a firewall drop what this machine sends, or is its Windows too new for this host?",
        )
    if seen.drops(Drop.STRANGE_POKE, control=True):
        return ConnectionFailed(
            f"a target with the right key dials UDP port {port}, but its poke is not understood: "
            f"{seen.detail(Drop.STRANGE_POKE, control=True)}",
            hint="its Windows speaks a KDNET that is not known here; debuggers of Microsoft's may know it",
        )
    if seen.drops(Drop.BAD_VERSION, control=True):
        return ConnectionFailed(
            f"the target on UDP port {port} speaks a KDNET version older than Windows 8.1: "
            f"{seen.detail(Drop.BAD_VERSION, control=True)}"
        )
    if count := seen.drops(Drop.BAD_MAC, control=True):
        return ConnectionFailed(
            f"the KDNET key is wrong: a target dials UDP port {port} with another key "
            f"({count} datagrams in {waited:.0f} s)",
            hint="give the key that `bcdedit /dbgsettings` shows at the target",
        )
    return ConnectionFailed(
        f"no target dialled UDP port {port} within {waited:.0f} s",
        hint="is it on, with `bcdedit /debug on`, hostip this machine, this port, "
        f"and does the firewall let UDP in?{_LET_IN.format(port=port) if _LET_IN else ''}",
    )


def break_in_until_halted(talk: Conversation, deadline: float, timeout: float) -> StateChange:
    """Ask for a break until the target stands still; the stop, taken out of the inbox.

    Raises :class:`TargetLost` (:class:`ConnectionFailed` when nothing was ever heard).
    """
    while talk.halt is None:
        left = deadline - perf_counter()
        if left <= 0:
            if talk.sessions or talk.heard:
                raise TargetLost(f"the target did not break in within {timeout:g} s")
            raise ConnectionFailed(
                f"no kernel debugger answers on the serial line within {timeout:g} s",
                hint="is the target on, with `bcdedit /debug on` and `/dbgsettings serial`, and does nobody "
                "else hold the port? Most serve one client at a time, and let the next one wait",
            )
        talk.break_in()
        talk.await_halt(min(BREAK_IN_AGAIN, left))
    change = talk.take_halt()
    assert change is not None
    return change
