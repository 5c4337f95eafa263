"""What every run does with its guest, whoever listens: files, drivers, steps; and how its trace begins."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import harness
from harness.actions import MAX_GUEST_FILE, FieldType
from harness.errors import UsageError
from harness.files import cannot_write, read_file
from harness.grammars import described
from harness.guests.base import Guest, RuleKeepingGuest
from harness.machines.base import LimitedMachine, Machine
from harness.runs.livetarget import Caller
from harness.runs.progress import PhaseEntered
from harness.runs.rig import PROBE, Rig
from harness.runs.sources import symbols_of
from harness.runs.steps import Markers, StepRunner, loads_driver_itself, start_other_driver, stop_other_driver
from harness.scenario.model import ActorStep, RepeatSteps, Scenario, Step
from harness.scenario.unreported import FACT, unreported_text
from harness.standingrules import BrokenRule
from harness.symbols import with_source
from harness.trace.format import Header
from harness.trace.writer import TraceWriter

__all__ = [
    "begin_trace",
    "broken_rules",
    "guest_files",
    "now_text",
    "perform",
    "probe_names",
    "step_runner",
]


def step_runner(rig: Rig, scenario: Scenario, caller: Caller, guest: Guest, markers: Markers) -> StepRunner:
    """Who does the scenario's steps; its bindings and notes are the run's."""
    return StepRunner(
        scenario,
        caller,
        guest,
        rig.driver,
        markers,
        rig.subscribers,
        action_seconds=2 * rig.watch.printing,
        undone=rig.undone,
    )


def perform(rig: Rig, scenario: Scenario, caller: Caller, guest: Guest, steps: StepRunner) -> None:
    """Store the files, load the drivers, do the steps, unload, and hear the last line.

    :raises ProcnotifyError: what went wrong, and whose fault it was.
    """
    files = {"actor.exe": rig.files.actor, "probe.dll": rig.files.probe}
    files |= dict.fromkeys(probe_names(scenario.steps), rig.files.probe)
    files |= {path.name: _guest_file(path) for path in guest_files(scenario.steps)}
    for name, data in files.items():
        steps.paths[name] = caller.call(f"storing {name}", partial(guest.put, name, data))
    for other in rig.other_drivers:
        start_other_driver(caller, guest, other)
    explicit = loads_driver_itself(scenario.steps)
    if not explicit:
        rig.emit(PhaseEntered("load"))
        steps.load_driver()
    rig.emit(PhaseEntered("steps"))
    steps.run()
    if not explicit:
        steps.close_devices()
        rig.emit(PhaseEntered("unload"))
        steps.unload_driver()
    for other in reversed(rig.other_drivers):
        stop_other_driver(caller, guest, other)
    steps.synchronise()


def broken_rules(rig: Rig, guest: Guest) -> list[BrokenRule]:
    """The standing rules that drivers have broken, with the functions and lines that are known; none of a
    guest that knows of none.

    :raises RigError: the guest does not answer any more.
    """
    if not isinstance(guest, RuleKeepingGuest):
        return []
    told = guest.broken_rules()
    symbols = symbols_of(rig.drivers)
    return [broken._replace(message=with_source(broken.message, symbols)) for broken in told]


def begin_trace(
    rig: Rig, scenario: Scenario, seed: int, *, debugger: str, target: Mapping[str, str], started: str
) -> TraceWriter:
    """The trace file of a run, with its header.

    :param debugger: name and version of who listened.
    :param target: what is known of the target itself.
    """
    header = Header(
        scenario=scenario.name,
        machine=_facts_of(rig.machine),
        debugger=debugger,
        driver_sha256=rig.driver_sha256(),
        other_drivers=rig.other_drivers_sha256(),
        lines=described(rig.grammar(scenario)),
        seed=seed,
        host={
            "procnotify": harness.__version__,
            "python": platform.python_version(),
            "system": platform.system(),
        },
        target=dict(target),
        started=started,
    )
    path = rig.traces.new_trace(scenario.path, seed)
    try:
        return TraceWriter(path, header)
    except OSError as error:
        raise cannot_write(path, error, hint="choose another --trace-dir") from None


def _facts_of(machine: Machine) -> dict[str, str]:
    facts = machine.describe()
    if isinstance(machine, LimitedMachine) and machine.unreported:
        facts[FACT] = unreported_text(machine.unreported)
    return facts


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


def guest_files(steps: tuple[Step, ...]) -> list[Path]:
    """The files of the host that these steps want in the guest, in their order."""
    found: dict[Path, None] = {}
    for step in steps:
        match step:
            case RepeatSteps():
                found |= dict.fromkeys(guest_files(step.steps))
            case ActorStep():
                found |= dict.fromkeys(Path(str(path)) for path in step.values_of(FieldType.FILE))
    return list(found)


def _guest_file(path: Path) -> bytes:
    try:
        return read_file(path, limit=MAX_GUEST_FILE)
    except OSError as error:
        raise UsageError(f"cannot read {path} for the guest: {error.strerror or error}") from None


def now_text() -> str:
    """The time, as traces have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
