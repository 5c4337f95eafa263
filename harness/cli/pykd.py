"""``procnotify pykd``: the Windows Python in which DbgEng runs."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli._options import json_option, print_json
from harness.debuggers.pykd import setup as pykdsetup
from harness.debuggers.pykd.interpreters import Host

__all__ = ["command"]


@click.group(short_help="the Python in which DbgEng runs on Windows")
def command() -> None:
    """Make `--debugger pykd` work on Windows: a Python 3.7 to 3.9 with pykd in it.

    Looked for, in this order: the python.exe that PROCNOTIFY_PYKD_PYTHON names, the environment that
    `setup` makes, what the launcher `py` has.
    """


@command.command(short_help="make an environment with pykd")
@click.option(
    "--python",
    type=click.Path(path_type=Path),
    metavar="EXE",
    help="The python.exe to make the environment from, instead of the launcher's (py -3.9, -3.8, -3.7).",
)
@json_option
@click.pass_obj
def setup(host: Host | None, python: Path | None, as_json: bool) -> None:
    """Make a virtual environment with pykd in the cache folder and prove that pykd can be imported in it.

    Interrupted, it begins anew; repeated, it only checks.

    \b
    Example:
      procnotify pykd setup
    """
    ready = pykdsetup.setup(lambda text: click.echo(text, err=True), python=python, host=host or Host())
    if as_json:
        _print_ready(ready)
        return
    click.echo(f"pykd {ready.pykd} is ready on Python {ready.python}: {ready.command}")


@command.command(short_help="delete the environment")
@json_option
@click.pass_obj
def remove(host: Host | None, as_json: bool) -> None:
    """Delete the environment.

    \b
    Example:
      procnotify pykd remove
    """
    folder, removed = pykdsetup.remove(host=host or Host())
    if as_json:
        print_json(exit_code=0, folder=folder, removed=removed)
        return
    click.echo(f"removed {folder}" if removed else f"there is no environment in {folder}")


@command.command(short_help="print which interpreter would be used")
@json_option
@click.pass_obj
def where(host: Host | None, as_json: bool) -> None:
    """Print which interpreter `--debugger pykd` would use, and its versions.

    \b
    Example:
      procnotify pykd where
    """
    found = pykdsetup.where(host=host or Host())
    if as_json:
        _print_ready(found)
        return
    click.echo(f"{found.command}: Python {found.python}, pykd {found.pykd}, {found.origin}")


def _print_ready(ready: pykdsetup.Ready) -> None:
    print_json(
        exit_code=0, interpreter=ready.command, python=ready.python, pykd=ready.pykd, origin=ready.origin
    )
