"""Letting a target go, and proving that it runs. The same for every debugger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from time import monotonic
from typing import Final, Protocol

from harness.debuggers.base import (
    BugcheckSeen,
    CallbackSeen,
    Debugger,
    PrintReceived,
    Release,
    Stopped,
    TargetRebooted,
)
from harness.errors import DriverBugcheck, ProcnotifyError, RigError, UsageError
from harness.kd.status import STATUS_BREAKPOINT

__all__ = ["LEAST_SECONDS", "Releasable", "last_words", "release"]

LEAST_SECONDS: Final = 0.2
"""A target that answers at once is never taken for lost, however little time is left."""
_DUMP_SECONDS: Final = 1.0
"""How long a crashed target is heard on; its dump may take a minute, which is not waited for."""


class Releasable(Protocol):
    """What a debugger must be able to do to its target for it to be released."""

    @property
    def halted(self) -> bool:
        """The target stands still for this debugger."""

    def break_in(self, *, timeout: float) -> Stopped:
        """See :class:`harness.debuggers.base.Debugger`."""

    def go(self) -> None:
        """See :class:`harness.debuggers.base.Debugger`."""

    def clear_breakpoints(self) -> None:
        """Remove every breakpoint that this debugger set; the target is halted."""

    def interrupt_time(self) -> int | None:
        """The halted target's clock, 100 ns units; None where it cannot be read."""

    def let_go(self) -> None:
        """Continue for the last time; the target has acknowledged it on return."""

    def await_reboot(self, timeout: float) -> bool:
        """Whether the target says within ``timeout`` seconds that it reboots."""


def release(debugger: Releasable, *, timeout: float, crashed: bool) -> Release:
    """Leave the target running; how it was left. Never raises for a dead target.

    The proof: the target breaks in and continues, and its interrupt time is compared with an earlier one. It
    was running when this is called, or it is continued first.

    :param crashed: the target has bugchecked, and that was reported.
    """
    deadline = monotonic() + timeout
    if crashed:
        return _release_crashed(debugger, min(timeout, _DUMP_SECONDS))
    stops: list[Stopped] = []
    return replace(_prove(debugger, deadline, stops), stops=tuple(stops))


def _prove(debugger: Releasable, deadline: float, stops: list[Stopped]) -> Release:
    try:
        # Also when it is halted: for something that nobody has looked at yet, perhaps a bugcheck.
        stops += _halt(debugger, max(deadline - monotonic(), LEAST_SECONDS) / 2)
        before = debugger.interrupt_time()
        debugger.clear_breakpoints()
        debugger.go()
        stops += _halt(debugger, max(deadline - monotonic(), LEAST_SECONDS))
        after = debugger.interrupt_time()
        debugger.let_go()
    except DriverBugcheck as crash:
        return replace(_release_crashed(debugger, _DUMP_SECONDS), bugcheck=BugcheckSeen.of(crash))
    except (RigError, UsageError) as error:
        return Release(False if debugger.halted else None, f"it could not be proved: {error.message}")
    if before is None or after is None:
        return Release(True, "it continued, broke in and continued again; its clock cannot be read")
    if after <= before:
        return Release(None, f"it broke in and continued, but its clock stood still at {after}")
    return Release(True, f"it broke in and continued, its clock moved by {(after - before) / 10:.0f} us")


def _halt(debugger: Releasable, timeout: float) -> list[Stopped]:
    """Halt the target; what it stopped for, where that was not the break-in."""
    stop = debugger.break_in(timeout=timeout)
    return [] if stop.break_in or stop.code in (0, STATUS_BREAKPOINT) else [stop]


def last_words(debugger: Debugger) -> Iterator[PrintReceived | CallbackSeen | TargetRebooted]:
    """What came before the debugger was detached, and nobody has taken yet: the prints and the callbacks, and
    that the target was there anew without a word."""
    try:
        while (event := debugger.receive(timeout=0.0)) is not None:
            if isinstance(event, PrintReceived | CallbackSeen) or (
                isinstance(event, TargetRebooted) and event.announced is False
            ):
                yield event
    except ProcnotifyError:
        return  # the debugger is gone, and has nothing more to say


def _release_crashed(debugger: Releasable, patience: float) -> Release:
    try:
        if debugger.halted:
            debugger.go()
        if debugger.await_reboot(patience):
            return Release(False, "it said that it reboots", crashed=True)
    except (RigError, UsageError) as error:
        return Release(False, f"it did not take a continue: {error.message}", crashed=True)
    return Release(False, "it was let go to write its dump and reboot", crashed=True)
