"""A program that an SSH server runs: what it has printed, and how it ended."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from typing import Final

import asyncssh

from harness.errors import GuestError, TargetLost
from harness.guests.channels.base import ProgramResult
from harness.guests.channels.commandline import posix_command_line

__all__ = ["MAX_OUTPUT", "RemoteProgram", "announced", "set_within"]

MAX_OUTPUT: Final = 16 * 1024 * 1024
"""Bytes of each output of a program that are kept; the guest agent's limit as well."""
_SIGNALS: Final = {
    "HUP": 1,
    "INT": 2,
    "QUIT": 3,
    "ILL": 4,
    "ABRT": 6,
    "FPE": 8,
    "KILL": 9,
    "USR1": 10,
    "SEGV": 11,
    "USR2": 12,
    "PIPE": 13,
    "ALRM": 14,
    "TERM": 15,
}
"""The names of RFC 4254 6.10, and their numbers on Linux."""
_NOT_THERE: Final = b"-"


class RemoteProgram(asyncssh.SSHClientSession[bytes]):
    """What a program that runs has printed, and how it ended."""

    def __init__(self) -> None:
        self.channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.pid: int | None = None
        self.ended = asyncio.Event()
        """There is nothing more to wait for: it is gone, or has printed too much."""
        self.gone = asyncio.Event()
        self.spoke = asyncio.Event()
        """It, or the shell before it, has printed."""
        self.overflowed = False
        self._output = bytearray()
        self._errors = bytearray()
        self._exit_code: int | None = None

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self.spoke.set()
        kept = self._errors if datatype == asyncssh.EXTENDED_DATA_STDERR else self._output
        if len(kept) + len(data) > MAX_OUTPUT:
            self.overflowed = True
            self.ended.set()
        else:
            kept += data

    def exit_status_received(self, status: int) -> None:
        self._exit_code = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._exit_code = 128 + _SIGNALS.get(signal, 0)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self.ended.set()

    def take_announcement(self, name: str) -> None:
        """Take the PID, the shell's first line, away from what the program printed."""
        line, _, rest = bytes(self._output).partition(b"\n")
        if line == _NOT_THERE:
            raise GuestError(f"there is no program {name} in the guest")
        if line.isdigit():
            self.pid = int(line)
            self._output = bytearray(rest)
        elif line or self._exit_code is not None:
            raise GuestError(
                f"the guest's shell said {line!r:.200} before it ran {name}",
                hint="the user's shell must be a POSIX one that prints nothing when it starts",
            )

    def result(self, name: str) -> ProgramResult:
        """How it ended; TargetLost where the connection did before."""
        if self._exit_code is None:
            raise TargetLost(f"the SSH connection ended before {name} did")
        return ProgramResult(self._exit_code, bytes(self._output), bytes(self._errors))


async def set_within(seconds: float, event: asyncio.Event) -> bool:
    """Whether it is set in time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def announced(argv: Sequence[str]) -> str:
    """A command line that prints the program's PID first, or that there is no such program."""
    line = posix_command_line(argv)
    there = f"command -v {shlex.quote(argv[0])} >/dev/null"
    return f"if {there}; then echo $$; else echo {_NOT_THERE.decode()}; exit 127; fi; {line}"
