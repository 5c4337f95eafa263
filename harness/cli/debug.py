"""``procnotify debug``: look into a halted target with debugger commands."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import click

from harness.cli._options import (
    connection_argument,
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
from harness.toolchain import default_driver

__all__ = ["command"]


@click.command(short_help="run debugger commands on a halted target")
@connection_argument(required=False)
@click.option("-c", "commands", multiple=True, required=True, metavar="CMD", help="A debugger command.")
@click.option(
    "--debugger",
    metavar="NAME",
    help=f"Whose commands. Without it the first that is set up here: {', '.join(COMMANDING)}.",
)
@click.option(
    "--driver",
    type=click.Path(path_type=Path),
    metavar="FILE.sys",
    help="Loaded into the virtual target first. Without it the project's own.",
)
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
    driver: Path | None,
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

    \b
    Examples:
      procnotify debug -c lm -c "r rip"
      procnotify debug --debugger pykd -c k -c "bp nt!DbgPrintEx" -c g
      procnotify debug "net:port=50000,key=1.2.3.4" --debugger ntoseye -c r

    \b
    Exit codes:
      0  the target runs on
      2  the debugger refuses a command (those behind it are not run), or the command line is wrong
      3  the rig failed, or the target is not known to run
      4  a command crashed the target
    """
    if debugger is None:
        debugger, missing = first_here(COMMANDING)
        for reason in missing:
            click.echo(f"procnotify: {one_line(reason)}", err=True)
        click.echo(f"procnotify: the debugger is {debugger}", err=True)
    if pdb is not None and not pdb.is_file():
        raise UsageError(f"there is no file {pdb}", hint="--pdb takes the .pdb that was made with the driver")
    symbols = pdb
    released: list[Release] = []
    answers: list[dict[str, object]] = []
    with ExitStack() as stack:
        stack.callback(_tell, released)
        inspecting: AbstractContextManager[Inspection]
        if connection is not None:
            if driver is not None:
                raise click.UsageError("--driver goes with the virtual target, not with a CONNECTION")
            opened = debugger_factory(debugger)(connection)
            inspecting = inspect_target(opened, timeout=wait, released=released.append)
        else:
            rig = stack.enter_context(
                open_rig(
                    machine="virtual",
                    debugger=debugger,
                    driver=driver,
                    trace_folder=Path(),
                    building=partial(click.echo, err=True),
                )
            )
            symbols = pdb or _beside(driver or default_driver().path)
            inspecting = inspect_virtual(rig, timeout=wait, released=released.append)
        with inspecting as inspection:
            if symbols is not None and not inspection.use_symbols(symbols) and pdb is not None:
                raise UsageError(f"{debugger} reads no symbols of drivers", hint="--debugger pykd does")
            for words in commands:
                click.echo(f"kd> {one_line(words)}", err=as_json)
                output = inspection.execute(words, timeout=timeout).rstrip("\n")
                click.echo(printable(output), err=as_json)
                answers.append({"command": words, "output": output})
    (release,) = released
    code = _exit_code(release)
    if as_json:
        print_json(exit_code=code, debugger=debugger, commands=answers, release=release_as_json(release))
    return code


def _beside(driver: Path) -> Path | None:
    """The .pdb that was made with the driver, where it still is beside it."""
    pdb = driver.with_suffix(".pdb")
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
