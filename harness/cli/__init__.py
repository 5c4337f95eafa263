"""The ``procnotify`` command: one module a subcommand, imported only when it is called."""

from __future__ import annotations

import importlib
import sys
import threading

import click

import harness
from harness.cli._interrupts import hear_all_interrupts
from harness.cli._options import json_asked, print_json
from harness.cli._project import take_project_file
from harness.cli._streams import StandardStreams
from harness.errors import ProcnotifyError, ProjectFileError, UserFileError
from harness.internal import internal_error, reserve_descriptor
from harness.outcome import Outcome
from harness.report.text import one_line

__all__ = ["COMMANDS", "INTERRUPTED", "cli", "main"]

INTERRUPTED = 130
"""Exit code after Ctrl-C and all that means the same, as shells count: 128 + SIGINT."""

COMMANDS = {
    "try": "load a driver on the virtual target and show what it does",
    "run": "run scenarios on a machine and check the callback order",
    "explore": "look for the interleavings that break a driver",
    "matrix": "run scenarios on many machines, with many debuggers and drivers",
    "doctor": "find the broken link between a machine and a verdict",
    "check": "check a recorded trace against a scenario",
    "show": "show a recording: its processes as a tree, its events as a table or a timeline",
    "convert": "write a recording of another tool as a trace",
    "compare": "hold two recordings of one run against one another",
    "mine": "find the order that all instances of something share",
    "diff": "say what changed in the order between two sets of traces",
    "learn": "write the line grammar of a driver from what it prints",
    "lines": "show what a line grammar understands of a log",
    "lint": "say every mistake in scenario, line grammar and machine files",
    "record": "attach to a target that is already there and record what its driver prints",
    "debug": "run debugger commands on a halted target",
    "serve": "the virtual target alone, for a debugger of any make",
    "mcp": "offer load, run, explain, show, explore and debug to agents",
    "new": "write files for a project of your own",
    "driver": "build a driver, sign it, verify its signature",
    "keygen": "make a KDNET key",
    "prepare": "make a Windows guest ready to be debugged",
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if command is None or name is None or ctx.resilient_parsing:
            return name, command, rest
        try:
            take_project_file(ctx, name)
        except ProjectFileError:
            # Whoever asks for help gets it, whatever the file says.
            with command.make_context(name, list(rest), parent=ctx):
                raise
        return name, command, rest

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ProcnotifyError as error:
            failed = error
        except (click.ClickException, click.exceptions.Exit, click.exceptions.Abort):
            raise
        except Exception as error:  # noqa: BLE001  # what nobody foresaw, told as that
            failed = internal_error(error)
        if json_asked(ctx):
            print_json(exit_code=failed.exit_code, error=one_line(str(failed)))
        raise failed

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

    The defaults of a project are in its procnotify.toml or pyproject.toml (docs/project.md).
    """


def main() -> None:
    """Entry point: what goes wrong becomes one line on standard error and its exit code.

    The exit code is that of the verdict, whoever reads the output; where the results could not be written it
    is :attr:`Outcome.RIG`.
    """
    streams = StandardStreams()
    reserve_descriptor()
    hear_all_interrupts()
    failed_threads: list[str] = []
    threading.excepthook = lambda ended: failed_threads.append(_say_thread_failed(ended))
    code = _run()
    if failed_threads and code != INTERRUPTED:
        code = Outcome.RIG
    unwritten = streams.finish()
    if unwritten:
        _say(unwritten)
        told = (Outcome.PASSED, Outcome.BROKEN, Outcome.BUGCHECK, Outcome.SKIPPED)
        code = Outcome.RIG if code in told else code
    sys.exit(code)


def _run() -> int:
    """The command of ``sys.argv``; its exit code."""
    try:
        # On Windows click does what a shell does elsewhere, with *, ~ and $; a debugger's "~1s" is no path.
        code = cli.main(standalone_mode=False, windows_expand_args=sys.argv[1:2] != ["debug"])
    except (click.exceptions.Abort, KeyboardInterrupt):
        _say("interrupted")
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return Outcome.USAGE
    except ProcnotifyError as error:
        for mistake in error.mistakes if isinstance(error, UserFileError) else (error,):
            _say(str(mistake))
        return error.exit_code
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else Outcome.RIG
    except Exception as error:  # noqa: BLE001  # what nobody foresaw, told as that
        failed = internal_error(error)
        _say(str(failed))
        return failed.exit_code
    return code if isinstance(code, int) else 0


def _say(text: str) -> None:
    click.echo(f"procnotify: {one_line(text)}", err=True)


def _say_thread_failed(ended: threading.ExceptHookArgs) -> str:
    error = ended.exc_value or ended.exc_type()
    text = str(internal_error(error))
    _say(text)
    return text
