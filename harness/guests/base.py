"""What every guest channel offers: put files there, load the driver, do one action of the guest helper.

An action's words are the command line of ``driver/actor`` (the guest contract); its answer is the JSON line
the helper prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from harness.standingrules import BrokenRule

__all__ = ["ActionResult", "Guest", "RuleKeepingGuest", "SettlingGuest"]


@dataclass(frozen=True)
class ActionResult:
    """The helper's JSON line."""

    action: str
    pid: int
    """PID of the helper process itself."""
    status: int
    """0, or the Win32 error code of the action."""
    values: dict[str, int | str] = field(default_factory=dict)
    """What the action made: ``child_pid``, ``child_tid``, ``tid``, ``base`` ..."""


class Guest(Protocol):
    """The operating system on the machine, as far as commands reach it. Failures raise GuestError."""

    def put(self, name: str, data: bytes) -> str:
        """Store a file in the guest's work folder; returns its path there."""

    def load_driver(self, name: str, path: str) -> int:
        """Register and start the kernel service ``name`` for the .sys at ``path``; the NTSTATUS."""

    def unload_driver(self, name: str) -> int:
        """Stop and delete that service; the NTSTATUS."""

    def act(self, argv: list[str], *, step: int, timeout: float) -> ActionResult:
        """Run the guest helper with ``argv`` and ``--id step``; its result."""


@runtime_checkable
class RuleKeepingGuest(Protocol):
    """The capability of a guest to hold its drivers to the standing rules."""

    def broken_rules(self) -> Sequence[BrokenRule]:
        """Those that were broken by now; answered by a guest that has stopped, too.

        :raises RigError: it does not answer any more.
        """


@runtime_checkable
class SettlingGuest(Protocol):
    """The capability of a guest to tell by its own clock that it has been quiet; of others the quiet of their
    print stream is what is waited for."""

    def settle(self, *, quiet: float, maximum: float) -> None:
        """Return when the guest has been quiet for ``quiet`` seconds of target time; at the latest after
        ``maximum``."""
