"""The live half of a run: boot, attach, load the driver, do the steps, unload, let the target go.

What comes out is a trace file that grows line by line and the same events in memory, the names that the steps
bound, and how the target was left. Nothing is judged here.
"""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import harness
from harness.actions import FieldType
from harness.debuggers.base import Debugger, Release, TargetInfo
from harness.debuggers.stops import unhandled_exception
from harness.errors import ConnectionFailed, DriverBugcheck, TargetLost
from harness.events import Event
from harness.files import cannot_write
from harness.runs.livetarget import LiveTarget
from harness.runs.progress import EventCaptured, PhaseEntered
from harness.runs.rig import PROBE, Rig
from harness.runs.steps import Markers, StepRunner, loads_driver_itself, start_other_driver, stop_other_driver
from harness.scenario.model import ActorStep, RepeatSteps, Scenario, Step
from harness.trace.format import Header
from harness.trace.writer import TraceWriter

__all__ = ["Capture", "probe_names"]

ATTACH_SECONDS = 30.0
DETACH_SECONDS = 5.0


class Capture:
    """One scenario on one machine, heard by one debugger.

    :param seed: of the machine.
    """

    def __init__(self, rig: Rig, scenario: Scenario, seed: int) -> None:
        self._rig = rig
        self._scenario = scenario
        self._seed = seed
        self._markers = Markers()
        self._writer: TraceWriter | None = None
        self.events: list[Event] = []
        self.bindings: dict[str, int] = {}
        self.release: Release | None = None
        """How the target was left; None before a debugger had it."""

    @property
    def trace(self) -> Path | None:
        """The trace file, once it was begun."""
        return self._writer.path if self._writer is not None else None

    def run(self) -> None:
        """Everything from boot to release; the target is let go and the machine stopped on every way out.

        :raises ProcnotifyError: what went wrong, and whose fault it was.
        """
        rig = self._rig
        boot = rig.boot(self._seed, self._scenario.profile, self._scenario.policy)
        debugger = rig.open_debugger(str(boot.connection))
        rig.emit(PhaseEntered("boot"))
        if boot.connection.debugger_first:
            debugger.listen()
        live: LiveTarget | None = None
        try:
            rig.machine.start(boot)
            if not boot.connection.debugger_first:
                debugger.listen()
            rig.emit(PhaseEntered("attach"))
            info = self._attach(debugger)
            self._writer = self._begin_trace(debugger, info)
            debugger.go()
            drivers = [driver.file for driver in (rig.driver, *rig.other_drivers)]
            with LiveTarget(debugger, rig.machine, self._record, rig.watch, drivers) as live:
                try:
                    self._steps(live)
                finally:
                    live.finish()
        finally:
            rig.emit(PhaseEntered("release"))
            try:
                self.release = debugger.detach(timeout=DETACH_SECONDS)
                if live is not None:
                    live.finish_release(self.release)
            finally:
                rig.machine.stop()
        self._judge_release(self.release)

    def _judge_release(self, release: Release) -> None:
        """A run whose target did not outlive it has not passed, whatever its lines say."""
        if release.bugcheck is not None:
            crash = release.bugcheck
            raise DriverBugcheck(crash.code, crash.parameters, module=crash.module)
        for stop in release.stops:
            if not stop.first_chance:
                raise unhandled_exception(stop, None)
        if not release.running:
            raise TargetLost(f"the steps are done, but {release}")

    def finish(self, outcome: str, reason: str, *, complete: bool) -> None:
        """Write the trace's footer.

        :param outcome: how the run ended, in words.
        :param reason: why, in one line.
        :param complete: the capture came to its end.
        :raises TraceError: it cannot be written.
        """
        if self._writer is not None:
            self._writer.finish(
                complete=complete, outcome=outcome, reason=reason, bindings=self.bindings, ended=_now()
            )

    def _attach(self, debugger: Debugger) -> TargetInfo:
        try:
            return debugger.attach(timeout=ATTACH_SECONDS)
        except ConnectionFailed:
            self._rig.machine.status()  # a machine that died says so, which is the better reason
            raise

    def _begin_trace(self, debugger: Debugger, info: TargetInfo) -> TraceWriter:
        header = Header(
            scenario=self._scenario.name,
            machine=self._rig.machine.describe(),
            debugger=info.debugger_version,
            driver_sha256=self._rig.driver_sha256(),
            seed=self._seed,
            host={
                "procnotify": harness.__version__,
                "python": platform.python_version(),
                "system": platform.system(),
            },
            target=info.facts,
            started=_now(),
        )
        path = self._rig.traces.new_trace(self._scenario.path, self._seed)
        try:
            return TraceWriter(path, header)
        except OSError as error:
            raise cannot_write(path, error, hint="choose another --trace-dir") from None

    def _record(self, event: Event) -> None:
        assert self._writer is not None
        self.events.append(event)
        self._markers.see(event)
        self._writer.write((event,))
        self._rig.emit(EventCaptured(event))

    def _steps(self, live: LiveTarget) -> None:
        rig, guest = self._rig, self._rig.machine.guest()
        steps = StepRunner(
            self._scenario,
            live,
            guest,
            rig.driver,
            self._markers,
            rig.subscribers,
            action_seconds=2 * rig.watch.printing,
        )
        self.bindings = steps.bindings
        files = {"actor.exe": rig.files.actor, "probe.dll": rig.files.probe}
        files |= dict.fromkeys(probe_names(self._scenario.steps), rig.files.probe)
        for name, data in files.items():
            steps.paths[name] = live.call(f"storing {name}", partial(guest.put, name, data))
        for other in rig.other_drivers:
            start_other_driver(live, guest, other)
        explicit = loads_driver_itself(self._scenario.steps)
        if not explicit:
            rig.emit(PhaseEntered("load"))
            steps.load_driver()
        rig.emit(PhaseEntered("steps"))
        steps.run()
        if not explicit:
            rig.emit(PhaseEntered("unload"))
            steps.unload_driver()
        for other in reversed(rig.other_drivers):
            stop_other_driver(live, guest, other)
        steps.synchronise()


def probe_names(steps: tuple[Step, ...]) -> set[str]:
    """The copies of ``probe.dll`` that these steps want; see :data:`harness.runs.rig.PROBE`."""
    names: set[str] = set()
    for step in steps:
        match step:
            case RepeatSteps():
                names |= probe_names(step.steps)
            case ActorStep():
                libraries = (str(name) for name in step.values_of(FieldType.LIBRARY))
                names.update(name for name in libraries if PROBE.fullmatch(name))
    return names


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
