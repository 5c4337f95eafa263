"""The live half of a run: boot, attach, load the driver, do the steps, unload, let the target go.

What comes out is a trace file that grows line by line and the same events in memory, the names that the steps
bound, and how the target was left. Nothing is judged here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from harness.debuggers.base import CallbackDebugger, Debugger, FileServingDebugger, Release, TargetInfo
from harness.debuggers.stops import unhandled_exception
from harness.errors import ConnectionFailed, RigError, TargetLost
from harness.events import Event
from harness.files import cannot_write, patiently
from harness.machines.base import PreparedMachine, RecordingMachine
from harness.outcome import NOT_FAILED
from harness.runs.capture import Capture
from harness.runs.livetarget import LiveTarget, machine_says
from harness.runs.performing import begin_trace, broken_rules, now_text
from harness.runs.progress import PhaseEntered
from harness.runs.rig import KeptTraces, Rig
from harness.runs.serveddrivers import guest_of_served_drivers, map_drivers
from harness.runs.witnesses import seen_calls
from harness.scenario.model import Scenario
from harness.trace.writer import TraceWriter

__all__ = ["DebuggedCapture"]

ATTACH_SECONDS = 30.0
DETACH_SECONDS = 5.0


class DebuggedCapture(Capture):
    """One scenario on one machine, heard by one debugger.

    :param rig: with a debugger.
    :param seed: of the machine.
    """

    def __init__(self, rig: Rig, scenario: Scenario, seed: int) -> None:
        super().__init__(rig, scenario, seed)
        self._writer: TraceWriter | None = None

    @property
    def trace(self) -> Path | None:
        """The trace file, once it was begun."""
        return self._writer.path if self._writer is not None else None

    def run(self) -> None:
        """Everything from boot to release; the target is let go and the machine stopped on every way out.

        :raises ProcnotifyError: what went wrong, and whose fault it was.
        """
        rig = self._rig
        rig.emit(PhaseEntered("boot"))
        if isinstance(rig.machine, PreparedMachine):
            rig.machine.prepare()
        boot = rig.boot(self._seed, self._scenario)
        connection = boot.connection
        assert rig.open_debugger is not None and connection is not None
        debugger = rig.open_debugger(str(connection))
        if connection.debugger_first:
            debugger.listen()
        live: LiveTarget | None = None
        # A target that is lost anyhow is not waited for at length.
        patience = DETACH_SECONDS
        machines_word = ""
        try:
            rig.machine.start(boot)
            if not connection.debugger_first:
                debugger.listen()
            rig.emit(PhaseEntered("attach"))
            info = self._attach(debugger)
            self._writer = begin_trace(
                rig,
                self._scenario,
                self._seed,
                debugger=info.debugger_version,
                target=info.facts,
                started=now_text(),
            )
            if rig.witness == "breakpoint":
                assert isinstance(debugger, CallbackDebugger), f"{debugger.name} sees no callbacks"
                debugger.watch_callbacks()
            served: FileServingDebugger | None = None
            if rig.kdfiles:
                assert isinstance(debugger, FileServingDebugger), f"{debugger.name} hands out no files"
                served = debugger
                map_drivers(served, rig.drivers)
            debugger.go()
            drivers = [driver.file for driver in rig.drivers]
            grammar = rig.grammar(self._scenario)
            with LiveTarget(debugger, rig.machine, self._record, rig.watch, drivers, grammar) as live:
                try:
                    self._steps(live, served)
                except BaseException:
                    live.finish()
                    with contextlib.suppress(RigError):  # what befell the run is what is told
                        live.record_broken_rules(broken_rules(rig, rig.machine.guest()))
                    raise
                live.finish()
                live.record_broken_rules(broken_rules(rig, rig.machine.guest()))
            patience = max(DETACH_SECONDS, rig.watch.silence)
        finally:
            rig.emit(PhaseEntered("release"))
            try:
                self.release = debugger.detach(timeout=patience)
                if live is not None:
                    live.finish_release(self.release)
                    if live.interruption or not self.release.running:
                        machines_word = machine_says(rig.machine)
                    self.calls = seen_calls(rig.machine, rig.driver.file)
            finally:
                rig.machine.stop()
        self._judge_release(self.release, machines_word, interruption=live.interruption)

    def _judge_release(self, release: Release, machines_word: str, *, interruption: str) -> None:
        """A run whose target did not outlive it has not passed, whatever its lines say."""
        if release.bugcheck is not None:
            crash = release.bugcheck
            raise crash.error()
        for stop in release.stops:
            if not stop.first_chance:
                raise unhandled_exception(stop, None)
        if interruption:
            raise TargetLost(f"the steps are done, but {interruption} while it was released; {machines_word}")
        if not release.running:
            raise TargetLost(f"the steps are done, but {release}; {machines_word}")

    def finish(self, outcome: str, reason: str, *, complete: bool) -> None:
        """Write the trace's footer; of a run that passed take the trace away if only others are kept. Beside
        the trace of one that did not goes what the machine has to show.

        :param outcome: how the run ended, in words.
        :param reason: why, in one line.
        :param complete: the capture came to its end.
        :raises TraceError: it cannot be written.
        """
        if outcome not in NOT_FAILED and isinstance(self._rig.machine, RecordingMachine):
            self._keep(self._rig.machine.artifacts())
        if self._writer is None:
            return
        self._write_footer(self._writer, outcome, reason, complete=complete)
        if outcome in NOT_FAILED and self._rig.keep_traces is KeptTraces.FAILED:
            patiently(self._writer.path.unlink)
            self._writer = None

    def _keep(self, artifacts: Mapping[str, bytes]) -> None:
        """Write them as ``SCENARIO-SEED.NAME``."""
        if not artifacts:
            return
        trace = self.trace or self._rig.traces.new_trace(self._scenario.path, self._seed)
        for name, data in artifacts.items():
            path = trace.with_suffix(f".{name}")
            try:
                path.write_bytes(data)
            except OSError as error:
                raise cannot_write(path, error, hint="choose another --trace-dir") from None

    def _attach(self, debugger: Debugger) -> TargetInfo:
        try:
            return debugger.attach(timeout=ATTACH_SECONDS)
        except ConnectionFailed:
            self._rig.machine.status()  # a machine that died says so, which is the better reason
            raise

    def _record(self, event: Event) -> None:
        assert self._writer is not None
        self._writer.write((event,))
        super()._record(event)

    def _steps(self, live: LiveTarget, served: FileServingDebugger | None) -> None:
        guest = self._rig.machine.guest()
        if served is not None:
            guest = guest_of_served_drivers(guest, served.files, self._rig.drivers)
        self._perform(live, guest)
