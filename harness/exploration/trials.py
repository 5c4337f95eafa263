"""One run of an exploration: what is asked of it, and what is kept of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit, kind_of
from harness.exploration.enumerating import Choices
from harness.exploration.watching import (
    NOTHING_SEEN,
    Anchor,
    AnchoredPolicy,
    Decision,
    Encounter,
    WatchingPolicy,
)
from harness.ntpaths import base_name
from harness.outcome import Outcome
from harness.runs.progress import EventCaptured, Progress
from harness.runs.result import RunResult
from harness.runs.rig import Rig
from harness.runs.runner import run_scenario
from harness.scenario import Scenario
from harness.verdict.causes import cause_of
from harness.virtual.dispatcher.policy import Policy
from harness.virtual.dispatcher.schedule import Schedule

__all__ = [
    "ScheduleTrial",
    "TrialBatch",
    "TrialRecord",
    "do_trial",
    "do_trials",
    "forget_encounters",
    "order_of",
]

_TOLD_OF: Final = (ProcessCreate, ProcessExit, ThreadCreate, ThreadExit, ImageLoad)


class ScheduleTrial(NamedTuple):
    """A run to be done."""

    seed: int
    policy: str | None = None
    """Who chooses, unless there are choices or anchors."""
    choices: Choices | None = None
    """Of a schedule that is played back."""
    anchors: tuple[Anchor, ...] | None = None
    """Preemptions that are played back by who did what."""


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a run."""

    seed: int
    choices: Choices | None = None
    """As in the trial."""
    outcome: Outcome
    reason: str = ""
    """Why it failed; empty when it did not."""
    cause: str = ""
    """The same, without what changes from run to run."""
    order: str
    """See :func:`order_of`."""
    preemptions: int
    """How many there were."""
    decisions: tuple[Decision, ...] = ()
    """Where others could have gone first."""
    threads: tuple[int, ...] = ()
    """Questions of each thread, in the order in which the threads were first seen."""
    encounters: tuple[Encounter, ...] = ()
    """Those that the process which did the run had not told of before."""
    schedule: Schedule | None = None
    """Of a run that failed."""
    anchors: tuple[Anchor, ...] = ()
    """Of the same."""

    @property
    def failed(self) -> bool:
        """It did not pass, and something was judged."""
        return self.outcome.failed

    @property
    def fault(self) -> bool:
        """It is the driver that failed."""
        return self.outcome in (Outcome.BROKEN, Outcome.BUGCHECK)


class TrialBatch(NamedTuple):
    """Runs to be done by whoever does those of other explorations, too."""

    exploration: str
    """Which this is; no two have the same."""
    trials: Sequence[ScheduleTrial]


_told: set[Encounter] = set()
"""Encounters that this process has told of."""
_told_in = ""
"""In which exploration."""


def do_trials(rig: Rig, scenarios: Sequence[Scenario], batch: TrialBatch) -> list[TrialRecord]:
    """Do them, one after the other, see :func:`do_trial`."""
    global _told_in
    if batch.exploration != _told_in:
        forget_encounters()
        _told_in = batch.exploration
    return [do_trial(rig, scenarios, trial) for trial in batch.trials]


def do_trial(rig: Rig, scenarios: Sequence[Scenario], trial: ScheduleTrial) -> TrialRecord:
    """Do the run of the first scenario.

    :raises UsageError: the input turned out to be wrong.
    :raises RunInterrupted: Ctrl-C.
    """
    events: list[Event] = []
    watching: list[WatchingPolicy] = []

    def scheduling(policy: Policy) -> WatchingPolicy:
        watching.append(WatchingPolicy(policy if trial.anchors is None else AnchoredPolicy(trial.anchors)))
        return watching[-1]

    def see(progress: Progress) -> None:
        if isinstance(progress, EventCaptured):
            events.append(progress.event)

    asked = replace(
        rig,
        policy=trial.policy or rig.policy,
        choices=None if trial.choices is None else dict(trial.choices),
        scheduling=scheduling,
        subscribers=(see,),
    )
    result = run_scenario(asked, scenarios[0], seed=trial.seed)
    sights = watching[-1].sights() if watching else NOTHING_SEEN  # it never booted
    failed = result.outcome.failed
    new = sights.encounters - _told
    _told.update(new)
    return TrialRecord(
        seed=trial.seed,
        choices=trial.choices,
        outcome=result.outcome,
        reason=result.reason,
        cause=_cause(result) if failed else "",
        order=order_of(events, result.bindings.values()),
        preemptions=len(sights.anchors),
        decisions=sights.decisions,
        threads=sights.events,
        encounters=tuple(sorted(new)),
        schedule=result.schedule if failed else None,
        anchors=sights.anchors if failed else (),
    )


def _cause(result: RunResult) -> str:
    """Of a broken standing rule it is the rule and whose it is: how often it was broken is luck."""
    if result.outcome is Outcome.BROKEN and result.broken_rules:
        return f"{result.broken_rules[0].rule}: {result.broken_rules[0].module}"
    return cause_of(result)[1]


def forget_encounters() -> None:
    """Tell of every encounter again: another exploration begins in this process."""
    _told.clear()


def order_of(events: Iterable[Event], pids: Iterable[int]) -> str:
    """A digest of the order in which the callbacks of some processes came, the same in runs that have other
    PIDs and TIDs.

    Processes and threads count in the order in which they first come; of an image its base name counts.

    :param pids: the processes that the steps began.
    """
    wanted = set(pids)
    roles: dict[tuple[str, int], int] = {}
    digest = hashlib.sha256()
    for event in events:
        if not isinstance(event, _TOLD_OF) or event.pid not in wanted:
            continue
        told = [kind_of(event), str(roles.setdefault(("pid", event.pid), len(roles)))]
        if isinstance(event, ThreadCreate | ThreadExit):
            told.append(str(roles.setdefault(("tid", event.tid), len(roles))))
        if isinstance(event, ImageLoad):
            told.append(base_name(event.image or "").lower())
        digest.update("\0".join(told).encode() + b"\n")
    return digest.hexdigest()
