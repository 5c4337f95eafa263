"""One execution of a scenario: captured, judged, and its trace closed with the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from time import monotonic

from harness.errors import DriverHang, MissingImport, ProcnotifyError, TraceError, UsageError
from harness.events import Event
from harness.internal import internal_error
from harness.machines.base import LimitedMachine
from harness.order import Observation
from harness.outcome import Outcome, worst
from harness.runs.capture import Capture
from harness.runs.debugged import DebuggedCapture
from harness.runs.direct import DirectCapture
from harness.runs.progress import PhaseEntered, RunFinished, RunRetried, RunStarted
from harness.runs.result import RunResult
from harness.runs.rig import Rig
from harness.runs.sources import symbols_of, with_all_names, with_sources
from harness.runs.witnesses import Sight, sight_of
from harness.scenario.model import Scenario
from harness.symbols import with_source
from harness.trace.format import events_sha256
from harness.trace.witness import SeenBy
from harness.verdict.agreement import hold_witnesses
from harness.verdict.ending import Ending
from harness.verdict.judge import Verdict, judge, survey_notes
from harness.verdict.survey import Survey
from harness.witness import Agreement

__all__ = ["DEFAULT_SEED", "RunInterrupted", "run_scenario", "seed_of"]

DEFAULT_SEED = 1


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a run; the target was let go and the trace so far is whole.

    :param result: what there is of a result, its trace file above all.
    """

    def __init__(self, result: RunResult) -> None:
        super().__init__(result.reason)
        self.result = result


def seed_of(scenario: Scenario, wanted: int | None) -> int:
    """The seed to use: the one asked for, else the scenario's own, else :data:`DEFAULT_SEED`."""
    if wanted is not None:
        return wanted
    return DEFAULT_SEED if scenario.seed is None else scenario.seed


def run_scenario(rig: Rig, scenario: Scenario, *, seed: int) -> RunResult:
    """Execute ``scenario`` and judge it; what goes wrong in it is in the result.

    Where the rig failed it is begun anew, at most ``rig.retries`` times. Neither the driver's faults nor
    broken promises are tried again: what happens now and then is what a test is for.

    :raises UsageError: the input turned out to be wrong.
    :raises RunInterrupted: Ctrl-C.
    """
    given_up: list[RunResult] = []
    while _is_to_be_begun_anew(rig, result := _run_once(rig, scenario, seed)) and len(given_up) < rig.retries:
        given_up.append(result)
        rig.emit(RunRetried(result))
    if given_up:
        why = (f"retry {number}: {failed.reason}" for number, failed in enumerate(given_up, start=1))
        verdict = replace(result.verdict, notes=(*result.verdict.notes, *why))
        result = replace(result, retries=len(given_up), verdict=verdict)
    rig.emit(RunFinished(result))
    return result


def _is_to_be_begun_anew(rig: Rig, result: RunResult) -> bool:
    """The rig failed: what the driver's lines do not tell (``rig.strict``) they would not tell again."""
    return result.outcome is Outcome.RIG and not (rig.strict and result.not_judged)


def _run_once(rig: Rig, scenario: Scenario, seed: int) -> RunResult:
    rig.emit(RunStarted(scenario.name, scenario.path, seed, len(scenario.steps)))
    capture = (DirectCapture if rig.open_debugger is None else DebuggedCapture)(rig, scenario, seed)
    started = monotonic()
    repeatable = rig.scheduling is not None or rig.choices is not None

    def result(verdict: Verdict, footer: str, *, complete: bool) -> RunResult:
        try:
            capture.finish(footer, verdict.line, complete=complete)
        except ProcnotifyError as error:
            # A verdict whose trace is not whole cannot be looked into; it stands in the reason.
            reason = f"{error}; the verdict was: {verdict.outcome.words}"
            reason += f": {verdict.line}" if verdict.reason else ""
            verdict = replace(
                verdict, outcome=worst((verdict.outcome, Outcome.of(error))), reason=reason, hint=""
            )
        rig.traces.note(verdict.outcome)
        limits = (*_missing_imports(rig), *_uncalled(capture))
        return RunResult(
            scenario=scenario.name,
            path=scenario.path,
            seed=seed,
            verdict=replace(
                verdict,
                events=len(capture.events),
                witness=capture.witness,
                notes=(*capture.notes, *verdict.notes, *limits),
            ),
            limits=limits,
            seconds=monotonic() - started,
            trace=capture.trace,
            release=capture.release,
            bindings=dict(capture.bindings),
            schedule=capture.schedule if isinstance(capture, DirectCapture) else None,
            events_sha256=events_sha256(capture.events) if repeatable else "",
        )

    try:
        verdict, complete = _verdict(rig, capture, scenario)
    except KeyboardInterrupt:
        reason = f"interrupted in {scenario.name} (seed {seed}) after {len(capture.events)} events"
        if capture.trace is not None:
            reason += f"; the trace so far is kept: {capture.trace}"
        interrupted = result(Verdict(Outcome.RIG, reason), "interrupted", complete=False)
        raise RunInterrupted(interrupted) from None
    except UsageError as error:
        rig.traces.note(Outcome.USAGE)
        capture.finish(Outcome.USAGE.words, error.message, complete=False)
        raise
    return result(verdict, verdict.outcome.words, complete=complete)


def _missing_imports(rig: Rig) -> Iterator[str]:
    for driver in rig.drivers:
        if driver.missing_imports:
            yield (
                f"{driver.file} imports what {rig.machine.name} lacks, and called none of it: "
                + ", ".join(driver.missing_imports)
            )


def _uncalled(capture: Capture) -> Sequence[str]:
    return () if capture.calls is None else capture.calls.uncalled


def _verdict(rig: Rig, capture: Capture, scenario: Scenario) -> tuple[Verdict, bool]:
    """The verdict, and whether the capture came to its end."""
    try:
        capture.run()
        rig.emit(PhaseEntered("check"))
        return _judged(rig, capture, scenario, None)
    except MissingImport as missing:
        raise with_sources(with_all_names(missing, rig.drivers), rig.drivers) from None
    except UsageError:
        raise
    except DriverHang as hang:
        ended: ProcnotifyError = with_sources(hang, rig.drivers)
    except ProcnotifyError as error:
        ended = error
    except Exception as error:  # noqa: BLE001  # what nobody foresaw is this run's result, and the rig's fault
        ended = internal_error(error)
    return _judged(rig, capture, scenario, Ending.of(ended))


def _judged(rig: Rig, capture: Capture, scenario: Scenario, ending: Ending | None) -> tuple[Verdict, bool]:
    """What the events of the witness mean, and whether the capture came to its end."""
    calls = capture.calls
    sight = sight_of(rig.witness, capture.events, calls)
    printed = Survey(rig.grammar(scenario))
    lines = capture.events if rig.witness != "breakpoint" else SeenBy(capture.events, "print")
    printed.feed(lines)
    told = (sight.note, *survey_notes(printed)) if sight.note else ()
    agreement = None if ending is not None else _agreement(rig, capture, lines, printed)
    if sight.calls is None and agreement is not None and agreement.findings:
        sight = sight._replace(calls=calls)  # whoever checks the trace is to find them, too
    try:
        capture.take_sight(sight)
    except TraceError as error:
        if ending is None:
            raise
        told = (*told, str(error))
    if ending is None and sight.witness == "target" and calls is not None and calls.beyond:
        ending = _not_remembered(calls.beyond)
    one_alone = sight.witness == "print" and sight.calls is None
    events = capture.events if one_alone else SeenBy(capture.events, sight.witness)
    verdict = judge(
        scenario,
        events,
        capture.bindings,
        survey=printed if sight.witness == "print" else None,
        observation=_observation(rig, scenario, events, sight) if ending is None else None,
        ending=ending,
        release=capture.release if ending is None else None,
        grammar=rig.grammar(scenario),
        strict=rig.strict,
        witness=sight.witness,
        agreement=agreement,
    )
    reason = verdict.reason
    if verdict.outcome is Outcome.BUGCHECK:
        reason = with_source(reason, symbols_of(rig.drivers))
    return replace(verdict, reason=reason, notes=(*told, *verdict.notes)), ending is None


def _agreement(rig: Rig, capture: Capture, lines: Iterable[Event], printed: Survey) -> Agreement | None:
    """How far the lines agree with what the target saw, where it can tell."""
    calls = capture.calls
    if calls is None:
        return None
    if calls.beyond:
        why = f"the target called {calls.beyond} callbacks more than it remembers"
        return Agreement(not_judged=(f"not judged: whether lines and calls agree: {why}",))
    return hold_witnesses(
        lines,
        calls.events,
        survey=printed,
        hidden=calls.hidden,
        alone=not rig.other_drivers,
        first_call=len(capture.events),
    )


def _observation(rig: Rig, scenario: Scenario, events: Iterable[Event], sight: Sight) -> Observation:
    machine = rig.machine
    unreported = machine.unreported if isinstance(machine, LimitedMachine) else ()
    return Observation.over(scenario, events, unreported, sight.witness, rig.grammar(scenario).kinds)


def _not_remembered(beyond: int) -> Ending:
    return Ending(
        Outcome.RIG,
        f"the target called {beyond} callbacks more than it remembers",
        "let the scenario do less, or judge the driver's lines: --witness print",
    )
