"""The guest channel's end in the target's process: JSON lines from stdin, answers to stdout.

Reading a pipe cannot be waited for together with a socket on every system, so a thread reads the lines and
announces each with a byte on a socket pair.
"""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from typing import IO, Any, NamedTuple

__all__ = ["MAX_LINE", "ControlServer", "Request"]

MAX_LINE = 128 * 1024 * 1024
"""Longest request, in bytes: a file of 64 MiB in base64 fits."""


class Request(NamedTuple):
    """One call of the harness."""

    number: int
    call: str
    args: dict[str, Any]


class ControlServer:
    """Requests in, answers out.

    :param lines: where requests come from, read by a thread of its own.
    :param answers: where answers go.
    """

    def __init__(self, lines: IO[bytes], answers: IO[bytes]) -> None:
        self._lines = lines
        self._answers = answers
        self._requests: deque[Request | None] = deque()
        self.wake, self._ring = socket.socketpair()
        """Readable when :meth:`receive` has something."""
        self.wake.setblocking(False)
        self.closed = False
        """The harness closed the channel."""
        threading.Thread(target=self._read, name="control", daemon=True).start()

    def receive(self) -> list[Request]:
        """All requests that have come since the last call; sets :attr:`closed` at the end of the channel."""
        try:
            while self.wake.recv(4096):
                pass
        except BlockingIOError:
            pass
        requests = []
        while self._requests:
            request = self._requests.popleft()
            if request is None:
                self.closed = True
            else:
                requests.append(request)
        return requests

    def answer(self, request: Request, result: dict[str, Any]) -> None:
        """The call succeeded."""
        self._write({"id": request.number, "result": result})

    def refuse(self, request: Request, kind: str, message: str, **more: Any) -> None:
        """The call failed; ``kind`` says how (bugcheck, hang, refused, dead)."""
        self._write({"id": request.number, "error": {"kind": kind, "message": message, **more}})

    def _write(self, answer: dict[str, Any]) -> None:
        try:
            self._answers.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
            self._answers.flush()
        except OSError:
            self.closed = True  # the harness is gone, and so is the reason to live

    def _read(self) -> None:
        while line := self._lines.readline(MAX_LINE):
            request = _parse(line)
            if request is None:
                break
            self._requests.append(request)
            self._ring.send(b"!")
        self._requests.append(None)
        self._ring.send(b"!")


def _parse(line: bytes) -> Request | None:
    """A request, or None for what is none: then the two ends no longer understand each other."""
    try:
        message = json.loads(line)
        number, call, args = message["id"], message["call"], message.get("args", {})
    except (ValueError, KeyError, TypeError):
        return None
    if not (isinstance(number, int) and isinstance(call, str) and isinstance(args, dict)):
        return None
    return Request(number, call, args)
