"""A connection to a guest agent: one question, one answer, and in step again after whatever went wrong.

Not by the ``qemu.qmp`` library, which speaks QMP: it takes the agent's byte 0xFF, and answers that nobody
waits for any more, for a broken protocol, and numbers its questions, which old agents refuse.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from harness.errors import GuestError, TargetLost
from harness.guests.channels.qga.answers import AnswerStream, NotAnAnswerError
from harness.waiting import SLICE_SECONDS

__all__ = ["Agent", "AgentAddress", "AgentLink", "address_words"]

AgentAddress = str | tuple[str, int]
"""Path of a Unix socket, or host and port of a TCP one."""
SYNC_SECONDS: Final = 10.0
"""How long an agent that has answered before may take to fall in step, in seconds."""
PIECE: Final = 256 * 1024
"""Bytes that are taken from the system at a time."""
T = TypeVar("T")


class _Question(NamedTuple):
    command: str
    timeout: float
    deadline: float

    def line(self, arguments: dict[str, Any]) -> bytes:
        words = {"execute": self.command, "arguments": arguments}
        return json.dumps(words, separators=(",", ":")).encode() + b"\n"


def address_words(address: AgentAddress) -> str:
    """``/run/vm.sock``, ``127.0.0.1:4444``."""
    return address if isinstance(address, str) else f"{address[0]}:{address[1]}"


class Agent(Protocol):
    """A guest agent, whoever passes on what it is asked. Calls come from one thread; ``close`` may come from
    another."""

    where: str
    """What a message names behind "the guest agent at"."""
    closed: threading.Event
    """Set by ``close``."""

    def synchronise(self, timeout: float) -> None:
        """Have it answer.

        :param timeout: seconds.
        :raises TargetLost: it does not.
        """

    def call(self, command: str, arguments: dict[str, Any] | None = None, *, timeout: float) -> Any:
        """Ask, and wait for the answer; what the command returns.

        :param timeout: seconds.
        :raises GuestError: the agent refuses.
        :raises TargetLost: the agent is not there, does not answer in time, or answers nonsense.
        """

    def close(self) -> None:
        """End it for ever; a call that waits ends with TargetLost. Idempotent."""


class AgentLink:
    """See :class:`Agent`. Connects when it is needed, anew after the connection was lost.

    :param address: where QEMU, or the agent itself, listens.
    :param number: a number that no client before has used, 48 bits.
    """

    def __init__(
        self, address: AgentAddress, *, number: Callable[[], int] = lambda: secrets.randbits(48)
    ) -> None:
        self.where = address_words(address)
        self._agent = f"the guest agent at {self.where}"
        self._address = address
        self._number = number
        self._socket: socket.socket | None = None
        self._stream = AnswerStream()
        self._in_step = False
        self.closed = threading.Event()

    def synchronise(self, timeout: float) -> None:
        """See :meth:`Agent.synchronise`: connect where that is needed, and have the agent answer a number.

        Whoever does not answer is connected to anew the next time: a guest that went back to a snapshot can
        have missed that its port was opened.
        """
        question = _Question("guest-sync-delimited", timeout, monotonic() + timeout)
        if self._socket is None:
            self._connect(timeout)
        self._in_step = False
        number = self._number()
        self._stream.begin_sync(number)
        try:
            # The mark in front flushes the agent's own parser.
            self._send(b"\xff" + question.line({"id": number}), question)
            self._receive(question)
        except TargetLost:
            self._drop()
            raise
        self._in_step = True

    def call(self, command: str, arguments: dict[str, Any] | None = None, *, timeout: float) -> Any:
        """See :meth:`Agent.call`."""
        if not self._in_step or self._stream.pending or self._has_more():
            self.synchronise(min(SYNC_SECONDS, timeout))
        question = _Question(command, timeout, monotonic() + timeout)
        self._in_step = False
        self._send(question.line(arguments or {}), question)
        answer = self._receive(question)
        self._in_step = True
        if "error" not in answer:
            return answer["return"]
        error = answer["error"]
        words = error.get("desc") if isinstance(error, dict) else error
        raise GuestError(f"{self._agent} refused {command}: {words!s:.400}")

    def close(self) -> None:
        """See :meth:`Agent.close`."""
        self.closed.set()
        self._drop()

    def _drop(self) -> None:
        connection, self._socket = self._socket, None
        self._in_step = False
        if connection is not None:
            with contextlib.suppress(OSError):  # the peer may have gone already
                connection.shutdown(socket.SHUT_RDWR)  # close alone does not wake a thread that waits
            connection.close()

    def _connect(self, timeout: float) -> None:
        if self.closed.is_set():
            raise TargetLost(f"{self._agent} is asked after its channel was closed")
        try:
            if isinstance(self._address, tuple):
                self._socket = socket.create_connection(self._address, timeout)
            else:
                self._socket = _unix_connection(self._address, timeout)
        except OSError as error:
            raise TargetLost(f"{self._agent} cannot be reached: {error.strerror or error}") from error
        self._stream = AnswerStream()

    def _has_more(self) -> bool:
        """Whether something has come that nobody asked for, or the connection has ended."""
        connection = self._socket
        if connection is None:
            return True
        try:
            connection.setblocking(False)
            more = connection.recv(PIECE)
        except BlockingIOError:
            return False
        except OSError:
            more = b""
        if not more:
            self._drop()
        return True

    def _send(self, data: bytes, question: _Question) -> None:
        left = memoryview(data)

        def send(connection: socket.socket) -> int:
            return connection.send(left)

        while left:
            left = left[self._wait(send, question) :]

    def _receive(self, question: _Question) -> dict[str, Any]:
        try:
            answer = self._stream.feed(b"")
            while answer is None:
                data = self._wait(lambda connection: connection.recv(PIECE), question)
                if not data:
                    self._drop()
                    raise TargetLost(
                        f"{self._agent} ended the connection before it answered {question.command}"
                    )
                answer = self._stream.feed(data)
        except NotAnAnswerError as error:
            self._drop()
            raise TargetLost(f"{self._agent} answered {question.command} with {error}") from None
        return answer

    def _wait(self, work: Callable[[socket.socket], T], question: _Question) -> T:
        """``work`` on the connection, in slices, for Windows hears no Ctrl-C while it waits."""
        while True:
            connection = self._socket
            if connection is None:
                raise TargetLost(f"{self._agent}: the channel was closed in the middle of {question.command}")
            left = question.deadline - monotonic()
            try:
                connection.settimeout(min(max(left, 0.001), SLICE_SECONDS))
                return work(connection)
            except TimeoutError:
                if left <= SLICE_SECONDS:
                    raise TargetLost(
                        f"{self._agent} did not answer {question.command} within {question.timeout:g} s"
                    ) from None
            except OSError as error:
                self._drop()
                raise TargetLost(
                    f"{self._agent} was lost in the middle of {question.command}: {error.strerror or error}"
                ) from error


def _unix_connection(path: str, timeout: float) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise OSError("this system's Python has no Unix sockets; have QEMU listen on TCP")
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection
