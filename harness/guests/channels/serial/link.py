"""One open line with one session on it: a request goes out, its reply comes back or the guest is given up."""

from __future__ import annotations

import select
import threading
from time import perf_counter

from harness.errors import TargetLost
from harness.guests.channels.serial.operations import Operation
from harness.guests.channels.serial.session import Answer, HelperRestarted, HostSession
from harness.ports.transport import Transport
from harness.waiting import SLICE_SECONDS

__all__ = ["SerialLink"]


class SerialLink:
    """Owns the transport. Another thread than the one that asks may close it."""

    def __init__(self, transport: Transport, session: HostSession) -> None:
        self._transport = transport
        self._session = session
        self._heard = 0
        self._asking = threading.Lock()
        self._closed = False

    def ask(
        self, operation: Operation, payload: bytes = b"", *, patience: float, longer: float = 0.0
    ) -> Answer:
        """Ask the guest helper, and wait for its reply. Ctrl-C ends it.

        :param patience: seconds for the reply to come.
        :param longer: seconds that the guest itself may take, on top of both that and the pauses between
            repetitions.
        :raises TargetLost: no reply came, or the line was closed.
        """
        with self._asking:
            return self._ask(operation, payload, patience, longer)

    def _ask(self, operation: Operation, payload: bytes, patience: float, longer: float) -> Answer:
        session = self._session
        self._heard = 0
        started = now = perf_counter()
        deadline = now + patience + longer
        session.ask(operation, payload, now, longer=longer)
        while now < deadline:
            if self._closed:
                raise TargetLost(f"{self._transport.name} was closed on this side")
            self._transport.send(session.output(), None)
            # Neither Ctrl-C nor a close is heard in a select on every system.
            seconds = max(min(session.due, deadline, now + SLICE_SECONDS) - now, 0.0)
            if select.select([self._transport.fileno()], [], [], seconds)[0]:
                answer = self._receive()
                if answer is not None:
                    return answer
            now = perf_counter()
            session.repeat(now)
        raise TargetLost(
            f"the guest helper on {self._transport.name} has not replied to {operation.name} for "
            f"{now - started:.0f} s: asked {session.asked} times, {self._heard} bytes came back, "
            f"{session.damaged} pieces were damaged on the way"
        )

    def close(self) -> None:
        """A call that waits ends with TargetLost first. Idempotent."""
        self._closed = True
        with self._asking:
            self._transport.close()

    def _receive(self) -> Answer | None:
        piece = self._transport.receive()
        if piece is None:
            return None
        self._heard += len(piece[0])
        try:
            return self._session.receive(piece[0], perf_counter())
        except HelperRestarted as lost:
            raise HelperRestarted(f"{self._transport.name}: {lost.message}", hint=lost.hint) from None
