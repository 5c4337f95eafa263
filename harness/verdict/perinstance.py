"""A recording held to a scenario instance by instance: each launch by itself, each window by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from harness.actions import FieldType
from harness.errors import TraceError, UsageError
from harness.events import (
    Event,
    ImageLoad,
    Marker,
    ProcessCreate,
    ProcessExit,
    ThreadCreate,
    ThreadExit,
    WitnessName,
)
from harness.grammars import recorded_grammar
from harness.lines import Grammar
from harness.mining.instances import MAX_HELD, Instance
from harness.mining.selection import Selection
from harness.ntpaths import base_name
from harness.order.patterns import Value
from harness.order.result import Failure
from harness.outcome import Outcome, worst
from harness.scenario import Scenario
from harness.scenario.expect import patterns_of
from harness.scenario.model import ActorStep, Constraint, Pattern, Variable
from harness.scenario.rules import RULES
from harness.trace.sources import TraceSource
from harness.trace.witness import SeenBy, witness_of
from harness.verdict.instances import Instances
from harness.verdict.judge import Verdict, judge
from harness.verdict.observing import observation_of
from harness.verdict.part import bound_by_hand
from harness.verdict.recording import judge_recording
from harness.verdict.survey import Survey

__all__ = ["MAX_JUDGED", "InstanceVerdict", "PerInstance", "judge_instances"]

MAX_JUDGED: Final = 10_000
"""Instances of one recording that are judged one by one."""
_WITH_PID = (ProcessCreate, ProcessExit, ThreadCreate, ThreadExit, ImageLoad, Marker)


@dataclass(frozen=True)
class InstanceVerdict:
    """What became of one instance."""

    number: int
    """From 1, as the instances ended."""
    pid: int | None
    """Of its process; None: a window."""
    first: int
    """Index of its first event in the recording."""
    last: int
    verdict: Verdict
    """Lost lines and notes are the recording's."""


@dataclass(frozen=True)
class PerInstance:
    """What became of all."""

    recording: Verdict
    """Of what holds for the recording as a whole: the lifecycle rules, the standing rules, that no line is
    missing. Where it did not pass no instance was judged."""
    instances: tuple[InstanceVerdict, ...]
    found: Instances

    @property
    def outcome(self) -> Outcome:
        """The worst that happened."""
        if self.recording.outcome is not Outcome.PASSED:
            return self.recording.outcome
        return worst(each.verdict.outcome for each in self.instances)


@dataclass(frozen=True)
class _Window:
    number: int
    pid: int | None
    first: int
    last: int
    bindings: Mapping[str, int]
    members: frozenset[int]
    """The processes whose life the window is; empty: it is cut by lines."""


def judge_instances(
    source: TraceSource,
    scenario: Scenario,
    selection: Selection,
    *,
    grammar: Grammar | None = None,
    bind: Iterable[str] = (),
    strict: bool = False,
    witness: WitnessName | None = None,
) -> PerInstance:
    """Hold every instance of a recording to the order that ``scenario`` promises.

    The events of an instance are all from its first to its last, of other processes too. Of a process of the
    selected program the names are bound that the scenario's step binds which launches it: its PID, its first
    TID, and with ``by`` the PID of who created it. An instance is whole, however the recording ended.

    :raises UsageError: no instance, more than :data:`MAX_JUDGED`, or no one step launches the program.

    The other parameters are those of :func:`harness.verdict.recording.judge_recording`.
    """
    by_hand = bound_by_hand(scenario, bind)
    grammar = grammar or recorded_grammar(source.header.lines, source.path)
    launching = _launching(scenario, selection, by_hand)
    found = Instances(selection, grammar=grammar, witness=witness, partial=True)
    footer = source.footer
    recorded = {} if footer is None else footer.bindings
    windows: list[_Window] = []
    for instance in found.of(source):
        if len(windows) == MAX_JUDGED:
            raise UsageError(f"more than {MAX_JUDGED} instances of {selection}", hint="select less")
        names = {**recorded, **_names_of(instance, launching), **by_hand}
        window = _Window(
            len(windows) + 1, instance.pid, instance.first, instance.last, names, _members(instance)
        )
        windows.append(window)
    if not windows:
        raise UsageError(found.explain_none([source.path]), hint="see --select in docs/mining.md")
    whole = replace(scenario, expect=(), requires=(), observe=True)
    recording = judge_recording(source, whole, grammar=grammar, partial=True, strict=strict, witness=witness)
    if recording.outcome is not Outcome.PASSED:
        return PerInstance(recording, (), found)
    chosen = witness or witness_of(source.header, source.footer)
    seen = SeenBy(source, chosen)
    observation = observation_of(source, scenario, chosen, {**recorded, **by_hand}, grammar)
    observation.feed(seen)
    alone = replace(scenario, lifecycle_off=frozenset(RULES))  # the recording as a whole was held to them
    scoped = _scope_of_all(scenario)
    verdicts = []
    for window, events in _events_of(seen, windows):
        if scoped in window.bindings:  # no block looks at another process, and there may be many of them
            pid = window.bindings[scoped]
            events = [event for event in events if isinstance(event, _WITH_PID) and event.pid == pid]
        survey = Survey(grammar)
        survey.feed(events)
        verdict = judge(
            alone,
            events,
            window.bindings,
            survey=survey,
            observation=observation,
            strict=strict,
            witness=chosen,
        )
        # Lines are counted over the recording: the few that are an instance's say nothing of those between.
        verdict = replace(verdict, loss=recording.loss, notes=())
        verdict = _of_its_own(verdict, window.members)
        verdicts.append(InstanceVerdict(window.number, window.pid, window.first, window.last, verdict))
    return PerInstance(recording, tuple(verdicts), found)


def _members(instance: Instance) -> frozenset[int]:
    if instance.pid is None:
        return frozenset()
    pids = (event.pid for event in instance.events if isinstance(event, _WITH_PID))
    return frozenset(pid for pid in pids if pid is not None)


def _of_its_own(verdict: Verdict, members: frozenset[int]) -> Verdict:
    """The verdict without what only waits for an event of another process: the instance is over before that
    one need be, so that nothing proves that it never comes."""
    failures = () if verdict.check is None else verdict.check.failures
    if not members or verdict.outcome is not Outcome.BROKEN or not failures:
        return verdict
    certain = [failure for failure in failures if not _waits_for_another(failure, members)]
    if certain:
        return replace(verdict, reason=certain[0].reason)
    return replace(
        verdict,
        outcome=Outcome.RIG,
        reason=f"not judged: {failures[0].reason}",
        hint="it is an event of another process, which the end of the instance does not end: leave it out of "
        "the scenario, or judge the recording as a whole, without --select",
    )


def _waits_for_another(failure: Failure, members: frozenset[int]) -> bool:
    """Whether the order came to the end of the instance while it waited for an event of another process."""
    if not failure.waited or failure.stopped or failure.expectation is None or failure.place is None:
        return False
    lines = {failure.place.line, *(awaited.line for awaited in failure.explanation.awaited)}
    of = {
        _number(dict(pattern.fields).get("pid"), failure.explanation.bindings)
        for pattern in patterns_of(failure.expectation)
        if pattern.line in lines
    }
    return bool(of - {None} - members)


def _number(value: Constraint | None, bindings: Mapping[str, Value]) -> int | None:
    """The process ID that a pattern asks for; None: not one alone."""
    found = bindings.get(value.name) if isinstance(value, Variable) else value
    return found if isinstance(found, int) else None


def _scope_of_all(scenario: Scenario) -> str:
    """The variable to whose process every block confines itself; empty: there is none."""
    names = {
        value.name if isinstance(value := dict(pattern.fields).get("pid"), Variable) else ""
        for block in scenario.expect
        for pattern in block.scope or (Pattern(None, (), block.line),)
    }
    return names.pop() if len(names) == 1 else ""


def _launching(scenario: Scenario, selection: Selection, by_hand: Mapping[str, int]) -> ActorStep | None:
    """The step that starts the program of the instances; None: nothing is to be bound."""
    if selection.cut not in ("image", "tree") or not scenario.names():
        return None
    steps = [step for step in scenario.steps if isinstance(step, ActorStep) and _program(step)]
    fitting = [step for step in steps if _program(step) == selection.image]
    if len(fitting) == 1:
        return fitting[0]
    if by_hand:
        return None
    what = "no step" if not fitting else f"{len(fitting)} steps"
    raise UsageError(
        f"{what} of {scenario.path} outside of a repeat launch{'es' * (not fitting)} {selection.image}",
        hint="say what its names stand for with --bind, or take a scenario that launches it once",
    )


def _program(step: ActorStep) -> str:
    """Base name of the program that it starts; empty: it starts none."""
    if ("", "child_pid") not in step.action.binds:
        return ""
    programs = step.values_of(FieldType.PROGRAM, FieldType.FILE)
    return next((base_name(value).lower() for value in programs if isinstance(value, str)), "")


def _names_of(instance: Instance, launching: ActorStep | None) -> dict[str, int]:
    """What the step would have bound, had it launched this instance."""
    if launching is None or instance.pid is None:
        return {}
    made: dict[str, int] = {"child_pid": instance.pid}
    for event in instance.events:
        if isinstance(event, ThreadCreate) and event.pid == instance.pid:
            made["child_tid"] = event.tid
            break
    names = {name: made[what] for name, what in launching.names() if what in made}
    created = instance.events[0]
    if launching.by is not None and isinstance(created, ProcessCreate):
        creator = created.creating_pid if created.creating_pid is not None else created.parent_pid
        if creator is not None:
            names[launching.by] = creator
    return names


def _events_of(events: Iterable[Event], windows: Sequence[_Window]) -> Iterator[tuple[_Window, list[Event]]]:
    """The events of each window, in one pass; windows may overlap, and no more is held than they need.

    :raises TraceError: that is more than :data:`MAX_HELD` events.
    """
    by_end = sorted(windows, key=lambda window: (window.last, window.first))
    earliest = list(accumulate((window.first for window in reversed(by_end)), min))[::-1]
    held: deque[Event] = deque()
    place = 0
    for event in events:
        if place == len(by_end):
            return
        if event.index < earliest[place]:
            continue
        if len(held) == MAX_HELD:
            raise TraceError(f"an instance spans more than {MAX_HELD} events", hint="select what ends sooner")
        held.append(event)
        while place < len(by_end) and by_end[place].last == event.index:
            window = by_end[place]
            yield window, [each for each in held if each.index >= window.first]
            place += 1
            while held and (place == len(by_end) or held[0].index < earliest[place]):
                held.popleft()
