"""Plays one run back in this process, to a position or to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, repeat
from typing import Final

import msgspec

from harness.errors import UsageError
from harness.events import Event, RuleBroken, kind_of
from harness.machines.base import BootOptions, DirectBoot, SeenCalls
from harness.machines.virtual import VirtualMachine
from harness.runs.progress import EventCaptured, Progress
from harness.runs.rig import Rig
from harness.runs.watch import Watch
from harness.timetravel.positions import PositionedPort, Traveller
from harness.virtual.callbackevents import callback_events
from harness.virtual.interfaces import DebugPort
from harness.virtual.kernel.kernel import Kernel

__all__ = ["MAX_EVENTS", "EventPosition", "Index", "Playback"]

MAX_EVENTS: Final = 250_000
"""Of a run that can be played back, some 300 bytes each."""
_ENDLESS: Final = Watch(printing=float("inf"))
"""A run stands still for as long as a debugger wants; what ends one that prints without end is the number of
its events."""
_NOT_TOLD: Final = frozenset({"index", "line", "witness", "call", "host_time", "seq", "time", "cpu"})


class EventPosition(msgspec.Struct, frozen=True, array_like=True):
    """Where a run stops for an event."""

    position: int
    kind: str
    line: str
    """The event's line, or what an event without one says, for people."""


class Index(msgspec.Struct, frozen=True, array_like=True):
    """What a run was, when it was played to its end."""

    places: list[EventPosition]
    """By event, as the trace numbers them."""
    digests: list[bytes]
    """By position, of all that the kernel told before; the last one is that of the end of the run."""

    @property
    def end(self) -> int:
        """The event that the run ended with: its bugcheck, else the last one."""
        kinds = [place.kind for place in self.places]
        return kinds.index("bugcheck") if "bugcheck" in kinds else len(kinds) - 1


class _PositionedMachine(VirtualMachine):
    """The virtual target, whose boots are played back.

    :param traveller: told where they are.
    """

    def __init__(self, traveller: Traveller) -> None:
        super().__init__()
        self._traveller = traveller
        self.port: PositionedPort | None = None
        self.kernel: Kernel | None = None

    def start_direct(self, boot: BootOptions, port: DebugPort) -> DirectBoot:
        """See :meth:`harness.machines.virtual.VirtualMachine.start_direct`."""
        self.port = PositionedPort(port, self._traveller)
        started = super().start_direct(boot, self.port)
        assert isinstance(started.kernel, Kernel)
        self.kernel = started.kernel
        self.port.attach(self.kernel)
        return started

    def calls(self, driver: str) -> SeenCalls:
        """See :meth:`harness.machines.base.WitnessingMachine.calls`: asked when the run is over."""
        assert self.port is not None
        self.port.end()
        return super().calls(driver)

    def positions_of_calls(self, driver: str) -> list[int]:
        """Where the events of :meth:`calls` are, in their order."""
        assert self.port is not None and self.kernel is not None
        entries = self.kernel.calls.entries()
        events = (len(callback_events([entry], driver)) for entry in entries)
        places = (repeat(self.port.position_of_entry(n), count) for n, count in enumerate(events))
        return list(chain.from_iterable(places))


class Playback:
    """A run, as often as it is wanted.

    :param rig: without a debugger, on the virtual target.
    :param run: does the run on the rig that it is handed, and judges it.
    """

    def __init__(self, rig: Rig, run: Callable[[Rig], object]) -> None:
        self._rig = rig
        self._run = run

    def play(self, traveller: Traveller) -> Index:
        """Play the run until ``traveller`` has the target, or to its end.

        :raises UsageError: it has no events, or more than :data:`MAX_EVENTS`.
        """
        machine = _PositionedMachine(traveller)
        places = _Positions(machine, self._rig.driver.file)
        try:
            self._run(
                replace(self._rig, machine=machine, watch=_ENDLESS, subscribers=(places.see,), retries=0)
            )
        finally:
            machine.close()
        if machine.port is None or not places.found:
            raise UsageError("the run has no events that it could be stopped before")
        return Index(places.found, machine.port.digests)


class _Positions:
    """Finds out where the events of a run are.

    :param driver: file name of the one under test.
    """

    def __init__(self, machine: _PositionedMachine, driver: str) -> None:
        self._machine = machine
        self._driver = driver
        self._calls: Iterator[int] | None = None
        self.found: list[EventPosition] = []

    def see(self, progress: Progress) -> None:
        """An event is in the trace."""
        if not isinstance(progress, EventCaptured):
            return
        if len(self.found) == MAX_EVENTS:
            raise UsageError(f"the run has more than {MAX_EVENTS} events", hint="let the scenario do less")
        event = progress.event
        self.found.append(
            EventPosition(self._position(event), kind_of(event), event.line or _in_words(event))
        )

    def _position(self, event: Event) -> int:
        port = self._machine.port
        assert port is not None
        if event.witness == "target":
            if self._calls is None:
                self._calls = iter(self._machine.positions_of_calls(self._driver))
            return next(self._calls)
        return port.position if isinstance(event, RuleBroken) else port.told_at


def _in_words(event: Event) -> str:
    """What an event without a line says."""
    fields = msgspec.structs.asdict(event)
    told = {name: fields[name] for name in fields if name not in _NOT_TOLD and fields[name] is not None}
    return " ".join(f"{name}={value}" for name, value in told.items())
