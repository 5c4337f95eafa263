"""The ``procnotify`` command: one module a subcommand, imported only when it is called."""

from __future__ import annotations

import importlib
import os
import sys

import click

import harness
from harness.errors import ProcnotifyError

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "run": "run scenarios on a machine and check the callback order",
    "check": "check a recorded trace against a scenario",
    "record": "attach to a target that is already there and record what its driver prints",
    "debug": "run debugger commands on a halted target",
    "serve": "the virtual target alone, dialling a debugger of any make over KDNET",
    "driver": "build the driver",
    "keygen": "make a KDNET key",
    "wine": "the private Wine prefix in which DbgEng runs on Linux",
    "pykd": "the Python in which DbgEng runs on Windows",
}
"""Subcommand → its one-line help; the command object is ``harness.cli.<name>.command``."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"harness.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(harness.__version__, prog_name="procnotify")
def cli() -> None:
    """Drive a Windows target over KDNET, run scenarios, and check the order of a driver's notify callbacks.

    \b
    Example:
      procnotify run scenarios

    \b
    Exit codes:
      0  all held
      1  the driver broke a promise
      2  the command line, a scenario or a driver file is wrong
      3  the rig failed (no connection, target lost, debugger died, lines lost)
      4  the target bugchecked
    """


def main() -> None:
    """Entry point: errors meant for the user become one line on stderr and their exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("procnotify: interrupted", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = 2
    except ProcnotifyError as error:
        click.echo(f"procnotify: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:
        # The reader of our output (head, less) went away; nothing is left to tell it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
