"""The ``serial`` guest channel: files and programs over a serial port that the guest helper serves.

It needs nothing in the guest but a second serial port and ``actor.exe serve COM2``; no network, no hypervisor
services, and nothing of the debugger's line.
"""

from __future__ import annotations

import secrets
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Final

from harness.connection import Connection, NetConnection, SerialConnection
from harness.errors import ConnectionFailed, GuestError, TargetLost, UsageError
from harness.guests.channels.base import ProgramResult
from harness.guests.channels.serial.link import SerialLink
from harness.guests.channels.serial.operations import (
    ERROR_FILE_TOO_LARGE,
    MAX_FILE,
    MAX_TEXT,
    VERSION,
    Operation,
    ProgramState,
    Waited,
    numbers,
    pieces,
)
from harness.guests.channels.serial.session import Answer, HostSession, retry_seconds
from harness.ports.opening import await_transport, opener_of
from harness.toolchain.windows_errors import win32_words

__all__ = ["DEFAULT_BAUD", "PATIENCE", "GuestClock", "SerialChannel"]

DEFAULT_BAUD: Final = 115_200
"""Of a line that has no rate of its own, such as a socket: so fast it is at least."""
PATIENCE: Final = 30.0
"""Seconds without a reply after which a guest counts as lost."""
_WAIT: Final = 0.5
"""Seconds that the guest is asked to wait for its program's end at a time."""
_AGAIN: Final = 0.2
"""Seconds between two tries of a line that was closed."""
_TAKE_OVER: Final = 5.0
"""Seconds in which a guest must have dropped what was interrupted."""
_HINT: Final = "start it in the guest: actor.exe serve COM2, with the guest's second serial port"


@dataclass(frozen=True)
class GuestClock:
    """What the guest's clocks show."""

    utc: int
    """FILETIME: 100 ns units since 1601, UTC."""
    uptime: int
    """Milliseconds since the guest's start, modulo 2**32 (GetTickCount)."""


class SerialChannel:
    """The :class:`~harness.guests.channels.base.GuestChannel` over a serial line. The line is opened, and a
    session begun, when first needed, and again after the guest was lost.

    :param connection: where the guest's serial port is: a TCP port, a Unix socket, a named pipe or a serial
        port of this machine; with ``server``, the machine connects to us.
    :param patience: seconds without a reply after which the guest counts as lost.
    :raises UsageError: a network connection.
    :raises ConnectionFailed: we are to serve a port that cannot be had.
    """

    def __init__(self, connection: Connection, *, patience: float = PATIENCE) -> None:
        if isinstance(connection, NetConnection):
            raise UsageError(
                "the guest channel 'serial' needs a serial port, and net: is the debugger's network",
                hint="name the guest's second serial port: com:ipport=PORT,port=HOST or com:pipe,port=PATH",
            )
        self._where = str(connection)
        self._patience = patience
        baud = connection.baud if isinstance(connection, SerialConnection) else DEFAULT_BAUD
        self._retry = retry_seconds(baud)
        self._opener = opener_of(connection)
        self._link: SerialLink | None = None
        self._closed = False

    def await_up(self, timeout: float) -> None:
        """See :meth:`harness.guests.channels.base.GuestChannel.await_up`. Begins a new session: what another
        host, or we, had under way in the guest is dropped."""
        self._drop()
        self._join(timeout)

    def ping(self, data: bytes = b"") -> float:
        """Seconds in which ``data``, up to 1020 bytes, went to the guest and back."""
        started = perf_counter()
        answer = self._ask("the ping", Operation.PING, data)
        if answer != data:
            raise GuestError(f"the guest helper answered the ping {data[:20]!r} with {answer[:20]!r}")
        return perf_counter() - started

    def clock(self) -> GuestClock:
        """What the guest's clocks show now."""
        low, high, uptime = numbers("CLOCK", self._ask("the clock", Operation.CLOCK), 3)
        return GuestClock(high << 32 | low, uptime)

    def put(self, path: str, data: bytes) -> None:
        """See :meth:`harness.guests.channels.base.GuestChannel.put`."""
        if len(data) > MAX_FILE:
            raise GuestError(f"{path} has {len(data)} bytes, and a serial channel takes up to {MAX_FILE}")
        with self._dropped_if_interrupted():
            what = f"putting {path}"
            self._text(what, path)
            self._ask(what, Operation.PUT, struct.pack("<I", len(data)))
            for piece in pieces(data):
                self._ask(what, Operation.PUT_PIECE, piece)
            self._ask(what, Operation.STORE)

    def get(self, path: str, *, limit: int) -> bytes:
        """See :meth:`harness.guests.channels.base.GuestChannel.get`."""
        with self._dropped_if_interrupted():
            what = f"getting {path}"
            self._text(what, path)
            answer = self._answer(Operation.GET, struct.pack("<I", min(limit, MAX_FILE)))
            if answer.status not in (0, ERROR_FILE_TOO_LARGE):
                raise _refused(what, answer.status)
            low, high = numbers("GET", answer.payload, 2)
            size = high << 32 | low
            if answer.status or size > limit:
                raise GuestError(f"{path} has {size} bytes in the guest, more than {limit}")
            return self._pieces(what, Operation.GET_PIECE, b"", size)

    def run(self, argv: Sequence[str], *, timeout: float) -> ProgramResult:
        """See :meth:`harness.guests.channels.base.GuestChannel.run`. The words become a command line by the
        rules of Microsoft's C runtime. 1 MiB of each output is kept; a program that prints more is an
        error."""
        with self._dropped_if_interrupted():
            what = f"running {argv[0]}"
            self._text(what, subprocess.list2cmdline(argv))
            milliseconds = min(max(round(timeout * 1000), 0), 0xFFFF_FFFF)
            self._ask(what, Operation.RUN, struct.pack("<I", milliseconds))
            # The guest has the deadline; ours is for a guest whose clock stands still.
            ended = self._wait_for_end(what, perf_counter() + timeout + self._patience)
            if ended.state is ProgramState.TERMINATED:
                raise GuestError(f"{argv[0]} did not end in the guest within {timeout:g} s; it was ended")
            if any(ended.dropped):
                printed = sum(ended.lengths) + sum(ended.dropped)
                raise GuestError(f"{argv[0]} printed {printed} bytes in the guest, more than are kept there")
            stdout, stderr = (
                self._pieces(what, Operation.OUTPUT, struct.pack("<I", stream), ended.lengths[stream])
                for stream in (0, 1)
            )
            return ProgramResult(ended.exit_code, stdout, stderr)

    def close(self) -> None:
        """See :meth:`harness.guests.channels.base.GuestChannel.close`."""
        self._closed = True
        self._drop()
        self._opener.close()

    def _wait_for_end(self, what: str, deadline: float) -> Waited:
        wait = struct.pack("<I", round(_WAIT * 1000))
        while True:
            waited = Waited.read(self._ask(what, Operation.WAIT, wait, longer=_WAIT))
            if waited.state is not ProgramState.RUNS:
                return waited
            if perf_counter() > deadline:
                raise TargetLost(
                    f"{what}: the guest does not end it at its deadline; does its clock stand still?"
                )

    def _text(self, what: str, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        if not data or b"\0" in data or len(data) > MAX_TEXT:
            raise GuestError(
                f"{what}: no path and no command line is empty, has a NUL or over {MAX_TEXT} bytes"
            )
        for piece in pieces(data):
            self._ask(what, Operation.TEXT, piece)

    def _pieces(self, what: str, operation: Operation, before: bytes, size: int) -> bytes:
        """Bytes that the guest hands out by their offset."""
        data = bytearray()
        while len(data) < size:
            piece = self._ask(what, operation, before + struct.pack("<I", len(data)))
            if not 0 < len(piece) <= size - len(data):
                raise GuestError(f"{what}: the guest handed out {len(piece)} of {size - len(data)} bytes")
            data += piece
        return bytes(data)

    def _ask(self, what: str, operation: Operation, payload: bytes = b"", *, longer: float = 0.0) -> bytes:
        answer = self._answer(operation, payload, longer=longer)
        if answer.status:
            raise _refused(what, answer.status)
        return answer.payload

    def _answer(self, operation: Operation, payload: bytes, *, longer: float = 0.0) -> Answer:
        link = self._link or self._join(self._patience)
        try:
            return link.ask(operation, payload, patience=self._patience, longer=longer)
        except TargetLost:
            self._drop()
            raise

    def _join(self, timeout: float) -> SerialLink:
        """Open the line and begin a session."""
        deadline = perf_counter() + timeout
        nobody = f"no guest helper answers on {self._where} within {timeout:g} s"
        while True:
            if self._closed:
                raise TargetLost(f"the channel at {self._where} was closed")
            try:
                transport = await_transport(self._opener, deadline)
            except ConnectionFailed as error:
                raise TargetLost(f"{nobody}: {error.message}", hint=error.hint) from error
            nonce = secrets.randbelow(0xFFFF_FFFF) + 1
            link = SerialLink(transport, HostSession(nonce, retry=self._retry))
            try:
                answer = link.ask(Operation.HELLO, patience=max(deadline - perf_counter(), _AGAIN))
                version, _ = numbers("HELLO", answer.payload, 2)
            except TargetLost as error:
                link.close()
                # A machine that starts may close its port once more.
                if perf_counter() + _AGAIN >= deadline:
                    raise TargetLost(f"{nobody}: {error.message}", hint=_HINT) from error
            except BaseException:
                link.close()
                raise
            else:
                break
            sleep(_AGAIN)
        if version != VERSION:
            link.close()
            raise GuestError(
                f"the guest helper on {self._where} speaks version {version} of the protocol, not {VERSION}",
                hint="put this program's own actor.exe into the guest",
            )
        self._link = link
        return link

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    @contextmanager
    def _dropped_if_interrupted(self) -> Iterator[None]:
        """What was begun in the guest is dropped there when it is interrupted here; a new session does it."""
        try:
            yield
        except KeyboardInterrupt:
            self._drop()
            try:
                self._join(_TAKE_OVER)
            except (TargetLost, GuestError) as error:
                raise KeyboardInterrupt from error
            raise


def _refused(what: str, status: int) -> GuestError:
    return GuestError(f"{what}: the guest refused it with {win32_words(status)}")
