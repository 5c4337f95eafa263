"""What a run of a scenario has brought by now, whoever hears it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import msgspec

from harness.debuggers.base import Release
from harness.events import Event, WitnessName
from harness.guests.base import Guest
from harness.machines.base import SeenCalls
from harness.runs.livetarget import Caller
from harness.runs.performing import now_text, perform, step_runner
from harness.runs.progress import EventCaptured
from harness.runs.rig import Rig
from harness.runs.steps import Markers
from harness.runs.witnesses import Sight
from harness.scenario.model import Scenario
from harness.trace.writer import TraceWriter

__all__ = ["Capture"]


class Capture(ABC):
    """The events of one run of a scenario on one machine, and what is to be known beside them.

    :param seed: of the machine.
    """

    def __init__(self, rig: Rig, scenario: Scenario, seed: int) -> None:
        self._rig = rig
        self._scenario = scenario
        self._seed = seed
        self._markers = Markers()
        self.events: list[Event] = []
        self.bindings: dict[str, int] = {}
        self.notes: list[str] = []
        """What the steps left open, a line each."""
        self.calls: SeenCalls | None = None
        """What the target saw of the callbacks it called; None where it cannot tell."""
        self.witness: WitnessName = "print"
        """On whose events the order is checked."""
        self.release: Release | None = None
        """How the target was left; None before a debugger had it, or where none has it at all."""

    @property
    @abstractmethod
    def trace(self) -> Path | None:
        """The trace file, once there is one."""

    @abstractmethod
    def run(self) -> None:
        """Everything from boot to release.

        :raises ProcnotifyError: what went wrong, and whose fault it was.
        """

    @abstractmethod
    def finish(self, outcome: str, reason: str, *, complete: bool) -> None:
        """Bring the trace to its end, or away where nobody wants it.

        :param outcome: how the run ended, in words.
        :param reason: why, in one line.
        :param complete: the capture came to its end.
        :raises ProcnotifyError: it cannot be written.
        """

    def take_sight(self, sight: Sight) -> None:
        """Let the witness be known to the trace, with what it saw behind what was captured."""
        self.witness = sight.witness
        for event in () if sight.calls is None else sight.calls.events:
            self._record(msgspec.structs.replace(event, index=len(self.events)))

    def _record(self, event: Event) -> None:
        self.events.append(event)
        self._markers.see(event)
        if self._rig.subscribers:
            self._rig.emit(EventCaptured(event))

    def _perform(self, caller: Caller, guest: Guest) -> None:
        steps = step_runner(self._rig, self._scenario, caller, guest, self._markers)
        self.bindings, self.notes = steps.bindings, steps.notes
        perform(self._rig, self._scenario, caller, guest, steps)

    def _write_footer(self, writer: TraceWriter, outcome: str, reason: str, *, complete: bool) -> None:
        writer.finish(
            complete=complete,
            outcome=outcome,
            reason=reason,
            bindings=self.bindings,
            witness=self.witness,
            hidden_prints=0 if self.calls is None else self.calls.hidden,
            ended=now_text(),
        )
