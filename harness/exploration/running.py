"""Who does the runs of an exploration: processes of this computer, or the workers of a cluster."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Final

from harness.exploration.exploring import RunTrials
from harness.exploration.trials import (
    ScheduleTrial,
    TrialBatch,
    TrialRecord,
    do_trial,
    do_trials,
    forget_encounters,
)
from harness.runs.cluster import ClusterWorkers, cluster_workers
from harness.runs.rig import Rig
from harness.runs.workers import Workers
from harness.scenario import Scenario

__all__ = ["trials_here", "trials_on_cluster"]

BATCH: Final = 16
"""Runs that a worker of a cluster is given at a time."""


@contextmanager
def trials_here(rig: Rig, scenario: Scenario, *, cpus: int) -> Iterator[RunTrials]:
    """So many processes; of one it is this one."""
    if cpus == 1:
        forget_encounters()
        yield lambda trials: (do_trial(rig, (scenario,), trial) for trial in trials)
        return
    with Workers(rig, (scenario,), jobs=cpus) as workers:
        yield lambda trials: workers.map(do_trial, trials)


@contextmanager
def trials_on_cluster(rig: Rig, scenario: Scenario, *, address: str, exploration: str) -> Iterator[RunTrials]:
    """The workers of a Dask cluster; a run that is asked for alone is done here, where it waits for nobody.

    :param address: of the scheduler.
    :param exploration: what no other exploration of the cluster is called.
    :raises ClusterError: nobody answers there, or no worker has a machine.
    """
    with cluster_workers(address, rig, (scenario,), machine="virtual", debugger=None) as workers:

        def run(trials: Iterable[ScheduleTrial]) -> Iterator[TrialRecord]:
            waiting = iter(trials)
            first = tuple(itertools.islice(waiting, 2))
            if len(first) < 2:
                return (do_trial(rig, (scenario,), trial) for trial in first)
            return _on(workers, exploration, itertools.chain(first, waiting))

        yield run


def _on(workers: ClusterWorkers, exploration: str, trials: Iterator[ScheduleTrial]) -> Iterator[TrialRecord]:
    with closing(workers.map(do_trials, _batches(exploration, trials))) as answers:
        for records in answers:
            yield from records


def _batches(exploration: str, trials: Iterator[ScheduleTrial]) -> Iterator[TrialBatch]:
    while batch := tuple(itertools.islice(trials, BATCH)):
        yield TrialBatch(exploration, batch)
