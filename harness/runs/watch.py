"""How long a live target is waited for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Watch"]


@dataclass(frozen=True)
class Watch:
    """How long a live target is waited for, in seconds of host time."""

    silence: float = 10.0
    """The target neither prints nor answers: it is lost after this long."""
    lines: float = 5.0
    """A line that must come (an end marker, the totals) is missing after this long without any other."""
    printing: float = 60.0
    """One thing that the guest does is under way, and the target prints all this time without end: its driver
    hangs. What the guest sleeps, and each marker that comes, make it longer; a step that is known to print
    for longer wants a longer time here."""
    bugcheck: float = 5.0
    """The guest says that the target bugchecked; the debugger hears it at the latest after this long."""
