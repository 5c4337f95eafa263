"""What a program that uses this package calls; :mod:`harness` offers it under its own name.

The command line, the pytest plugin and these functions are doors to the same rooms: what a call means, whose
fault an outcome is and what a trace holds does not depend on the door. A mistake of the caller (a scenario
that is wrong, a driver that is none) raises :class:`harness.errors.UsageError`; what goes wrong in a run is
in its result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from harness.errors import UsageError
from harness.runs.livetarget import Watch
from harness.runs.opening import open_rig
from harness.runs.progress import Progress
from harness.runs.runner import RunInterrupted
from harness.runs.scenarios import find_scenarios, load_scenarios
from harness.runs.series import Series, run_series
from harness.scenario import Scenario, load

__all__ = ["FilePath", "load_scenario", "run"]

FilePath: TypeAlias = str | PathLike[str]
"""The path of a file or a folder."""


def load_scenario(path: FilePath) -> Scenario:
    """The scenario in a file.

    :raises ScenarioError: it cannot be read or is wrong, with file and line.
    """
    return load(Path(path))


def run(
    scenarios: FilePath | Scenario | Iterable[FilePath | Scenario],
    *,
    driver: FilePath | None = None,
    other_drivers: Iterable[FilePath] = (),
    machine: str = "virtual",
    debugger: str = "native",
    connection: str | None = None,
    seed: int | None = None,
    repeat: int = 1,
    fail_fast: bool = False,
    timeout: float = Watch.silence,
    trace_dir: FilePath = "traces",
    on_progress: Callable[[Progress], None] | None = None,
) -> Series:
    """Run scenarios on a machine and check the order of the driver's events, as ``procnotify run`` does.

    :param scenarios: scenarios, scenario files, or folders with scenario files in and below them.
    :param driver: the .sys to test; None for the project's own, which is built where it is not yet.
    :param other_drivers: drivers that are loaded before it, in this order, and unloaded after it. One of them
        that does not load is a failure of the rig, not of the driver under test.
    :param machine: a name that ``procnotify run --machine`` takes.
    :param debugger: ``native``, ``pykd`` or ``ntoseye``.
    :param connection: where the debugger and the machine meet, as for WinDbg's ``-k``; None: the machine
        chooses.
    :param seed: of the first repetition; None for each scenario's own, or 1.
    :param repeat: run everything so often, with seed, seed+1, ...
    :param fail_fast: stop after the first run that does not pass.
    :param timeout: seconds after which a target that neither prints nor answers is lost.
    :param trace_dir: where the folder with this call's traces is made.
    :param on_progress: called with what happens, on the thread of this call.
    :raises UsageError: a scenario, the driver file or an argument is wrong. Of several wrong scenarios the
        first is raised, with a note for each of the others.
    :raises RunInterrupted: Ctrl-C; the target was let go. It is a :class:`KeyboardInterrupt`.
    """
    wanted = _scenarios(scenarios)
    if not wanted:
        raise UsageError("there is no scenario to run", hint="give scenario files, or folders of them")
    if repeat < 1:
        raise UsageError(f"repeat must be at least 1, not {repeat}")
    with open_rig(
        machine=machine,
        debugger=debugger,
        driver=Path(driver) if driver is not None else None,
        other_drivers=[Path(path) for path in other_drivers],
        trace_folder=Path(trace_dir),
        connection=connection,
        watch=Watch(silence=timeout),
        subscribers=(on_progress,) if on_progress is not None else (),
    ) as rig:
        series = run_series(rig, wanted, seed=seed, repeat=repeat, fail_fast=fail_fast)
    if series.interrupted is not None:
        raise RunInterrupted(series.interrupted)
    return series


def _scenarios(given: FilePath | Scenario | Iterable[FilePath | Scenario]) -> list[Scenario]:
    items = [given] if isinstance(given, Scenario | str | PathLike) else list(given)
    scenarios: list[Scenario] = []
    for item in items:
        if isinstance(item, Scenario):
            scenarios.append(item)
            continue
        loaded, errors = load_scenarios(find_scenarios([Path(item)]).scenarios)
        if errors:
            for other in errors[1:]:
                errors[0].add_note(str(other))
            raise errors[0]
        scenarios += loaded
    return scenarios
