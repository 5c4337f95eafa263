"""``procnotify debug``: look into a halted target with debugger commands."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import click
import msgspec

from harness.cli._completion import names_or_files
from harness.cli._options import (
    connection_argument,
    drivers_option,
    duration,
    json_option,
    log_options,
    print_json,
    wait_option,
)
from harness.debuggers import COMMANDING, debugger_factory, first_here
from harness.debuggers.base import Release
from harness.errors import UsageError
from harness.outcome import Outcome
from harness.report.runs_json import release_as_json
from harness.report.text import one_line, printable
from harness.runs.inspection import Inspection, inspect_target, inspect_virtual
from harness.runs.opening import open_rig
from harness.timetravel.loading import Wanted
from harness.timetravel.session import Visit, inspect_played_back
from harness.timetravel.visits import Visits
from harness.toolchain import default_driver

__all__ = ["command"]


@click.command(short_help="run debugger commands on a halted target")
@connection_argument(required=False)
@click.option("-c", "commands", multiple=True, required=True, metavar="CMD", help="A debugger command.")
@click.option(
    "--debugger",
    metavar="NAME",
    shell_complete=names_or_files(COMMANDING),
    help=f"Whose commands. Without it the first that is set up here: {', '.join(COMMANDING)}.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Stop the run of a replay file before events of it, forward and back (docs/replay.md).",
)
@click.option(
    "--at",
    "events",
    type=click.IntRange(min=0),
    multiple=True,
    metavar="EVENT",
    help="With --replay: which, by its index in the trace; once or several times. Without it the bugcheck, or"
    " else the last one.",
)
@click.option(
    "--back",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="With --replay: then so many events back from there; once or several times.",
)
@drivers_option("Loaded into the virtual target first. Without it the project's own.")
@click.option(
    "--pdb",
    type=click.Path(path_type=Path),
    metavar="FILE.pdb",
    help="The driver's symbols, for DbgEng. Without it the .pdb beside the virtual target's driver.",
)
@wait_option
@click.option(
    "--timeout",
    callback=duration,
    default="30s",
    show_default=True,
    metavar="TIME",
    help="How long one command may take. One that lets the target run ends with its next stop.",
)
@json_option
@log_options
def command(
    connection: str | None,
    commands: tuple[str, ...],
    debugger: str | None,
    replay: Path | None,
    events: tuple[int, ...],
    back: tuple[int, ...],
    drivers: tuple[Path, ...],
    pdb: Path | None,
    wait: float,
    timeout: float,
    as_json: bool,
) -> int:
    """Attach, halt the target, run debugger commands, print what they say, and let the target go.

    CONNECTION is written as for WinDbg's -k and leads to a target that is already there. Without it the
    virtual target is booted and the driver loaded into it.

    The native debugger is always there and knows lm, r, db, dd and dq. Microsoft's DbgEng has WinDbg's
    commands and reads the driver's symbols, once `procnotify wine setup` (on Windows `procnotify pykd setup`)
    was done.

    With --replay the virtual target does the run of that file again, and stands still before the event that
    --at names: its line is about to be printed, or the notify routine is about to be entered. The commands
    are run there, and again at every further --at and --back, in this order.

    \b
    Examples:
      procnotify debug -c lm -c "r rip"
      procnotify debug --debugger pykd -c k -c "bp nt!DbgPrintEx" -c g
      procnotify debug "net:port=50000,key=1.2.3.4" --debugger ntoseye -c r
      procnotify debug --replay lost-update.replay.json --at 812 --back 3 -c r -c k

    \b
    Exit codes:
      0  the target runs on
      2  the debugger refuses a command (those behind it are not run), or the command line is wrong, the
         replay file, its driver or an event
      3  the rig failed, the target is not known to run, or the run did not repeat itself
      4  a command crashed the target
    """
    if debugger is None:
        debugger, missing = first_here(COMMANDING)
        for reason in missing:
            click.echo(f"procnotify: {one_line(reason)}", err=True)
        click.echo(f"procnotify: the debugger is {debugger}", err=True)
    if pdb is not None and not pdb.is_file():
        raise UsageError(f"there is no file {pdb}", hint="--pdb takes the .pdb that was made with the driver")
    if replay is None and (events or back):
        raise click.UsageError("--at and --back go with --replay")
    if connection is not None and (drivers or replay is not None):
        raise click.UsageError("--driver and --replay go with the virtual target, not with a CONNECTION")
    symbols = pdb if connection is not None else pdb or _beside(drivers)
    released: list[Release] = []
    session = _Session(debugger, commands, timeout, as_json)
    with ExitStack() as stack:
        stack.callback(_tell, released)
        if replay is not None:
            wanted = Wanted(replay=str(replay), drivers=[str(driver) for driver in drivers])
            visits = Visits(events, back)
            click.echo(f"procnotify: playing the run of {one_line(str(replay))}", err=True)
            travelling = stack.enter_context(
                inspect_played_back(
                    wanted,
                    debugger_factory(debugger),
                    visits.first,
                    timeout=wait,
                    released=released.append,
                )
            )
            session.use_symbols(travelling.inspection, symbols, required=pdb is not None)
            for visit in visits.of(travelling):
                session.run(travelling.inspection, visit)
        else:
            inspecting: AbstractContextManager[Inspection]
            if connection is not None:
                opened = debugger_factory(debugger)(connection)
                inspecting = inspect_target(opened, timeout=wait, released=released.append)
            else:
                rig = stack.enter_context(
                    open_rig(
                        machine="virtual",
                        debugger=debugger,
                        driver=_only(drivers),
                        trace_folder=Path(),
                        building=partial(click.echo, err=True),
                    )
                )
                inspecting = inspect_virtual(rig, timeout=wait, released=released.append)
            click.echo(f"procnotify: {debugger} attaches", err=True)
            inspection = stack.enter_context(inspecting)
            session.use_symbols(inspection, symbols, required=pdb is not None)
            session.run(inspection)
    (release,) = released
    code = _exit_code(release)
    if as_json:
        print_json(
            exit_code=code,
            debugger=debugger,
            commands=session.answers,
            visits=None if replay is None else session.visits,
            release=release_as_json(release),
        )
    return code


class _Session:
    """The commands, run at one stop after the other."""

    def __init__(self, debugger: str, commands: tuple[str, ...], timeout: float, as_json: bool) -> None:
        self._debugger = debugger
        self._commands = commands
        self._timeout = timeout
        self._as_json = as_json
        self.answers: list[dict[str, object]] = []
        self.visits: list[dict[str, object]] = []

    def use_symbols(self, inspection: Inspection, pdb: Path | None, *, required: bool) -> None:
        """Have the debugger read the driver's symbols."""
        if pdb is not None and not inspection.use_symbols(pdb) and required:
            raise UsageError(f"{self._debugger} reads no symbols of drivers", hint="--debugger pykd does")

    def run(self, inspection: Inspection, visit: Visit | None = None) -> None:
        """Run them, and print what they say."""
        where: dict[str, object] = {}
        if visit is not None:
            line = one_line(f"before event {visit.event}: {visit.kind}: {visit.line}")
            click.echo(f"procnotify: {line}", err=True)
            self.visits.append(msgspec.to_builtins(visit))
            where = {"event": visit.event}
        for words in self._commands:
            click.echo(f"kd> {one_line(words)}", err=self._as_json)
            output = inspection.execute(words, timeout=self._timeout).rstrip("\n")
            click.echo(printable(output), err=self._as_json)
            self.answers.append({**where, "command": words, "output": output})


def _only(drivers: tuple[Path, ...]) -> Path | None:
    if len(drivers) > 1:
        raise UsageError("one driver is loaded, and here are several", hint="give one --driver")
    return drivers[0] if drivers else None


def _beside(drivers: tuple[Path, ...]) -> Path | None:
    """The .pdb that was made with the driver, where it still is beside it."""
    pdb = (drivers[-1] if drivers else default_driver().path).with_suffix(".pdb")
    return pdb if pdb.is_file() else None


def _exit_code(release: Release) -> Outcome:
    if release.running:
        return Outcome.PASSED
    return Outcome.BUGCHECK if release.crashed else Outcome.RIG


def _tell(released: list[Release]) -> None:
    """How the target was left, where anything was done to one."""
    for release in released:
        if release.running is not None or release.crashed:
            click.echo(f"procnotify: {release}", err=True)
