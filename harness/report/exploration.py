"""What an exploration found, in lines for people and as JSON has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from harness.exploration.exploring import EXHAUSTIVE, Exploration, FoundFailure, Plan
from harness.exploration.trials import TrialRecord
from harness.order.result import Place
from harness.outcome import Outcome
from harness.report.ci.annotations import Annotation
from harness.report.place import place_named_in
from harness.report.text import one_line
from harness.scenario import Scenario
from harness.virtual.dispatcher.schedule import Preemption

__all__ = ["account_lines", "exploration_as_json", "failure_annotations"]

SHOWN: Final = 12
"""Of the preemptions of a failure so many are shown; the replay file has all."""


def account_lines(found: Exploration, plan: Plan, replays: Mapping[str, Path]) -> Iterator[str]:
    """In lines.

    :param replays: cause → replay file.
    """
    seeds = (
        f"seed {plan.seeds.start}" if len(plan.seeds) == 1 else f"seeds {plan.seeds.start}-{plan.seeds[-1]}"
    )
    yield f"{_count(found.schedules, 'schedule')} of {seeds} under {found.policy}{_how_far(found)}"
    once = sum(1 for times in found.orders.values() if times == 1)
    yield (
        f"{_count(len(found.orders), 'distinct order')} of the callbacks of the scenario's programs, {once}"
        f" of them seen once; {_count(len(found.encounters), 'ordered pair')} of conflicting accesses seen"
    )
    for failure in found.failures.values():
        yield from _failure_lines(failure, found, replays.get(failure.cause))
    if found.baseline is not None:
        ran = found.baseline.schedules
        yield (
            f"the naive random policy finds one of these with its schedule {ran}"
            if found.baseline.found
            else f"the naive random policy finds none of these in {_count(ran, 'schedule')}"
        )
    if plan.policy == EXHAUSTIVE:
        yield _verdict(found, plan)
    elif found.outcome is Outcome.SKIPPED:
        yield "nothing of the scenario could be judged in any of them"
    elif found.schedules and not found.failures:
        yield "none of them failed; that proves nothing of the schedules that were not run"


def failure_annotations(
    found: Exploration, scenario: Scenario, replays: Mapping[str, Path]
) -> list[Annotation]:
    """What a CI service shows of the failures, one a cause, at the line of the scenario.

    :param replays: cause → replay file.
    """
    return [
        Annotation.of(
            place_named_in(failure.first.reason, scenario.path) or Place(scenario.path, 1),
            f"{failure.first.outcome.words}: {scenario.name} (seed {failure.first.seed})",
            "\n".join(_failure_lines(failure, found, replays.get(failure.cause))),
        )
        for failure in found.failures.values()
    ]


def _how_far(found: Exploration) -> str:
    if found.interrupted:
        return "; interrupted"
    return "" if found.complete else "; not all that were asked for"


def _verdict(found: Exploration, plan: Plan) -> str:
    bound = f"with at most {_count(plan.preemptions, 'preemption')}"
    if found.proved:
        return f"all {found.schedules} schedules {bound} hold"
    if found.failed:
        return f"{found.failed} of {found.schedules} schedules {bound} fail"
    if found.complete:
        return f"of {found.schedules} schedules {bound} not all could be judged"
    return f"not proved: there are more schedules {bound} than the {found.schedules} that were run"


def _failure_lines(failure: FoundFailure, found: Exploration, replay: Path | None) -> Iterator[str]:
    first = failure.first
    luck = f"broken in {failure.count} of {found.schedules}"
    if first.outcome is Outcome.RIG:
        luck = f"the rig failed in {failure.count} of {found.schedules}"
    yield f"{luck}, first with seed {first.seed} (schedule {failure.number}): {one_line(first.reason)}"
    smallest = failure.smallest
    if failure.shrunk is not None:
        before = _count(failure.fewest.preemptions, "preemption")
        yield f"  shrunk from {before} to {smallest.preemptions}, of seed {smallest.seed}"
        if not smallest.preemptions:
            yield "  it fails without any preemption"
    for preemption in _preemptions(smallest)[:SHOWN]:
        yield (
            f"  step {preemption.step} ({preemption.point.replace('_', ' ')}): thread {preemption.thread}"
            f" lets thread {preemption.first} go first"
        )
    if len(_preemptions(smallest)) > SHOWN:
        yield f"  and {len(_preemptions(smallest)) - SHOWN} more"
    if replay is not None:
        yield f"  replay file: {one_line(str(replay))}"


def _preemptions(record: TrialRecord) -> tuple[Preemption, ...]:
    return () if record.schedule is None else record.schedule.preemptions


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def exploration_as_json(found: Exploration, plan: Plan, replays: Mapping[str, Path]) -> dict[str, object]:
    """As docs/json.md says."""
    baseline = found.baseline
    return {
        "policy": found.policy,
        "seeds": [plan.seeds.start, plan.seeds[-1]],
        "schedules": found.schedules,
        "complete": found.complete,
        "interrupted": found.interrupted,
        "preemptions": plan.preemptions if plan.policy == EXHAUSTIVE else None,
        "proved": found.proved,
        "failed": found.failed,
        "orders": {"distinct": len(found.orders), "once": list(found.orders.values()).count(1)},
        "encounters": len(found.encounters),
        "failures": [
            {
                "outcome": failure.first.outcome.words,
                "exit_code": int(failure.first.outcome),
                "reason": failure.first.reason,
                "count": failure.count,
                "first_seed": failure.first.seed,
                "first_schedule": failure.number,
                "preemptions": failure.first.preemptions,
                "shrunk_seed": None if failure.shrunk is None else failure.shrunk.seed,
                "shrunk_to": None if failure.shrunk is None else failure.shrunk.preemptions,
                "replay": replays.get(failure.cause),
            }
            for failure in found.failures.values()
        ],
        "baseline": None if baseline is None else {"schedules": baseline.schedules, "found": baseline.found},
    }
