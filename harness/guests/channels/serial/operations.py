"""What the host can ask of the guest helper; ``driver/actor/serve/operations.c`` is the other end.

A reply's payload begins with a Win32 error, 0 for done; what the table names as answer follows it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from harness.errors import GuestError
from harness.guests.channels.serial.frames import MAX_PAYLOAD

__all__ = [
    "ERROR_FILE_TOO_LARGE",
    "ERROR_INVALID_DATA",
    "MAX_FILE",
    "MAX_TEXT",
    "PIECE",
    "VERSION",
    "Operation",
    "ProgramState",
    "Waited",
    "numbers",
    "pieces",
]

VERSION: Final = 1
"""Of the protocol: what HELLO is answered with."""
PIECE: Final = MAX_PAYLOAD - 4
"""Bytes of a file, a text or an output that go into one frame, with a number before them."""
MAX_FILE: Final = 0xFFFF_FFFF
"""Longest file that is put or got, in bytes: offsets have 32 bits."""
MAX_TEXT: Final = 3 * 32768
"""Longest path or command line, in bytes of UTF-8; Windows takes 32767 characters."""
ERROR_INVALID_DATA: Final = 13
ERROR_FILE_TOO_LARGE: Final = 223


class Operation(IntEnum):
    """What is asked for, with which numbers and bytes, and the answer."""

    HELLO = 1
    """Begins a session; nothing → version, PID of the helper."""
    PING = 2
    """Bytes → the same."""
    CLOCK = 3
    """Nothing → FILETIME in UTC (low, high), milliseconds since the guest's start."""
    TEXT = 4
    """Offset, a piece of UTF-8 → nothing. The text is the path or command line of what comes next."""
    RUN = 5
    """Milliseconds until it is terminated → PID. One program at a time."""
    WAIT = 6
    """Milliseconds, up to 5000 → see :class:`Waited`; as soon as the program has ended."""
    OUTPUT = 7
    """0 for standard output or 1 for standard error, offset → bytes."""
    PUT = 8
    """Size → nothing. One file at a time."""
    PUT_PIECE = 9
    """Offset, bytes → nothing."""
    STORE = 10
    """Nothing → nothing: the file has its name from now on."""
    GET = 11
    """Longest size → size (low, high), also with ERROR_FILE_TOO_LARGE."""
    GET_PIECE = 12
    """Offset → bytes."""


class ProgramState(IntEnum):
    """Where the guest's program stands."""

    RUNS = 0
    ENDED = 1
    TERMINATED = 2
    """By the helper, at its deadline."""


@dataclass(frozen=True)
class Waited:
    """The answer to WAIT."""

    state: ProgramState
    exit_code: int
    lengths: tuple[int, int]
    """Bytes of standard output and error that are kept."""
    dropped: tuple[int, int]
    """Bytes that were printed beyond what is kept."""

    @classmethod
    def read(cls, answer: bytes) -> Waited:
        """GuestError for what is none."""
        state, code, *outputs = numbers("WAIT", answer, 6)
        if state not in list(ProgramState):
            raise GuestError(f"the guest helper says that its program is in state {state}, which is none")
        return cls(ProgramState(state), code, (outputs[0], outputs[2]), (outputs[1], outputs[3]))


def numbers(operation: str, answer: bytes, count: int) -> tuple[int, ...]:
    """The ``count`` numbers that the answer is made of; GuestError for one that is not."""
    if len(answer) != 4 * count:
        raise GuestError(
            f"the guest helper answered {operation} with {len(answer)} bytes in place of {4 * count}: "
            f"{answer[:40].hex()}"
        )
    return struct.unpack(f"<{count}I", answer)


def pieces(data: bytes) -> Iterator[bytes]:
    """What frames carry of ``data``, each with its offset before it; none for no data."""
    for offset in range(0, len(data), PIECE):
        yield struct.pack("<I", offset) + data[offset : offset + PIECE]
