"""The thread that owns a session and its transport.

What counts here is the stall: the target stands still from its datagram to our ACK. So an arriving datagram
is handed to the session, and what the session has to say is sent, before anything else is done; then the
next ACK is made in advance; only then is anybody told. While :attr:`LinkThread.busy` is set the thread
looks for the next datagram without sleeping, because waking up costs more than all the work.

While the listener is full nothing is received: what the target sends is not acknowledged, so it stands still
and sends it again, and nothing is lost.

A transport that was closed is opened again, where somebody said how. Meanwhile the session goes on as on a
line that loses everything.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final, Protocol

from harness.debuggers.native.linklog import LinkLog
from harness.errors import ConnectionFailed, DebuggerDied, ProcnotifyError, TargetLost
from harness.kd.session import Session
from harness.kd.session_events import Address, SessionEvent
from harness.ports.transport import Transport

__all__ = ["LinkThread", "Listener"]

LOOKS: Final = 8
"""Looks for a datagram between two looks at the clock while spinning: each is a system call already."""
PATIENCE: Final = 3.0
"""For each time that a packet must be sent again on average: every exchange then takes half a second more,
and the usual limits are made for ten of them in five seconds."""
MAX_PATIENCE: Final = 10.0
QUIET: Final = 0.0002
"""Seconds without a datagram after which the listener is told to pass on what it has gathered."""
_LONGEST_SLEEP: Final = 1.0
LEAVE_SECONDS: Final = 0.3
"""For the last answers to arrive: the way there and back, of a link that may lose a packet."""
REOPEN_SECONDS: Final = 0.3
"""Between two tries to open a transport again. Longer than the pause after which the rest of a packet that
was cut off is not waited for (:data:`harness.kd.kdcom_link.PAUSE`): no half of it is there any more then."""


class Listener(Protocol):
    """Who hears the session; called on the link's thread."""

    def handle(self, event: SessionEvent) -> None:
        """One event, in order."""

    def flush(self) -> None:
        """The burst is over: wake whoever waits."""

    def failed(self, error: ProcnotifyError) -> None:
        """The link is dead; nothing follows."""

    def disconnected(self, reason: str) -> None:
        """The transport was closed, and is about to be opened again."""

    def reconnected(self) -> None:
        """It is open again."""

    @property
    def full(self) -> bool:
        """No room for anything more: receive nothing until :meth:`LinkThread.wake` is called."""


class LinkThread:
    """Runs a session over a transport.

    :param spin: seconds to look for the next datagram without sleeping after each one, while ``busy``.
    :param reopen: opens the transport again once it was closed, or raises :class:`ConnectionFailed`: not yet.
        None: the link is dead then.
    """

    def __init__(
        self,
        session: Session,
        transport: Transport,
        listener: Listener,
        *,
        spin: float,
        reopen: Callable[[], Transport] | None = None,
    ) -> None:
        self.session = session
        self.transport = transport
        self.is_open = True
        """False: the transport was closed, and is not open again yet."""
        self.busy = False
        self.heard_at = perf_counter()
        """When the last bytes came, by ``perf_counter``."""
        self.log = LinkLog(transport.name)
        self._listener = listener
        self._spin = spin
        self._reopen = reopen
        self._reopen_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._posted: deque[Callable[[float], None]] = deque()
        self._stopping = False
        self._leave_at: float | None = None
        """When it ends at the latest; None: nobody has told it to."""
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=f"kd {transport.name}", daemon=True)

    @property
    def patience(self) -> float:
        """How many times as long as on a link without loss to wait for an answer, as this link has lost so
        far; 1.0 to :data:`MAX_PATIENCE`."""
        return min(1 + PATIENCE * (self.session.tries - 1), MAX_PATIENCE)

    def require_sign_of_life(self, silence: float) -> None:
        """Raises :class:`TargetLost` when nothing has come for so many seconds."""
        silent = perf_counter() - self.heard_at
        if silent > silence:
            raise TargetLost(
                f"nothing came from the target for {silent:.0f} s",
                hint="a KDNET target sends something every 3 s even when it is halted: is it still on?",
            )

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def post(self, work: Callable[[float], None]) -> None:
        """Have ``work(now)`` done on the link's thread, soon; what it makes the session say is sent."""
        self._posted.append(work)
        try:
            self._wake_write.send(b"\0")
        except BlockingIOError:
            return  # it is full of wake-ups already
        except OSError:
            return  # stopped

    def wake(self) -> None:
        """Look again whether the listener is still full."""
        self.post(lambda now: None)

    def stop(self) -> None:
        """End the thread and close the transport. Idempotent.

        What the target has said last is still answered, for at most :data:`LEAVE_SECONDS`: it must not wait
        for an answer to what it knows was heard. What it says after that is not heard any more.
        """
        if self._stopping:
            return
        self._stopping = True
        self.post(lambda now: None)
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        self.transport.close()
        self._wake_read.close()
        self._wake_write.close()

    def _run(self) -> None:
        error: ProcnotifyError = DebuggerDied(f"the thread of {self.transport.name} ended")
        try:
            with self._selector as selector:
                selector.register(self.transport, selectors.EVENT_READ)
                selector.register(self._wake_read, selectors.EVENT_READ)
                self._loop()
        except ProcnotifyError as failure:
            error = failure
        finally:
            if not self._stopping:
                self._listener.failed(error)

    def _loop(self) -> None:
        session, listener, posted = self.session, self._listener, self._posted
        quiet_at = sleep_at = perf_counter()
        gathered = spinning = full = False
        while not self._stopping or self._leaves():
            received = None if full else self._look(LOOKS if spinning else 1)
            if received is not None:
                now = perf_counter()
                session.receive(received[0], now, received[1])
                self._send()
                session.prepare()
                self.heard_at = now
                quiet_at, sleep_at = now + QUIET, now + self._spin
                gathered = True
                self._tell()
                self._send()  # what the listener answered
                full = listener.full
                continue
            now = perf_counter()
            if not self.is_open and now >= self._reopen_at:
                self._come_back()
            while posted:
                posted.popleft()(now)
                self._say()
                sleep_at = now + self._spin
            deadline = session.deadline()
            if deadline is not None and now >= deadline:
                session.handle_timer(now)
                self._say()
                continue
            if full:
                full = listener.full
            spinning = self.busy and now < sleep_at and not full
            if gathered and (now >= quiet_at or not spinning):
                listener.flush()
                gathered = False
            if not spinning:
                self._sleep(deadline, now, deaf=full)

    def _leaves(self) -> bool:
        """Whether something is still to be seen to before the end."""
        now = perf_counter()
        if self._leave_at is None:
            self._leave_at = now + LEAVE_SECONDS
            self.session.leave()
        return self.is_open and not self.session.idle and now < self._leave_at

    def _look(self, looks: int) -> tuple[bytes, Address | None] | None:
        if not self.is_open:
            return None
        receive = self.transport.receive
        try:
            for _ in range(looks):
                received = receive()
                if received is not None:
                    return received
        except TargetLost as error:
            self._lose(error)
        return None

    def _lose(self, error: TargetLost) -> None:
        """The transport is closed: raises ``error`` where it is not to be opened again."""
        if self._reopen is None:
            raise error
        self._selector.unregister(self.transport)
        self.transport.close()
        self.is_open = False
        self._reopen_at = perf_counter() + REOPEN_SECONDS
        self.log.disconnected(error.message)
        self._listener.disconnected(error.message)

    def _come_back(self) -> None:
        assert self._reopen is not None
        try:
            self.transport = self._reopen()
        except ConnectionFailed:
            self._reopen_at = perf_counter() + REOPEN_SECONDS
            return
        self._selector.register(self.transport, selectors.EVENT_READ)
        self.is_open = True
        self.log.reconnected()
        self._listener.reconnected()

    def _sleep(self, deadline: float | None, now: float, *, deaf: bool) -> None:
        longest = _LONGEST_SLEEP if deadline is None else min(max(deadline - now, 0.0), _LONGEST_SLEEP)
        if not self.is_open:
            deaf = False  # it is not registered
            longest = min(longest, max(self._reopen_at - now, 0.0))
        selector = self._selector
        if deaf:
            selector.unregister(self.transport)
        for key, _ in selector.select(longest):
            if key.fileobj is self._wake_read:
                self._wake_read.recv(4096)
        if deaf:
            selector.register(self.transport, selectors.EVENT_READ)

    def _say(self) -> None:
        self._send()
        self._tell()
        self._send()
        self._listener.flush()

    def _send(self) -> None:
        for data, address in self.session.datagrams_to_send():
            if self.is_open:
                try:
                    self.transport.send(data, address)
                except TargetLost as error:
                    self._lose(error)

    def _tell(self) -> None:
        session, listener, log = self.session, self._listener, self.log
        while (event := session.next_event()) is not None:
            listener.handle(event)
            log.see(session, event)
