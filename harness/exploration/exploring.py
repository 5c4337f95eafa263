"""Explores the interleavings of a scenario: many schedules, what fails, and the fewest preemptions for it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.errors import InternalError
from harness.exploration.enumerating import Choices, extensions
from harness.exploration.journal import Journal
from harness.exploration.shrinking import shrink
from harness.exploration.trials import ScheduleTrial, TrialRecord
from harness.exploration.watching import MAX_DECISIONS, Anchor, Encounter
from harness.outcome import Outcome, worst
from harness.virtual.dispatcher.policies import with_estimates
from harness.virtual.dispatcher.schedule import difference

__all__ = ["EXHAUSTIVE", "Baseline", "Exploration", "Explorer", "FoundFailure", "Plan", "RunTrials"]

EXHAUSTIVE: Final = "exhaustive"
"""The policy's name with which every schedule up to a number of preemptions is run."""
RANDOM: Final = "random"
"""The naive policy that others are held against."""
MAX_CAUSES: Final = 20
"""So many causes are shrunk and written down; of the others there is the count alone."""

RunTrials = Callable[[Iterable[ScheduleTrial]], Iterator[TrialRecord]]
"""Does runs, and gives what came of them in their order."""


@dataclass(frozen=True)
class Plan:
    """What is to be explored."""

    seeds: range
    policy: str
    """See :func:`harness.virtual.dispatcher.policies.check_policy`, or :data:`EXHAUSTIVE`."""
    preemptions: int = 2
    """Of the exhaustive policy: at most so many in a schedule."""
    schedules: int = 100_000
    """Of the same: at most so many in all."""
    fail_fast: bool = False
    """Look for no more once one has failed."""
    shrink: bool = True
    """Find the fewest preemptions of each failure."""


@dataclass
class FoundFailure:
    """Runs that failed for one cause."""

    cause: str
    first: TrialRecord
    """The first of them."""
    number: int
    """Which run that was, from 1."""
    fewest: TrialRecord
    """The one with the fewest preemptions, which is shrunk."""
    count: int = 1
    shrunk: TrialRecord | None = None
    """A run that fails for the same cause with the fewest preemptions that were found; None: it was not
    looked for."""

    @property
    def smallest(self) -> TrialRecord:
        """The one to look at."""
        return self.shrunk or self.first


@dataclass(frozen=True)
class Baseline:
    """How soon the naive random policy finds a failure of the first cause."""

    schedules: int
    """How many it ran."""
    found: bool


@dataclass
class Exploration:
    """What was found."""

    policy: str
    """With what a trial run told it."""
    schedules: int = 0
    """How many were run."""
    outcomes: list[Outcome] = field(default_factory=list)
    """Each that came, once."""
    orders: Counter[str] = field(default_factory=Counter)
    """Digest of an order → in how many runs it was seen."""
    encounters: set[Encounter] = field(default_factory=set)
    failures: dict[str, FoundFailure] = field(default_factory=dict)
    """By cause."""
    failed: int = 0
    """How many runs failed."""
    baseline: Baseline | None = None
    complete: bool = False
    """Every schedule that was to be run was run."""
    interrupted: bool = False

    @property
    def outcome(self) -> Outcome:
        """The one outcome that stands for all."""
        return worst(self.outcomes)

    @property
    def proved(self) -> bool:
        """Every schedule up to the bound was run, and held."""
        return self.policy == EXHAUSTIVE and self.complete and self.outcome is Outcome.PASSED


class Explorer:
    """Explores.

    :param run: does runs, perhaps several at a time.
    :param journal: has what an interrupted exploration found; gets what is found.
    :param told: called after each run, and in words with what it is for besides exploring.
    """

    def __init__(
        self,
        run: RunTrials,
        plan: Plan,
        *,
        journal: Journal | None = None,
        told: Callable[[Exploration, str], None] = lambda _exploration, _purpose: None,
    ) -> None:
        self._do = run
        self._plan = plan
        self._journal = journal
        self._told = told
        self.exploration = Exploration(plan.policy)

    def explore(self) -> Exploration:
        """All of it; Ctrl-C ends it, and what was found by then is the answer.

        :raises UsageError: the input turned out to be wrong.
        :raises InternalError: a schedule did not repeat.
        """
        found = self.exploration
        try:
            found.complete = self._enumerate() if self._plan.policy == EXHAUSTIVE else self._sample()
            for failure in self.worth_a_look():
                self._require_repeated(failure.first)
                if self._plan.shrink:
                    failure.shrunk = self._shrunk(failure)
            if found.failures and self._plan.policy != RANDOM:
                found.baseline = self._baseline()
        except KeyboardInterrupt:
            found.interrupted, found.complete = True, False
        return found

    def worth_a_look(self) -> list[FoundFailure]:
        """The failures that are the driver's; at most :data:`MAX_CAUSES`."""
        failures = (one for one in self.exploration.failures.values() if one.first.fault)
        return list(itertools.islice(failures, MAX_CAUSES))

    def _sample(self) -> bool:
        plan, found = self._plan, self.exploration
        (alone,) = self._do([ScheduleTrial(plan.seeds.start, "default")])
        found.policy = with_estimates(plan.policy, decisions=len(alone.decisions), events=alone.threads)
        found.encounters.update(alone.encounters)  # whoever did it does not tell of them again
        for _record in self._run(ScheduleTrial(seed, found.policy) for seed in plan.seeds):
            if plan.fail_fast and found.failed:
                return False
        return True

    def _enumerate(self) -> bool:
        plan, found = self._plan, self.exploration
        remembered = True
        for seed in plan.seeds:
            level: list[Choices] = [()]
            for depth in range(plan.preemptions + 1):
                further: list[Choices] = []
                room = plan.schedules - found.schedules
                for record in self._run(ScheduleTrial(seed, choices=choices) for choices in level[:room]):
                    if plan.fail_fast and found.failed:
                        return False
                    if depth < plan.preemptions:
                        remembered = remembered and len(record.decisions) < MAX_DECISIONS
                    if depth < plan.preemptions and len(further) <= plan.schedules:
                        further += extensions(record.choices or (), record.decisions)
                if len(level) > room:
                    return False
                level = further
        return remembered

    def _run(self, trials: Iterable[ScheduleTrial]) -> Iterator[TrialRecord]:
        """Do those that the journal does not know, and take down all."""
        known = {} if self._journal is None else self._journal.known
        mine, others = itertools.tee(trials)
        new = self._do(trial for trial in others if (trial.seed, trial.choices) not in known)
        for trial in mine:
            record = known.get((trial.seed, trial.choices))
            if record is None:
                record = next(new)
                if self._journal is not None:
                    self._journal.note(record)
            self._take(record)
            yield record

    def _take(self, record: TrialRecord) -> None:
        found = self.exploration
        found.schedules += 1
        found.orders[record.order] += 1
        found.encounters.update(record.encounters)
        if record.outcome not in found.outcomes:
            found.outcomes.append(record.outcome)
        if record.failed:
            found.failed += 1
            failure = found.failures.get(record.cause)
            if failure is None:
                found.failures[record.cause] = FoundFailure(record.cause, record, found.schedules, record)
            else:
                failure.count += 1
                if record.preemptions < failure.fewest.preemptions:
                    failure.fewest = record
        self._told(found, "")

    def _require_repeated(self, record: TrialRecord) -> None:
        schedule = record.schedule
        assert schedule is not None, "of a run that failed it is kept"
        (again,) = self._do([ScheduleTrial(record.seed, choices=tuple(sorted(schedule.choices.items())))])
        departed = "recorded a failure, now it passes"
        if again.schedule is not None:
            departed = difference(schedule, again.schedule)
        if not departed and again.reason != record.reason:
            departed = f"recorded {record.reason}, now {again.reason}"
        if departed:
            raise InternalError(
                f"a schedule of seed {record.seed} did not repeat: {departed}",
                hint="this is a fault of procnotify: please report it",
            )

    def _shrunk(self, failure: FoundFailure) -> TrialRecord:
        """The run with the fewest preemptions that were found to fail for the same cause."""
        smallest = start = failure.fewest

        runs = itertools.count(1)

        def fails(anchors: Sequence[Anchor]) -> bool:
            nonlocal smallest
            (record,) = self._do([ScheduleTrial(start.seed, anchors=tuple(anchors))])
            self._told(self.exploration, f"shrinking a failure of seed {start.seed}, run {next(runs)}")
            same = record.failed and record.cause == failure.cause
            if same and len(record.anchors) < len(smallest.anchors):
                smallest = record
            return same

        shrink(start.anchors, fails)
        if smallest is not failure.first:
            self._require_repeated(smallest)
        return smallest

    def _baseline(self) -> Baseline:
        """Over the same seeds; over as many as there were schedules, of the exhaustive policy."""
        plan, found = self._plan, self.exploration
        causes = set(found.failures)
        seeds = plan.seeds
        if plan.policy == EXHAUSTIVE:
            seeds = range(plan.seeds.start, plan.seeds.start + found.schedules)
        for number, record in enumerate(self._do(ScheduleTrial(seed, RANDOM) for seed in seeds), start=1):
            self._told(found, f"the random policy for comparison, schedule {number} of {len(seeds)}")
            if record.cause in causes:
                return Baseline(number, found=True)
        return Baseline(len(seeds), found=False)
