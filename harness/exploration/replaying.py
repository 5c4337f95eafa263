"""Plays a run back, and holds it to what was recorded of it."""

from __future__ import annotations

from dataclasses import replace

import harness
from harness.errors import InternalError
from harness.exploration.replayfile import ReplayFile, require_same
from harness.runs.result import RunResult
from harness.runs.rig import Rig
from harness.runs.runner import run_scenario
from harness.scenario import Scenario
from harness.virtual.dispatcher.schedule import RecordingPolicy, difference

__all__ = ["play_back", "replaying_rig", "require_repeated"]


def replaying_rig(rig: Rig, replay: ReplayFile) -> Rig:
    """A rig that boots as the replay file says and plays its schedule back."""
    machine = replay.machine
    return replace(
        rig,
        policy=None,
        processors=machine.processors,
        print_masks=machine.print_masks,
        witness=replay.witness,
        strict=replay.strict,
        choices=replay.schedule.choices,
        scheduling=RecordingPolicy,
    )


def play_back(rig: Rig, replay: ReplayFile, scenario: Scenario) -> RunResult:
    """Do the run of the replay file again.

    :param rig: with the drivers; what else it says is the replay file's to say.
    :param scenario: :func:`~harness.exploration.replayfile.scenario_of` the file, or the same from another.
    :raises UsageError: a driver or something else is not the one of the replay file.
    :raises InternalError: the run did not repeat.
    """
    require_same(replay, rig, scenario)
    result = run_scenario(replaying_rig(rig, replay), scenario, seed=replay.machine.seed)
    require_repeated(replay, result)
    return result


def require_repeated(replay: ReplayFile, result: RunResult) -> None:
    """Hold a run that was played back to the replay file.

    :raises InternalError: it is another run, with the first place where the schedules differ.
    """
    departed = "" if result.schedule is None else difference(replay.schedule, result.schedule)
    if not departed and result.events_sha256 != replay.found.sha256:
        departed = (
            f"recorded a trace of {replay.found.events} events and SHA-256 {replay.found.sha256}, now"
            f" {result.events} events and {result.events_sha256}"
        )
    if departed:
        other = replay.procnotify != harness.__version__
        raise InternalError(
            f"the run of {replay.scenario.file} (seed {replay.machine.seed}) did not repeat: {departed}",
            hint=f"the replay is of procnotify {replay.procnotify}, this is {harness.__version__}"
            if other
            else "this is a fault of procnotify: please report it with the replay file",
        )
