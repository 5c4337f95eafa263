"""The bytes of a guest agent as answers: one JSON object a line, and the mark behind which they are fresh.

An agent keeps what nobody has read: answers to questions of whoever was connected before, and to those that
timed out. ``guest-sync-delimited`` has it send the byte 0xFF, which no JSON text holds, and a number of the
caller's choice behind it; what comes before is stale.
"""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["MAX_ANSWER", "AnswerStream", "NotAnAnswerError"]

MAX_ANSWER: Final = 64 * 1024 * 1024
"""Longest answer that is read, in bytes. An agent's own limits: 16 MiB of each output of a program, as base64
(``GUEST_EXEC_MAX_OUTPUT`` of QEMU's qga/commands.c)."""
SENTINEL: Final = 0xFF


class NotAnAnswerError(Exception):
    """The agent sent something that is none; the text says what."""


class AnswerStream:
    """Takes bytes in, gives answers out. After an error it is of no further use.

    :param limit: see :data:`MAX_ANSWER`.
    """

    def __init__(self, *, limit: int = MAX_ANSWER) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self._searched = 0
        self._number: int | None = None

    @property
    def pending(self) -> bool:
        """Whether bytes have come that no answer was made of."""
        return bool(self._bytes)

    def begin_sync(self, number: int) -> None:
        """Skip everything up to the answer to ``guest-sync-delimited`` with this number."""
        self._number = number
        self._bytes.clear()
        self._searched = 0

    def feed(self, data: bytes) -> dict[str, Any] | None:
        """The next answer, once it is whole.

        :raises NotAnAnswerError: a line is no answer, or has no end within the limit.
        """
        self._bytes += data
        while (line := self._line()) is not None:
            if self._number is None:
                return _parse(line)
            if self._is_synced(line):
                self._number = None
                return {"return": None}
        return None

    def _line(self) -> bytes | None:
        if self._number is not None and not self._searched:
            start = self._bytes.find(SENTINEL)
            del self._bytes[: start if start >= 0 else len(self._bytes)]
        end = self._bytes.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._bytes)
            if self._searched > self._limit:
                begin = _short(bytes(self._bytes[:81]))
                raise NotAnAnswerError(f"{begin} without an end in {self._limit} bytes")
            return None
        line = bytes(self._bytes[:end])
        del self._bytes[: end + 1]
        self._searched = 0
        return line

    def _is_synced(self, line: bytes) -> bool:
        """A line of an earlier client's sync is one that is skipped, whatever is in it."""
        marked = line.rpartition(bytes([SENTINEL]))[2]
        try:
            return _parse(marked).get("return") == self._number
        except NotAnAnswerError:
            return False


def _parse(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    # Brackets nested without end exhaust the parser's stack.
    except (ValueError, RecursionError) as error:
        raise NotAnAnswerError(f"{_short(line)}, which is no JSON ({error})") from None
    if not isinstance(answer, dict) or not ("return" in answer or "error" in answer):
        raise NotAnAnswerError(f"{_short(line)}, which is no answer")
    return answer


def _short(line: bytes) -> str:
    return repr(line if len(line) <= 80 else line[:80] + b"...")
