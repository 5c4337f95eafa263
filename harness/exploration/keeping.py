"""Replay files of what an exploration found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.errors import InternalError
from harness.exploration.exploring import FoundFailure
from harness.exploration.replayfile import SUFFIX, replay_of, write_replay
from harness.runs.rig import Rig
from harness.runs.runner import run_scenario
from harness.scenario import Scenario
from harness.virtual.dispatcher.schedule import RecordingPolicy, difference

__all__ = ["keep_replay"]


def keep_replay(
    rig: Rig,
    scenario: Scenario,
    text: str,
    failure: FoundFailure,
    folder: Path,
    *,
    policy: str,
    without_rules: frozenset[str],
) -> Path:
    """Do the smallest run of a failure once more, and write its replay file; its path.

    Its trace is kept as that of any run that failed; a replay file of an earlier exploration is replaced.

    :param text: of the scenario's file.
    :param policy: under which it was found.
    :param without_rules: standing rules that were switched off on the command line.
    :raises InternalError: it did not repeat.
    :raises ProcnotifyError: the file cannot be written.
    """
    smallest = failure.smallest
    assert smallest.schedule is not None, "of a run that failed it is kept"
    again = replace(
        rig, policy=None, choices=smallest.schedule.choices, scheduling=RecordingPolicy, subscribers=()
    )
    result = run_scenario(again, scenario, seed=smallest.seed)
    assert result.schedule is not None
    departed = difference(smallest.schedule, result.schedule)
    if departed:
        raise InternalError(
            f"a schedule of seed {smallest.seed} did not repeat in another process: {departed}",
            hint="this is a fault of procnotify: please report it",
        )
    path = folder / f"{scenario.path.stem}-{smallest.seed}-{failure.number}{SUFFIX}"
    replay = replay_of(rig, scenario, text, result, policy=policy, without_rules=without_rules)
    write_replay(path, replay)
    return path
