"""Which run is to be played back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from harness.exploration.replayfile import read_replay, require_same, scenario_of
from harness.exploration.replaying import play_back
from harness.runs.opening import NO_DEBUGGER, open_rig
from harness.runs.rig import KeptTraces
from harness.timetravel.playback import Playback

__all__ = ["Wanted", "load_playback"]


class Wanted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a run is made of; paths are text."""

    replay: str
    """The replay file."""
    drivers: list[str]
    """The one under test last; none: the project's own."""
    checkpoints: bool = True
    """False: none are made, as where there is no fork."""


@contextmanager
def load_playback(wanted: Wanted) -> Iterator[Playback]:
    """The run, ready to be played.

    :raises UsageError: a file of it is wrong, or another one than in the replay file.
    """
    path = Path(wanted.replay)
    replay = read_replay(path)
    scenario = scenario_of(replay, path)
    drivers = [Path(driver) for driver in wanted.drivers]
    with (
        TemporaryDirectory(prefix="procnotify-") as folder,
        open_rig(
            machine="virtual",
            debugger=NO_DEBUGGER,
            driver=drivers[-1] if drivers else None,
            other_drivers=drivers[:-1],
            trace_folder=Path(folder),
            keep_traces=KeptTraces.FAILED,
        ) as rig,
    ):
        require_same(replay, rig, scenario)
        yield Playback(rig, lambda rig: play_back(rig, replay, scenario))
