"""The target's end of the KD link, driven from one thread: deliver a packet, wait for one, see a break-in.

Between the protocol (:class:`harness.kd.session.Session`) and the stub's rules. It knows whether a debugger
is there: one is when it was heard, none is once a packet was sent :data:`MAX_TRIES` times without an answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from harness.kd.packets import PacketType
from harness.kd.session import Session
from harness.kd.session_events import (
    Acknowledged,
    BreakInReceived,
    Connected,
    GaveUp,
    PacketReceived,
)
from harness.virtual.stub.wire import LinkWire

__all__ = ["MAX_TRIES", "SPIN", "DebuggerLink", "TargetLink"]

MAX_TRIES: Final = 20
"""Sends of one packet before the debugger counts as gone (ReactOS, drivers/base/kdcom: MAX_RETRIES)."""
SPIN: Final = 0.0003
"""Seconds to look for an answer without sleeping: an ACK on loopback takes less, waking up alone 50 us."""
_POLL_EVERY: Final = 0.002
"""Seconds between two looks at the socket while the target runs."""


class DebuggerLink(Protocol):
    """What the stub needs of a link; :class:`TargetLink` says what each does."""

    @property
    def present(self) -> bool: ...

    @property
    def reconnects(self) -> int: ...

    @property
    def knows_newcomers(self) -> bool: ...

    break_in_wanted: bool

    def poll(self) -> None: ...

    def deliver(self, packet_type: PacketType, payload: bytes) -> bool: ...

    def send(self, packet_type: PacketType, payload: bytes) -> None: ...

    def post(self, packet_type: PacketType, payload: bytes) -> int: ...

    def outcome(self, token: int) -> bool | None: ...

    def next_packet(self, timeout: float) -> PacketReceived | None: ...

    def flush_packets(self) -> None: ...


class TargetLink:
    """One link to whatever debugger answers.

    :param session: the target's end of a fresh session, with :data:`MAX_TRIES` tries a packet.
    :param now: a monotonic clock in seconds.
    """

    def __init__(self, session: Session, wire: LinkWire, now: Callable[[], float]) -> None:
        self._session = session
        self._wire = wire
        self._now = now
        self._next_poll = 0.0
        self._packets: deque[PacketReceived] = deque()
        self._tracked: set[int] = set()
        self._settled: dict[int, bool] = {}
        self.present = False
        """A debugger is there: what is sent is worth waiting for."""
        self.break_in_wanted = False
        """The debugger sent a break-in; whoever obeys clears it."""
        self.reconnects = 0
        """How often a debugger has answered a poke; after a change it knows nothing of what went before."""

    @property
    def knows_newcomers(self) -> bool:
        """See :attr:`harness.kd.session.Session.knows_newcomers`; they are counted in :attr:`reconnects`."""
        return self._session.knows_newcomers

    def poll(self) -> None:
        """Take what has arrived and send what is due, without waiting. Cheap when called often."""
        now = self._now()
        if now >= self._next_poll:
            self._next_poll = now + _POLL_EVERY
            self._wire.wait(0.0)
            self._pump(now)

    def wait(self, timeout: float, *, silent: bool = False) -> None:
        """Sleep until something arrives or is due, at most ``timeout`` seconds; then take it.

        :param silent: the target is dead: neither listen nor speak.
        """
        if silent:
            self._wire.wait(timeout)
            return
        now = self._now()
        deadline = self._session.deadline()
        pause = timeout if deadline is None else min(timeout, deadline - now)
        self._wire.wait(max(pause, 0.0))
        self._pump(self._now())

    def deliver(self, packet_type: PacketType, payload: bytes) -> bool:
        """Send a packet and stand still until it is acknowledged. False: the debugger is gone.

        This wait is the stall that a DbgPrint costs, so it first spins and only then sleeps.
        """
        if not self.present:
            return False
        now = self._now()
        token = self._session.send_packet(packet_type, payload, now)
        self._tracked.add(token)
        self._flush()
        spin_until = now + SPIN
        receive, settled = self._wire.receive, self._settled
        while token not in settled:
            data = receive()
            now = self._now()
            if data is not None:
                self._session.receive(data, now)
                self._settle()
            elif now >= spin_until:
                self.wait(1.0)
        return settled.pop(token)

    def send(self, packet_type: PacketType, payload: bytes) -> None:
        """Send a packet and go on; nobody asks what became of it."""
        self._session.send_packet(packet_type, payload, self._now())
        self._flush()

    def post(self, packet_type: PacketType, payload: bytes) -> int:
        """Send a packet and go on; the token for :meth:`outcome`."""
        token = self._session.send_packet(packet_type, payload, self._now())
        self._tracked.add(token)
        self._flush()
        return token

    def outcome(self, token: int) -> bool | None:
        """What became of a posted packet: acknowledged (True), given up (False), or neither yet (None)."""
        return self._settled.get(token)

    def next_packet(self, timeout: float) -> PacketReceived | None:
        """The oldest packet of the debugger that was not taken yet; waits at most ``timeout`` seconds. May
        return None early, so that the caller sees what else has changed."""
        if not self._packets:
            self.wait(timeout)
        return self._packets.popleft() if self._packets else None

    def flush_packets(self) -> None:
        """Forget packets that came while nobody asked for any."""
        self._packets.clear()

    def _pump(self, now: float) -> None:
        session = self._session
        while (data := self._wire.receive()) is not None:
            session.receive(data, now)
        deadline = session.deadline()
        if deadline is not None and now >= deadline:
            session.handle_timer(now)
        self._settle()

    def _settle(self) -> None:
        self._flush()
        while (event := self._session.next_event()) is not None:
            match event:
                case Acknowledged(token, _):
                    self.present = True
                    self._settle_token(token, True)
                case GaveUp(token, _):
                    self.present = False
                    self._settle_token(token, False)
                case PacketReceived():
                    self.present = True
                    self._packets.append(event)
                case BreakInReceived():
                    self.present = self.break_in_wanted = True
                case Connected():
                    self.present = True
                    self.reconnects += 1

    def _settle_token(self, token: int, arrived: bool) -> None:
        if token in self._tracked:
            self._tracked.discard(token)
            self._settled[token] = arrived

    def _flush(self) -> None:
        for data, _ in self._session.datagrams_to_send():
            self._wire.send(data)
