"""What every guest channel offers: files put and got, and programs run with a deadline.

Paths and command lines are the guest's own. Nothing here knows of drivers and actions; a guest helper that a
channel starts does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["GuestChannel", "ProgramResult"]


@dataclass(frozen=True)
class ProgramResult:
    """How a program ended in the guest."""

    exit_code: int
    """As the guest's system reports it: 0 to 0xffffffff on Windows."""
    stdout: bytes
    stderr: bytes


class GuestChannel(Protocol):
    """One way into one started guest. What the guest refuses raises GuestError; a guest that no longer
    answers raises TargetLost."""

    def await_up(self, timeout: float) -> None:
        """Return when the guest answers.

        :param timeout: seconds of host time; TargetLost says what was tried and what it got for an answer.
        """

    def put(self, path: str, data: bytes) -> None:
        """Store a file, whole or not at all; one that is there is replaced."""

    def get(self, path: str, *, limit: int) -> bytes:
        """The bytes of a file.

        :param limit: a longer file is refused with GuestError before it is transferred whole.
        """

    def run(self, argv: Sequence[str], *, timeout: float) -> ProgramResult:
        """Run a program to its end.

        :param timeout: seconds of host time; then the program is ended, where the channel can, and GuestError
            names it.
        """

    def close(self) -> None:
        """Free what the channel holds on the host. Idempotent."""
