"""A run without a debugger: the target runs in this process, and its trace is written when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import harness
from harness.machines.base import DirectMachine
from harness.outcome import NOT_FAILED
from harness.runs.capture import Capture
from harness.runs.directport import DirectPort
from harness.runs.performing import begin_trace, broken_rules, now_text
from harness.runs.progress import PhaseEntered
from harness.runs.rig import KeptTraces, Rig
from harness.runs.witnesses import seen_calls
from harness.scenario import Scenario
from harness.virtual.dispatcher.schedule import Schedule

__all__ = ["DirectCapture"]


class DirectCapture(Capture):
    """One scenario on one machine that runs in this process.

    :param rig: without a debugger.
    :param seed: of the machine.
    """

    def __init__(self, rig: Rig, scenario: Scenario, seed: int) -> None:
        super().__init__(rig, scenario, seed)
        self._started = ""
        self._facts: Mapping[str, str] = {}
        self._schedule: Callable[[], Schedule] | None = None
        self._trace: Path | None = None

    @property
    def trace(self) -> Path | None:
        """The trace file, once it is written."""
        return self._trace

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
        try:
            self._perform(port, boot.guest)
        finally:
            port.finish()
            port.record_broken_rules(broken_rules(rig, boot.guest))
            self.calls = seen_calls(machine, rig.driver.file)

    @property
    def schedule(self) -> Schedule | None:
        """What the policy has answered by now, where the rig keeps schedules."""
        return None if self._schedule is None else self._schedule()

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
        self._trace = writer.path
        writer.write(self.events)
        self._write_footer(writer, outcome, reason, complete=complete)
