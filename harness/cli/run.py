"""``procnotify run``: scenarios on a machine, judged."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console

from harness.cli import INTERRUPTED
from harness.cli._options import debugger_option, log_options
from harness.errors import ScenarioError, UsageError
from harness.machines import MACHINES
from harness.outcome import Outcome, worst
from harness.report.junit import write_junit
from harness.report.terminal import TerminalReport
from harness.report.text import printable
from harness.run.opening import open_rig
from harness.run.result import RunResult
from harness.run.rig import Rig
from harness.run.runner import RunInterrupted, run_scenario, seed_of
from harness.run.session import Watch
from harness.scenario import Scenario, load

__all__ = ["command", "find_scenarios"]


@click.command(short_help="run scenarios on a machine and check the callback order")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option(
    "--machine",
    default="virtual",
    show_default=True,
    metavar="NAME",
    help=f"Where the driver runs: {', '.join(MACHINES)}.",
)
@debugger_option
@click.option(
    "--driver",
    type=click.Path(path_type=Path),
    metavar="FILE.sys",
    help="The driver to test. Without it the project's own, built when the cache does not have it.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="Seed of the virtual target. Without it the scenario's own, or 1.",
)
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Run everything N times, with seed, seed+1, ...",
)
@click.option(
    "--connection",
    metavar="K",
    help="Where the debugger listens, as for WinDbg's -k. Without it a free port on loopback and a new key.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=Watch.silence,
    show_default=True,
    metavar="SECONDS",
    help="A target that neither prints nor answers for this long is lost.",
)
@click.option(
    "--trace-dir",
    type=click.Path(path_type=Path),
    default=Path("traces"),
    show_default=True,
    metavar="DIR",
    help="Where the traces go.",
)
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML.")
@click.option("--fail-fast", is_flag=True, help="Stop after the first run that does not pass.")
@log_options
def command(
    paths: tuple[Path, ...],
    machine: str,
    debugger: str,
    driver: Path | None,
    seed: int | None,
    repeat: int,
    connection: str | None,
    timeout: float,
    trace_dir: Path,
    junit: Path | None,
    fail_fast: bool,
) -> int:
    """Run every scenario in PATH... (files, or folders of *.yaml) and check the order of the driver's events.

    All scenario files are read before anything starts.

    \b
    Examples:
      procnotify run scenarios
      procnotify run scenarios --repeat 50 --seed 1 --junit results.xml

    \b
    Exit code: 2 when the input is wrong; otherwise, of all runs, the first of these that happened:
      3  the rig failed (no connection, target lost, debugger died, lines lost)
      4  the target bugchecked
      1  the driver broke a promise
      0  all held
    """
    scenarios = _read_all(find_scenarios(paths))
    if scenarios is None:
        return Outcome.USAGE
    console = Console(highlight=False)
    report = TerminalReport(console, runs=len(scenarios) * repeat)
    results: list[RunResult] = []
    interrupted = False
    with open_rig(
        machine=machine,
        debugger=debugger,
        driver=driver,
        trace_folder=trace_dir,
        connection=connection,
        watch=Watch(silence=timeout),
        subscribers=(report,),
        building=lambda line: click.echo(line, err=True),
    ) as rig:
        try:
            with report:
                for result in _run_all(rig, scenarios, seed=seed, repeat=repeat):
                    results.append(result)
                    if fail_fast and result.outcome is not Outcome.PASSED:
                        break
        except RunInterrupted as error:
            interrupted = True
            click.echo(f"procnotify: {printable(error.result.reason)}; {error.result.left}", err=True)
    report.summary()
    if junit is not None:
        _write_junit(junit, results)
    return INTERRUPTED if interrupted else worst(result.outcome for result in results)


def find_scenarios(paths: Sequence[Path]) -> list[Path]:
    """The scenario files that ``paths`` name, each once: a file itself, a folder all its ``*.yaml``, sorted.

    :raises UsageError: there is no such file, a folder has none, or two would write the same trace.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(path.glob("*.yaml"))
            if not inside:
                raise UsageError(f"no scenario (*.yaml) in the folder {path}")
        elif path.is_file():
            inside = [path]
        else:
            raise UsageError(f"there is no file or folder {path}", hint="give scenario files or folders")
        for file in inside:
            other = found.setdefault(file.stem, file)
            if not other.samefile(file):
                raise UsageError(
                    f"{other} and {file} would write the same trace", hint="rename one, or run them apart"
                )
    return list(found.values())


def _read_all(paths: Sequence[Path]) -> list[Scenario] | None:
    """Every scenario; None when one is wrong, after saying so for each that is."""
    scenarios: list[Scenario] = []
    for path in paths:
        try:
            scenarios.append(load(path))
        except ScenarioError as error:
            click.echo(f"procnotify: {printable(str(error))}", err=True)
    return scenarios if len(scenarios) == len(paths) else None


def _run_all(
    rig: Rig, scenarios: Sequence[Scenario], *, seed: int | None, repeat: int
) -> Iterator[RunResult]:
    for repetition, scenario in itertools.product(range(repeat), scenarios):
        yield run_scenario(rig, scenario, seed=seed_of(scenario, seed) + repetition)


def _write_junit(path: Path, results: Sequence[RunResult]) -> None:
    try:
        write_junit(path, results)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="choose another --junit") from None
