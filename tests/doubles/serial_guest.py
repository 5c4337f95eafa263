"""A guest's end of the serial channel's session in Python: what a request asks for is counted, not done."""

from __future__ import annotations

import struct
from collections.abc import Callable

from harness.guests.channels.serial.frames import Damage, Frame, FrameKind, FrameReader, encode
from harness.guests.channels.serial.operations import Operation

__all__ = ["Refused", "SerialGuest"]


class Refused(Exception):
    """An operation that was not done.

    :param status: the Win32 error that says why.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class SerialGuest:
    """:param perform: does an operation once, (operation, payload) → what follows the status in its reply."""

    def __init__(self, perform: Callable[[int, bytes], bytes]) -> None:
        self._perform = perform
        self._reader = FrameReader()
        self._session = 0
        self._latest = Frame(FrameKind.REPLY, 0, 0, 0)
        self.ignored = 0
        """Requests that were neither the next nor the latest."""

    def receive(self, data: bytes) -> bytes:
        """Bytes off the line; those that go back."""
        return b"".join(self._handle(arrived) for arrived in self._reader.feed(data))

    def _handle(self, arrived: Frame | Damage) -> bytes:
        if isinstance(arrived, Damage):
            return encode(Frame(FrameKind.DAMAGED, 0, 0, 0))
        if arrived.kind is not FrameKind.REQUEST:
            return b""
        if arrived.session != self._session:
            if arrived.operation != Operation.HELLO:
                return encode(Frame(FrameKind.NO_SESSION, arrived.operation, arrived.session, arrived.id))
            self._session = arrived.session
            self._latest = Frame(FrameKind.REPLY, 0, arrived.session, arrived.id - 1)
        if arrived.id == self._latest.id:
            return encode(self._latest)
        if arrived.id != self._latest.id + 1:
            self.ignored += 1
            return b""
        try:
            payload = struct.pack("<I", 0) + self._perform(arrived.operation, arrived.payload)
        except Refused as refusal:
            payload = struct.pack("<I", refusal.status)
        self._latest = Frame(FrameKind.REPLY, arrived.operation, arrived.session, arrived.id, payload)
        return encode(self._latest)
