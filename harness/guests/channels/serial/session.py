"""The host's end of a session: one request after the other, each repeated until it is answered. No I/O.

The guest does each request once and answers repetitions from memory, so that to repeat one is always safe.
The reply acknowledges the request, and the next request the reply.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import inf
from typing import Final

from harness.errors import TargetLost
from harness.guests.channels.serial.frames import MAX_WIRE, Damage, Frame, FrameKind, FrameReader, encode
from harness.guests.channels.serial.operations import Operation

__all__ = ["LONGEST_RETRY_SECONDS", "Answer", "HelperRestarted", "HostSession", "retry_seconds"]

LONGEST_RETRY_SECONDS: Final = 2.0
"""The pause before a repetition doubles up to this."""
_LAST_ID: Final = 0xFFFF_FFFF


class HelperRestarted(TargetLost):
    """The guest helper does not know the session any more: it started anew, or serves another host."""


@dataclass(frozen=True)
class Answer:
    """What the guest helper replied."""

    status: int
    """0, or the Win32 error."""
    payload: bytes


def retry_seconds(baud: int) -> float:
    """How long a reply may take before the request is repeated: the time of the longest frames in both
    directions at 10 bits a byte, and the guest's own."""
    return 0.25 + 2 * MAX_WIRE * 10 / baud


class HostSession:
    """Moments are seconds of one clock that never goes back.

    :param nonce: 1 to 2**32 - 1, another one for each session.
    :param retry: seconds before the first repetition of a request, see :func:`retry_seconds`.
    """

    def __init__(self, nonce: int, *, retry: float) -> None:
        self._nonce = nonce
        self._retry = retry
        self._reader = FrameReader()
        self._id = 0
        self._request: bytes | None = None
        self._operation = Operation.HELLO
        self._output = bytearray()
        self._pause = retry
        self._longer = 0.0
        self.due = inf
        """When :meth:`repeat` has something to do."""
        self.asked = 0
        """How often the latest request was sent."""
        self.damaged = 0
        """How much arrived that was no frame, in either direction, since then."""

    @property
    def operation(self) -> Operation:
        """Of the latest request."""
        return self._operation

    def ask(self, operation: Operation, payload: bytes, now: float, *, longer: float = 0.0) -> None:
        """Begin the next request, in place of one that was given up.

        :param longer: seconds that the guest may take for it, on top of what every reply takes.
        """
        if self._id == _LAST_ID:
            raise TargetLost("a session of the serial channel has no more ids", hint="open it again")
        self._id += 1
        self._operation = operation
        self._request = encode(Frame(FrameKind.REQUEST, operation, self._nonce, self._id, payload))
        self._pause = self._retry
        self._longer = longer
        self.asked = self.damaged = 0
        self._send(self._request, now)

    def output(self) -> bytes:
        """What is to be written to the line now; each byte is handed out once."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def repeat(self, now: float) -> None:
        """Ask again what has waited for its reply until now."""
        if self._request is not None and now >= self.due:
            self._pause = min(2 * self._pause, max(self._retry, LONGEST_RETRY_SECONDS))
            self._send(self._request, now)

    def receive(self, data: bytes, now: float) -> Answer | None:
        """Take bytes off the line; the reply to the latest request once it is there.

        :raises HelperRestarted: the guest is of another session.
        """
        answer = None
        damaged = False
        for arrived in self._reader.feed(data):
            match arrived:
                case Damage() | Frame(kind=FrameKind.DAMAGED):
                    self.damaged += 1
                    damaged = True
                case Frame(session=self._nonce, id=self._id) if self._request is not None:
                    answer = self._answer(arrived) or answer
                case _:
                    pass  # a reply that came twice, our own echo, what was meant for the host before us
        if damaged and self._request is not None:
            self._send(self._request, now)
        return answer

    def _answer(self, frame: Frame) -> Answer | None:
        if frame.kind is FrameKind.NO_SESSION:
            self._request = None
            raise HelperRestarted(
                f"the guest helper does not know the session in which it is asked for {self._operation.name}",
                hint="it was started anew, or another host has taken it over",
            )
        if frame.kind is not FrameKind.REPLY or len(frame.payload) < 4:
            return None
        self._request = None
        self.due = inf
        return Answer(struct.unpack_from("<I", frame.payload)[0], frame.payload[4:])

    def _send(self, request: bytes, now: float) -> None:
        self._output += request
        self.asked += 1
        self.due = now + self._pause + self._longer
