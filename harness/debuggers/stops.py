"""What a stop is called, and whose it is to handle: the same for every debugger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.debuggers.base import Stopped
from harness.debuggers.images import ImagePlace
from harness.errors import DriverFault
from harness.events import Event
from harness.kd.status import (
    DBG_CONTINUE,
    DBG_EXCEPTION_NOT_HANDLED,
    STATUS_ACCESS_VIOLATION,
    STATUS_BREAKPOINT,
    STATUS_SINGLE_STEP,
)
from harness.lines import EventAssembler

__all__ = [
    "DEBUGGER_EXCEPTIONS",
    "MAX_STOPS_TOLD",
    "StopCount",
    "StopTally",
    "break_instruction",
    "command_stop",
    "continue_status",
    "exception_stop",
    "stop_events",
    "unhandled_exception",
]

DEBUGGER_EXCEPTIONS: Final = frozenset({STATUS_BREAKPOINT, STATUS_SINGLE_STEP})
"""The exceptions that exist for debuggers; every other one is the target's to handle."""


MAX_STOPS_TOLD: Final = 16
"""Different stops (by reason and address) of which each is told; of more only the number is."""


def continue_status(code: int) -> int:
    """What becomes of an exception (NTSTATUS ``code``; 0: the stop is none) when the target is let go."""
    return DBG_CONTINUE if code == 0 or code in DEBUGGER_EXCEPTIONS else DBG_EXCEPTION_NOT_HANDLED


def exception_stop(code: int, address: int, *, first_chance: bool, break_in: bool = False) -> Stopped:
    """The target is halted by an exception (NTSTATUS ``code``) at ``address``.

    :param break_in: it is the breakpoint that the debugger asked for.
    """
    chance = "first" if first_chance else "second"
    match code:
        case _ if break_in:
            reason = "break-in"
        case _ if code == STATUS_BREAKPOINT:
            reason = "break instruction"
        case _ if code == STATUS_SINGLE_STEP:
            reason = "single step"
        case _ if code == STATUS_ACCESS_VIOLATION:
            reason = f"access violation, {chance} chance"
        case _:
            reason = f"exception 0x{code:08x}, {chance} chance"
    return Stopped(reason, code, address, first_chance, break_in)


def command_stop(what: str, address: int) -> Stopped:
    """The target is halted because it wants the host to execute a debugger command.

    :param what: the command, or what is known of it.
    """
    return Stopped(f"the target wants the host to execute {what}", 0, address)


@dataclass(frozen=True)
class StopCount:
    """A stop, and how often the target made it."""

    stop: Stopped
    place: str
    """The image and offset of its address; empty where no image holds it."""
    count: int

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place else ""
        times = f", {self.count} times" if self.count > 1 else ""
        return f"{self.stop.reason} at 0x{self.stop.address:016x}{where}{times}"


class StopTally:
    """Counts stops; the same stop again is one that happened more often."""

    def __init__(self) -> None:
        self._counts: dict[Stopped, StopCount] = {}
        self._untold = 0

    def add(self, stop: Stopped, place: str = "") -> None:
        """The target stopped.

        :param place: the image and offset of its address.
        """
        known = self._counts.get(stop)
        if known is not None:
            self._counts[stop] = StopCount(stop, known.place, known.count + 1)
        elif len(self._counts) < MAX_STOPS_TOLD:
            self._counts[stop] = StopCount(stop, place, 1)
        else:
            self._untold += 1

    def __len__(self) -> int:
        return sum(stop.count for stop in self._counts.values()) + self._untold

    def __iter__(self) -> Iterator[StopCount]:
        """The different stops, the first first; at most :data:`MAX_STOPS_TOLD`."""
        return iter(self._counts.values())

    def lines(self) -> list[str]:
        """For people, one line for each different stop."""
        lines = [str(stop) for stop in self]
        if self._untold:
            lines.append(f"{self._untold} more stops at other places")
        return lines


def stop_events(assembler: EventAssembler, stop: Stopped, place: ImagePlace | None) -> list[Event]:
    """The events of a stop: the lines that were unfinished, then the stop itself.

    :param place: where it is among the loaded images; None: in none that is known.
    """
    image = place.image if place is not None else None
    return assembler.stop(stop.code, stop.address, first_chance=stop.first_chance, module=image)


def break_instruction(stop: Stopped, place: ImagePlace | None) -> DriverFault:
    """The error for a stop that only a debugger's own doing should cause."""
    where = f" ({place})" if place is not None else ""
    return DriverFault(
        f"the target stopped in the debugger: {stop.reason} (0x{stop.code:08x})"
        f" at 0x{stop.address:016x}{where}",
        hint="a driver under test must not break in",
    )


def unhandled_exception(stop: Stopped, place: ImagePlace | None) -> DriverFault:
    """The error for an exception that nothing in the target handled (its second chance)."""
    where = f" ({place})" if place is not None else ""
    return DriverFault(
        f"nothing in the target handled an exception: {stop.reason} (0x{stop.code:08x})"
        f" at 0x{stop.address:016x}{where}",
        hint="left alone, Windows bugchecks for it",
    )
