"""A run that is played back, with a debugger at it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any, Final

import msgspec

from harness.channel import JsonChannel
from harness.connection import Connection, free_connection
from harness.debuggers.base import Debugger, Release, Stopped
from harness.errors import ProcnotifyError, RigError, TargetLost, UsageError
from harness.runs.inspection import Inspection, inspect_target
from harness.timetravel.loading import Wanted
from harness.timetravel.playback import EventPosition

__all__ = ["PlayedBack", "Travelling", "Visit", "inspect_played_back"]

WHAT: Final = "the process that plays the run back"
ARGV: Final = (sys.executable, "-m", "harness.timetravel.process")
PLAY_SECONDS: Final = 600.0
"""For the run to be played to its end, the first time."""
ANSWER_SECONDS: Final = 10.0
ARRIVAL_SECONDS: Final = 60.0
"""From a visit to the stop, where the run is played from its beginning."""
_LOOK_SECONDS: Final = 0.2
"""Between two questions whether something went wrong on the way."""


class PlayedBack:
    """The process that plays a run back.

    :param wanted: which run.
    :param connection: where a debugger will listen.
    :raises UsageError: a file is wrong, or another one than in the replay file.
    :raises RigError: the run cannot be played, or did not repeat itself.
    """

    def __init__(self, wanted: Wanted, connection: Connection) -> None:
        self._channel = JsonChannel(ARGV, what=WHAT, lost=TargetLost, refused=_error)
        try:
            loaded = self._channel.call(
                "load",
                {"run": msgspec.to_builtins(wanted), "connection": str(connection), "hostip": "127.0.0.1"},
                timeout=PLAY_SECONDS,
            )
        except BaseException:
            self._channel.kill()
            raise
        self.events = int(loaded["events"])
        """How many the run has."""
        self.end = int(loaded["end"])
        """The one that it ended with: its bugcheck, else the last."""
        self.checkpoints = int(loaded["checkpoints"])
        """How many processes wait to play it from where they are."""

    @property
    def pid(self) -> int:
        """Of the process, and of the process group of those that play."""
        return self._channel.pid

    def __enter__(self) -> PlayedBack:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def go_to(self, event: int) -> EventPosition:
        """Stand before an event: at once where no debugger has the target yet, else once it lets it go.

        :param event: from 0 to :attr:`events` - 1.
        """
        answer = self._channel.call("visit", {"event": event}, timeout=ANSWER_SECONDS)
        return EventPosition(int(answer["position"]), str(answer["kind"]), str(answer["line"]))

    def arrival(self) -> str:
        """The fingerprint of memory and registers at the event, in hexadecimal; empty: it has not come there.

        :raises RigError: it never will.
        """
        return str(self._channel.call("arrival", {}, timeout=ANSWER_SECONDS)["fingerprint"])

    def leave(self) -> None:
        """Let the target, once the debugger lets it go, idle where it stands, as far as a debugger sees."""
        self._channel.call("leave", {}, timeout=ANSWER_SECONDS)

    def close(self) -> None:
        """End everything that plays. Idempotent."""
        self._channel.close()


class Visit(msgspec.Struct, frozen=True):
    """A stop before an event."""

    event: int
    kind: str
    line: str
    fingerprint: str
    """Digest of the target's memory and registers, in hexadecimal."""


class Travelling:
    """A debugger at a run that is played back, which stands before one of its events."""

    def __init__(self, played: PlayedBack, debugger: Debugger, inspection: Inspection, first: Visit) -> None:
        self.played = played
        """The run."""
        self._debugger = debugger
        self.inspection = inspection
        """The halted target."""
        self.visited = first
        """Where it stands."""

    def visit(self, event: int) -> Visit:
        """Go there, forward or back, whatever the debugger's commands did to the target meanwhile.

        :raises RigError: it does not come there.
        """
        place = self.played.go_to(event)
        self._debugger.go()
        deadline = monotonic() + ARRIVAL_SECONDS
        while not isinstance(self._debugger.receive(timeout=_LOOK_SECONDS), Stopped):
            self.played.arrival()
            if monotonic() > deadline:
                raise TargetLost(f"the target did not come to event {event} within {ARRIVAL_SECONDS:g} s")
        self.visited = Visit(event, place.kind, place.line, self.played.arrival())
        return self.visited


@contextmanager
def inspect_played_back(
    wanted: Wanted,
    open_debugger: Callable[[str], Debugger],
    first: Callable[[PlayedBack], int],
    *,
    timeout: float,
    released: Callable[[Release], None],
) -> Iterator[Travelling]:
    """Play a run back, stand before one of its events, and have a debugger attach there.

    :param open_debugger: takes a connection, as for WinDbg's ``-k``.
    :param first: says which event to stand before, of a run that was played once.
    :param timeout: seconds that the debugger waits for the target.
    :param released: told how the target was left, on every way out.
    """
    connection = free_connection()
    with PlayedBack(wanted, connection) as played:
        event = first(played)
        debugger = open_debugger(str(connection))
        place = played.go_to(event)
        with inspect_target(debugger, timeout=timeout, released=released) as inspection:
            try:
                visit = Visit(event, place.kind, place.line, played.arrival())
                yield Travelling(played, debugger, inspection, visit)
            finally:
                with suppress(ProcnotifyError):  # what ended it is told already
                    played.leave()


def _error(error: dict[str, Any], what: str) -> ProcnotifyError:
    kind = UsageError if error.get("kind") == "usage" else RigError
    return kind(str(error["message"]), hint=str(error.get("hint", "")))
