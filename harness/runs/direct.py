"""A run without a debugger: the target runs in this process, and its trace is written when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

import harness
from harness.debuggers.base import Release
from harness.events import Event, WitnessName
from harness.machines.base import DirectMachine, SeenCalls
from harness.outcome import NOT_FAILED
from harness.runs.directport import DirectPort
from harness.runs.performing import begin_trace, broken_rules, now_text, perform, step_runner
from harness.runs.progress import EventCaptured, PhaseEntered
from harness.runs.rig import KeptTraces, Rig
from harness.runs.steps import Markers
from harness.runs.witnesses import Sight, seen_calls
from harness.scenario import Scenario
from harness.virtual.dispatcher.schedule import Schedule

__all__ = ["DirectCapture"]


class DirectCapture:
    """One scenario on one machine that runs in this process.

    :param rig: without a debugger.
    :param seed: of the machine.
    """

    def __init__(self, rig: Rig, scenario: Scenario, seed: int) -> None:
        self._rig = rig
        self._scenario = scenario
        self._seed = seed
        self._markers = Markers()
        self._started = ""
        self._facts: Mapping[str, str] = {}
        self._schedule: Callable[[], Schedule] | None = None
        self.events: list[Event] = []
        self.bindings: dict[str, int] = {}
        self.notes: list[str] = []
        """What the steps left open, a line each."""
        self.calls: SeenCalls | None = None
        """What the target saw of the callbacks it called; None where it cannot tell."""
        self.witness: WitnessName = "print"
        """On whose events the order is checked."""
        self.release: Release | None = None
        """No debugger has the target."""
        self.trace: Path | None = None
        """The trace file, once it is written."""

    def run(self) -> None:
        """Everything from boot to the last line.

        :raises ProcnotifyError: what went wrong, and whose fault it was.
        """
        rig, machine = self._rig, self._rig.machine
        assert isinstance(machine, DirectMachine)
        rig.emit(PhaseEntered("boot"))
        self._started = now_text()
        port = DirectPort(self._record, rig.watch, rig.grammar(self._scenario), rig.interrupted)
        boot = machine.start_direct(rig.boot(self._seed, self._scenario), port)
        self._facts, self._schedule = boot.facts, boot.schedule
        port.attach(boot.kernel)
        steps = step_runner(rig, self._scenario, port, boot.guest, self._markers)
        self.bindings, self.notes = steps.bindings, steps.notes
        try:
            perform(rig, self._scenario, port, boot.guest, steps)
        finally:
            port.finish()
            port.record_broken_rules(broken_rules(rig, boot.guest))
            self.calls = seen_calls(machine, rig.driver.file)

    @property
    def schedule(self) -> Schedule | None:
        """What the policy has answered by now, where the rig keeps schedules."""
        return None if self._schedule is None else self._schedule()

    def take_sight(self, sight: Sight) -> None:
        """Let the witness be known to the trace, with what it saw behind what was captured."""
        self.witness = sight.witness
        for event in () if sight.calls is None else sight.calls.events:
            self._record(msgspec.structs.replace(event, index=len(self.events)))

    def finish(self, outcome: str, reason: str, *, complete: bool) -> None:
        """Write the trace, if those of such runs are kept.

        :param outcome: how the run ended, in words.
        :param reason: why, in one line.
        :param complete: the capture came to its end.
        :raises ProcnotifyError: it cannot be written.
        """
        rig = self._rig
        passed = outcome in NOT_FAILED
        if not self._facts or (passed and rig.keep_traces is KeptTraces.FAILED):
            return  # it never booted, or nobody wants it
        writer = begin_trace(
            rig,
            self._scenario,
            self._seed,
            debugger=f"none {harness.__version__}",
            target=self._facts,
            started=self._started,
        )
        self.trace = writer.path
        writer.write(self.events)
        writer.finish(
            complete=complete,
            outcome=outcome,
            reason=reason,
            bindings=self.bindings,
            witness=self.witness,
            hidden_prints=0 if self.calls is None else self.calls.hidden,
            ended=now_text(),
        )

    def _record(self, event: Event) -> None:
        self.events.append(event)
        self._markers.see(event)
        if self._rig.subscribers:
            self._rig.emit(EventCaptured(event))
