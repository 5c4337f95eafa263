"""What a program that uses this package calls; :mod:`harness` offers it under its own name.

The command line, the pytest plugin and these functions are doors to the same rooms: what a call means, whose
fault an outcome is and what a trace holds does not depend on the door. A mistake of the caller (a scenario
that is wrong, a driver that is none) raises :class:`harness.errors.UsageError`; what goes wrong in a run is
in its result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from harness.debuggers import check_recorded_witness, debugger_factory
from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import InternalError, UsageError
from harness.events import Event, WitnessName
from harness.grammars import load_grammar
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.printmasks import parse_print_mask
from harness.recorder import Recorder, Recording
from harness.recording import Tape
from harness.runs.opening import open_rig
from harness.runs.progress import Progress
from harness.runs.runner import RunInterrupted
from harness.runs.scenarios import find_scenarios, load_scenarios
from harness.runs.series import Series, run_series
from harness.runs.trace_folder import through_latest
from harness.runs.watch import Watch
from harness.scenario import Scenario, load
from harness.standingrules import check_standing_rules
from harness.trace import sources
from harness.trace.sources import TraceSource
from harness.verdict.judge import Verdict
from harness.verdict.part import bound_by_hand
from harness.verdict.recording import judge_recording

__all__ = ["FilePath", "Recorded", "check", "load_scenario", "open_trace", "record", "run"]

FilePath: TypeAlias = str | PathLike[str]
"""The path of a file or a folder."""


def load_scenario(path: FilePath) -> Scenario:
    """The scenario in a file.

    :raises ScenarioError: it cannot be read or is wrong, with file and line.
    """
    return load(Path(path))


def run(
    scenarios: FilePath | Scenario | Iterable[FilePath | Scenario],
    *,
    driver: FilePath | None = None,
    other_drivers: Iterable[FilePath] = (),
    machine: str = "virtual",
    debugger: str = "native",
    connection: str | None = None,
    seed: int | None = None,
    repeat: int = 1,
    fail_fast: bool = False,
    policy: str | None = None,
    processors: int | None = None,
    print_masks: Mapping[str, int] | None = None,
    kdfiles: bool = False,
    lines: FilePath | Grammar | None = None,
    timeout: float = Watch.silence,
    step_timeout: float = Watch.printing,
    strict: bool = False,
    witness: WitnessName | None = None,
    without_rules: Iterable[str] = (),
    trace_dir: FilePath = "traces",
    on_progress: Callable[[Progress], None] | None = None,
) -> Series:
    """Run scenarios on a machine and check the order of the driver's events, as ``procnotify run`` does.

    :param scenarios: scenarios, scenario files, or folders with scenario files in and below them.
    :param driver: the .sys to test; None for the project's own, which is built where it is not yet.
    :param other_drivers: drivers that are loaded before it, in this order, and unloaded after it. One of them
        that does not load is a failure of the rig, not of the driver under test.
    :param machine: a name that ``procnotify run --machine`` takes.
    :param debugger: ``native``, ``pykd`` or ``ntoseye``; ``none``: the virtual target runs in this process.
    :param connection: where the debugger and the machine meet, as for WinDbg's ``-k``; None: the machine
        chooses.
    :param seed: of the first repetition; None for each scenario's own, or 1.
    :param repeat: run everything so often, with seed, seed+1, ...
    :param fail_fast: stop after the first run that does not pass.
    :param policy: who goes first in the virtual target where the order is open: ``default``,
        ``random``, ``urw``, ``pct`` or ``pos``; None for each scenario's own, or ``default``.
    :param processors: how many the virtual target has, 1 to 8; None for each scenario's own, or 2.
    :param print_masks: which debug prints pass: component → mask, ``{"DEFAULT": 0xF}`` for a plain DbgPrint;
        None for Windows' own choice, errors alone. It comes before a scenario's own.
    :param kdfiles: the target gets the drivers of its debugger, as by WinDbg's ``.kdfiles``, and not from its
        own disk; only with ``native`` and ``pykd``.
    :param lines: the grammar of the driver's lines, or its file; None for each scenario's own, or that of the
        project's driver.
    :param timeout: seconds after which a target that neither prints nor answers is lost.
    :param step_timeout: seconds of one step, besides what it sleeps, after which a driver that still prints
        hangs.
    :param strict: a promise that could not be judged, because neither the driver's lines nor the machine
        tell of it, is an error (:attr:`harness.outcome.Outcome.RIG`).
    :param witness: on whose events the order is checked: ``print``, the driver's lines, ``target``, what the
        virtual target saw of the callbacks that it called, or ``breakpoint``, what the debugger saw, which
        stops at them (only with ``native``); None for the lines where any reports a callback, else the
        target.
    :param without_rules: names of standing rules not to hold the driver to.
    :param trace_dir: where the folder with this call's traces is made.
    :param on_progress: called with what happens, on the thread of this call.
    :raises UsageError: a scenario, the driver file or an argument is wrong. Of several wrong scenarios the
        first is raised, with a note for each of the others. Where only a run finds it out, what came of the
        runs before was told to ``on_progress``.
    :raises RunInterrupted: Ctrl-C; the target was let go. It is a :class:`KeyboardInterrupt`.
    """
    rules_off = check_standing_rules(without_rules)
    wanted = [scenario.without_rules(rules_off) for scenario in _scenarios(scenarios)]
    if not wanted:
        raise UsageError("there is no scenario to run", hint="give scenario files, or folders of them")
    if repeat < 1:
        raise UsageError(f"repeat must be at least 1, not {repeat}")
    with open_rig(
        machine=machine,
        debugger=debugger,
        driver=Path(driver) if driver is not None else None,
        other_drivers=[Path(path) for path in other_drivers],
        trace_folder=Path(trace_dir),
        connection=connection,
        watch=Watch(silence=timeout, printing=step_timeout),
        policy=policy,
        processors=processors,
        print_masks=_checked_masks(print_masks or {}),
        kdfiles=kdfiles,
        lines=_grammar(lines),
        strict=strict,
        witness=witness,
        subscribers=(on_progress,) if on_progress is not None else (),
    ) as rig:
        series = run_series(rig, wanted, seed=seed, repeat=repeat, fail_fast=fail_fast)
    if series.interrupted is not None:
        raise RunInterrupted(series.interrupted)
    if series.refused is not None:
        raise series.refused
    return series


def _checked_masks(masks: Mapping[str, int]) -> dict[str, int]:
    try:
        return dict(parse_print_mask(f"{component}={mask}") for component, mask in masks.items())
    except ValueError as error:
        raise UsageError(f"print_masks: {error}") from None


def _scenarios(given: FilePath | Scenario | Iterable[FilePath | Scenario]) -> list[Scenario]:
    items = [given] if isinstance(given, Scenario | str | PathLike) else list(given)
    scenarios: list[Scenario] = []
    for item in items:
        if isinstance(item, Scenario):
            scenarios.append(item)
            continue
        loaded, errors = load_scenarios(find_scenarios([Path(item)]).scenarios)
        if errors:
            for other in errors[1:]:
                errors[0].add_note(str(other))
            raise errors[0]
        scenarios += loaded
    return scenarios


def open_trace(
    path: FilePath, *, lines: FilePath | Grammar | None = None, key: str | None = None
) -> TraceSource:
    """The recording in a file; iterate it, as often as wanted, for its events.

    :param lines: the grammar of the lines of a text log, or its file; None for that of the project's driver.
        A trace holds events, whatever is given here.
    :param key: of the KDNET session in a network capture, ``w.x.y.z``.
    :raises TraceError: the file cannot be read or is no trace.
    :raises UsageError: a network capture without its key.
    """
    session = None if key is None else Key.parse(key)
    return sources.open_trace(through_latest(Path(path)), _grammar(lines), session)


def _grammar(lines: FilePath | Grammar | None) -> Grammar | None:
    return lines if lines is None or isinstance(lines, Grammar) else load_grammar(Path(lines))


def check(
    trace: FilePath | TraceSource,
    scenario: FilePath | Scenario,
    *,
    lines: FilePath | Grammar | None = None,
    bind: Mapping[str, int] | None = None,
    first: str | None = None,
    last: str | None = None,
    partial: bool = False,
    strict: bool = False,
    witness: WitnessName | None = None,
    without_rules: Iterable[str] = (),
) -> Verdict:
    """Hold a recording to a scenario, as ``procnotify check`` does.

    :param lines: as for :func:`open_trace`; None for the scenario's own.
    :param bind: name → PID or TID, for names that no step bound when the trace was recorded.
    :param first: text of the line with which the part to be judged begins; None: the beginning.
    :param last: text of the line with which it ends; None: the end.
    :param partial: judge what there is of a recording that ended early or was cut off.
    :param strict: a promise that could not be judged is an error, as in :func:`run`.
    :param witness: on whose events the order is checked; None for those of the run that wrote the trace.
    :param without_rules: as for :func:`run`.
    :raises UsageError: the scenario is wrong, or names something that is not there.
    :raises TraceError: the trace cannot be read.
    """
    promised = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    promised = promised.without_rules(check_standing_rules(without_rules))
    source = open_trace(trace, lines=lines or promised.lines) if isinstance(trace, str | PathLike) else trace
    return judge_recording(
        source,
        promised,
        bind=_bound(bind),
        first=first,
        last=last,
        partial=partial,
        strict=strict,
        witness=witness,
    )


@dataclass(frozen=True)
class Recorded:
    """A recording that has ended."""

    verdict: Verdict
    """What it means: of the capture alone, or held to the scenario where one was given."""
    recording: Recording
    """How it ended, and how the target was left."""
    trace: Path | None
    """The trace that was written; None: none was asked for."""


def record(
    connection: str,
    *,
    duration: float | None = None,
    out: FilePath | None = None,
    scenario: FilePath | Scenario | None = None,
    lines: FilePath | Grammar | None = None,
    bind: Mapping[str, int] | None = None,
    first: str | None = None,
    last: str | None = None,
    strict: bool = False,
    witness: WitnessName = "print",
    debugger: str = "native",
    wait: float = 60.0,
    on_event: Callable[[Event], None] | None = None,
) -> Recorded:
    """Record what the driver of a target that is already there prints, as ``procnotify record`` does.

    :param connection: as for WinDbg's ``-k``.
    :param duration: seconds; None: until Ctrl-C, which is no error then.
    :param out: the trace to write; None: none.
    :param scenario: what to hold the recording to; None: nothing.
    :param lines: the grammar of the driver's lines, or its file; None for the scenario's own, or that of the
        project's driver.
    :param bind: as for :func:`check`; so are ``first``, ``last`` and ``strict``.
    :param witness: whose events are judged: ``print``, the driver's lines, or ``breakpoint``, what the
        debugger sees of the callbacks that are registered from now on; only with ``native``.
    :param debugger: ``native``, ``pykd`` or ``ntoseye``.
    :param wait: seconds to wait for the target.
    :param on_event: called with each event, on the thread of this call. What it raises ends the recording,
        and is raised here once the target was let go and the trace has its footer.
    :raises UsageError: an argument or the scenario is wrong.
    :raises RigError: no target came; what goes wrong after that is in the verdict.
    :raises KeyboardInterrupt: Ctrl-C before the target came.
    """
    if scenario is None and (bind or first is not None or last is not None or strict):
        raise UsageError("bind, first, last and strict are for a scenario", hint="give scenario= too")
    promised = load_scenario(scenario) if isinstance(scenario, str | PathLike) else scenario
    bindings = bound_by_hand(promised, _bound(bind)) if promised is not None else {}
    check_recorded_witness(witness, debugger)
    open_debugger = debugger_factory(debugger)
    if debugger == "native":
        # A reboot may take minutes in which nothing is heard, and is no failure here.
        open_debugger = partial(NativeDebugger, silence=None)
    grammar = _grammar(lines) or (promised.lines if promised is not None else None)
    path = Path(out) if out is not None else None
    show = on_event or (lambda event: None)
    with Tape(
        path, connection, keep=promised is not None, show=show, grammar=grammar, witness=witness
    ) as tape:
        recorder = Recorder(
            open_debugger(connection), tape.begin, tape.record, grammar, callbacks=witness == "breakpoint"
        )
        recording = recorder.run(attach_timeout=wait, duration=duration)
        if recording.interrupted and not tape.began:
            raise KeyboardInterrupt
        verdict = tape.finish(recording)
        if isinstance(recording.error, InternalError) and recording.error.__cause__ is not None:
            raise recording.error.__cause__
        if promised is not None:
            verdict = tape.check(
                promised, recording, bindings=bindings, first=first, last=last, strict=strict
            )
    return Recorded(verdict, recording, tape.trace)


def _bound(bind: Mapping[str, int] | None) -> list[str]:
    return [f"{name}={value}" for name, value in (bind or {}).items()]
