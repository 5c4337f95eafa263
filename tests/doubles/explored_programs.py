"""Explorations of small abstract programs: runs that cost nothing, with all that real ones are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from small_programs import Interleaving, Program, run

from harness.exploration.exploring import RunTrials
from harness.exploration.trials import ScheduleTrial, TrialRecord
from harness.exploration.watching import AnchoredPolicy, WatchingPolicy
from harness.outcome import Outcome
from harness.virtual.dispatcher.policies import make_policy
from harness.virtual.dispatcher.policy import Policy
from harness.virtual.dispatcher.schedule import ReplayPolicy

__all__ = ["runner", "tried"]


def tried(program: Program, trial: ScheduleTrial, fails: Callable[[Interleaving], bool]) -> TrialRecord:
    """One run; its order is the interleaving in words."""
    policy: Policy
    if trial.anchors is not None:
        policy = AnchoredPolicy(trial.anchors)
    elif trial.choices is not None:
        policy = ReplayPolicy(dict(trial.choices))
    else:
        policy = make_policy(trial.policy or "default", trial.seed)
    watching = WatchingPolicy(policy)
    order = run(program, watching)
    sights, failed = watching.sights(), fails(order)
    return TrialRecord(
        seed=trial.seed,
        choices=trial.choices,
        outcome=Outcome.BROKEN if failed else Outcome.PASSED,
        reason=f"it failed: {order}" if failed else "",
        cause="it failed" if failed else "",
        order=str(order),
        preemptions=len(sights.anchors),
        decisions=sights.decisions,
        threads=sights.events,
        encounters=tuple(sorted(sights.encounters)),
        schedule=watching.schedule() if failed else None,
        anchors=sights.anchors if failed else (),
    )


def runner(
    program: Program, fails: Callable[[Interleaving], bool] = lambda _order: False, *, most: int | None = None
) -> tuple[RunTrials, list[ScheduleTrial]]:
    """Who does the runs, and the list of those that were done.

    :param most: Ctrl-C comes instead of the run behind so many.
    """
    done: list[ScheduleTrial] = []

    def run_trials(trials: Iterable[ScheduleTrial]) -> Iterator[TrialRecord]:
        for trial in trials:
            if most is not None and len(done) >= most:
                raise KeyboardInterrupt
            done.append(trial)
            yield tried(program, trial, fails)

    return run_trials, done
