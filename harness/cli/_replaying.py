"""``procnotify run --replay``: one recorded run, done again bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import click

from harness.cli import INTERRUPTED
from harness.cli._options import given_beside, print_json
from harness.errors import ScenarioError, UsageError
from harness.exploration.replayfile import ReplayFile, read_replay, scenario_of, text_sha256
from harness.exploration.replaying import play_back
from harness.report.console import make_console
from harness.report.runs_json import result_as_json
from harness.report.terminal import TerminalReport
from harness.report.text import one_line
from harness.runs.opening import open_rig
from harness.runs.runner import RunInterrupted
from harness.runs.watch import Watch
from harness.yamlfile.nodes import Source
from harness.yamlfile.parse import read_text

__all__ = ["run_replay"]

_TAKEN: Final = frozenset(
    {"replay", "paths", "debugger", "drivers", "timeout", "step_timeout", "trace_dir", "quiet", "as_json"}
)
"""What can be said beside ``--replay``; everything else is in the file."""


def run_replay(
    path: Path,
    paths: Sequence[Path],
    *,
    debugger: str,
    drivers: Sequence[Path],
    watch: Watch,
    trace_dir: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Do the run of a replay file again; its exit code, which is what was found then.

    :param paths: at most one: the scenario's file, which is held to the one in the replay file.
    :raises UsageError: an option that contradicts the file, or something is not what was recorded.
    :raises InternalError: the run did not repeat.
    """
    other = given_beside(_TAKEN)
    if other is not None:
        raise UsageError(f"--replay says already what {other} does", hint="leave out the one or the other")
    say = partial(click.echo, err=True)
    replay = read_replay(path)
    scenario = scenario_of(replay, _place(path, paths, replay))
    report = TerminalReport(make_console(stderr=as_json), runs=1, quiet=quiet)
    with (
        open_rig(
            machine="virtual",
            debugger=debugger,
            driver=drivers[-1] if drivers else None,
            other_drivers=drivers[:-1],
            trace_folder=trace_dir,
            watch=watch,
            subscribers=(report,),
            building=say,
        ) as rig,
        report,
    ):
        try:
            result = play_back(rig, replay, scenario)
        except RunInterrupted as error:
            say(f"procnotify: {one_line(error.result.reason)}; {error.result.left}")
            if as_json:
                print_json(exit_code=INTERRUPTED, results=[], interrupted=result_as_json(error.result))
            return INTERRUPTED
    report.summary()
    say(f"repeated: {result.events} events, SHA-256 {result.events_sha256}")
    if rig.traces.path is not None:
        click.echo(f"traces: {one_line(str(rig.traces.path))}", err=as_json)
    if as_json:
        print_json(
            exit_code=int(result.outcome),
            traces=rig.traces.path,
            results=[result_as_json(result)],
            interrupted=None,
        )
    return result.outcome


def _place(path: Path, paths: Sequence[Path], replay: ReplayFile) -> Path:
    """Beside which file the scenario's other files lie."""
    if not paths:
        return path
    if len(paths) > 1:
        raise UsageError(
            f"a replay file is of one scenario, and here are {len(paths)}", hint="give one or none"
        )
    found = text_sha256(read_text(Source(paths[0], ScenarioError)))
    if found != replay.scenario.sha256:
        raise UsageError(
            f"the scenario {paths[0]} is another one than in the replay: SHA-256 {found}, recorded"
            f" {replay.scenario.file} of SHA-256 {replay.scenario.sha256}",
            hint="leave it out: the replay file has the scenario's text",
        )
    return paths[0]
