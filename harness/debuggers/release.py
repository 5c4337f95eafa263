"""Letting a target go, and proving that it runs."""

from __future__ import annotations

from time import monotonic
from typing import Final, Protocol

from harness.debuggers.base import Release, Stopped
from harness.debuggers.breakpoints import Breakpoints
from harness.debuggers.conversation import Conversation
from harness.debuggers.targetmemory import TargetMemory, UnreadableMemory
from harness.errors import RigError, UsageError

__all__ = ["release"]

_LEAST: Final = 0.2
_DUMP_SECONDS: Final = 1.0
"""How long a crashed target is heard on; its dump may take a minute, which is not waited for."""


class _Releasable(Protocol):
    @property
    def memory(self) -> TargetMemory: ...

    @property
    def breakpoints(self) -> Breakpoints: ...

    def go(self) -> None: ...

    def break_in(self, *, timeout: float) -> Stopped: ...


def release(debugger: _Releasable, talk: Conversation, *, timeout: float, crashed: bool) -> Release:
    """Leave the target running; how it was left. Never raises for a dead target.

    The proof: the target breaks in and continues, and its interrupt time is compared with an earlier one. It
    was running when this is called, or it is continued first.
    """
    deadline = talk.deadline = monotonic() + timeout
    if not talk.sessions and not talk.heard:
        return Release(None, "no target was ever connected")
    if crashed:
        return _release_crashed(debugger, talk, min(timeout, _DUMP_SECONDS))
    try:
        if talk.halt is None:
            debugger.break_in(timeout=max(deadline - monotonic(), _LEAST) / 2)
        before = _interrupt_time(debugger)
        debugger.breakpoints.clear_all()
        debugger.go()
        debugger.break_in(timeout=max(deadline - monotonic(), _LEAST))
        after = _interrupt_time(debugger)
        debugger.go()
    except (RigError, UsageError) as error:
        running = None if talk.halt is None else False
        return Release(running, f"it could not be proved: {error.message}")
    if before is not None and after is not None and after > before:
        return Release(True, f"it broke in and continued, its clock moved by {(after - before) / 10:.0f} us")
    return Release(True, "it continued, broke in and continued again")


def _release_crashed(debugger: _Releasable, talk: Conversation, patience: float) -> Release:
    reboots = talk.reboots
    try:
        if talk.halt is not None:
            debugger.go()
        if talk.wait(lambda: talk.reboots > reboots, patience):
            return Release(False, "it bugchecked and said that it reboots")
    except (RigError, UsageError) as error:
        return Release(False, f"it bugchecked, and did not take a continue: {error.message}")
    return Release(False, "it bugchecked; it was let go to write its dump and reboot")


def _interrupt_time(debugger: _Releasable) -> int | None:
    try:
        return debugger.memory.interrupt_time()
    except UnreadableMemory:
        return None
