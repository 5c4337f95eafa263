"""``procnotify new``: files for a user's own project."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.cli._options import json_option, key_option, lines_option, print_json, witness_option
from harness.errors import UsageError
from harness.events import WitnessName
from harness.files import cannot_write, same_file, write_whole
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.recipes import NOT_VERIFIED, github_action_recipe, github_recipe, starter
from harness.recipes.recorded import recorded_scenario
from harness.report.text import one_line, printable
from harness.runs.trace_folder import through_latest
from harness.scenario import parse
from harness.trace.readable import Readable
from harness.trace.sources import open_trace
from harness.trace.witness import SeenBy, witness_of

__all__ = ["command"]


@click.group(short_help="write files for a project of your own")
def command() -> None:
    """Write files for a project of your own.

    \b
    Examples:
      procnotify new scenario --out first.yaml
      procnotify new ci --github
    """


def _file_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--out`` and ``--force``: where the file goes."""
    out = click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="F",
        help="Write it to F. Without it, to standard output.",
    )
    return out(click.option("--force", is_flag=True, help="Write over a file that is there.")(function))


def _write(text: str, out: Path | None, *, force: bool, as_json: bool) -> int:
    """Write one file, or print it."""
    if out is None:
        click.echo(text, nl=False, err=as_json)
    elif out.exists() and not force:
        raise UsageError(f"there is a {out} already", hint="--force writes over it")
    else:
        try:
            write_whole(out, text.encode("utf-8"))
        except OSError as error:
            raise cannot_write(out, error, hint="choose another --out") from None
        click.echo(f"procnotify: {one_line(str(out))} written", err=True)
    if as_json:
        print_json(exit_code=0, written=[] if out is None else [out], text=text)
    return 0


@command.command(short_help="a commented scenario, or one from a recording")
@click.option(
    "--from",
    "recording",
    type=click.Path(path_type=Path),
    metavar="TRACE",
    help="Write what this recording shows of one process, as a scenario to be read and loosened.",
)
@click.option(
    "--process",
    metavar="NAME|PID",
    help="With --from: of this process. Without it of the first that a step of the recording launched,"
    " else the first that was created.",
)
@_file_options
@lines_option
@key_option
@witness_option
@json_option
def scenario(
    recording: Path | None,
    process: str | None,
    out: Path | None,
    force: bool,
    lines: Grammar | None,
    key: Key | None,
    witness: WitnessName | None,
    as_json: bool,
) -> int:
    """Write a commented scenario that runs as it is, or, with --from, one that says what a recording shows.

    TRACE is any file that `check` takes.

    \b
    Examples:
      procnotify new scenario --out first.yaml
      procnotify new scenario --from traces/latest/inject-1.jsonl --process notepad.exe
      procnotify new scenario --from Logfile.CSV --process notepad.exe --out notepad.yaml

    \b
    Exit codes:
      0  written
      2  F is there already or cannot be written, or TRACE does not have such a process
      3  TRACE cannot be read
    """
    if recording is None:
        if process is not None:
            raise UsageError("--process says of whom a recording is to tell", hint="add --from TRACE")
        return _write(starter("scenario", _new_key()), out, force=force, as_json=as_json)
    recording = through_latest(recording)
    if out is not None and same_file(recording, out):
        raise UsageError(f"--out would write over {recording}, which is read", hint="choose another --out")
    source = open_trace(recording, lines, key)
    readable = Readable(source)
    seen = SeenBy(readable, witness or witness_of(source.header, source.footer))
    text = recorded_scenario(seen, recording=recording.name, process=process)
    parse(text, out or Path("scenario.yaml"))  # what cannot be read is not written
    if readable.damage:
        click.echo(
            f"procnotify: {one_line(f'{recording}: not read to its end: {readable.damage}')}", err=True
        )
    return _write(text, out, force=force, as_json=as_json)


@command.command(short_help="a commented line grammar: what a driver's lines look like")
@_file_options
@json_option
def grammar(out: Path | None, force: bool, as_json: bool) -> int:
    """Write a commented line grammar. `procnotify learn` writes one from what a driver prints.

    \b
    Example:
      procnotify new grammar --out mydriver.lines.yaml

    \b
    Exit codes:
      0  written
      2  F is there already or cannot be written
    """
    return _write(starter("grammar", _new_key()), out, force=force, as_json=as_json)


@command.command(short_help="a commented machine file: where the driver runs")
@_file_options
@json_option
def machine(out: Path | None, force: bool, as_json: bool) -> int:
    """Write a commented machine file of a machine that runs already, with a KDNET key of its own.

    \b
    Example:
      procnotify new machine --out lab.yaml

    \b
    Exit codes:
      0  written
      2  F is there already or cannot be written
    """
    return _write(starter("machine", _new_key()), out, force=force, as_json=as_json)


def _new_key() -> Key:
    return Key.generate(secrets.token_bytes)


@command.command(short_help="run scenarios on a Windows VM in CI")
@click.option(
    "--github", is_flag=True, required=True, help="For a hosted Linux runner of GitHub's, with KVM."
)
@click.option(
    "--virtual",
    is_flag=True,
    help="On the virtual target, by procnotify's action: the driver needs no VM and no image of Windows.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="FOLDER",
    help="The project's folder. Without it the current one.",
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
@json_option
def ci(github: bool, virtual: bool, folder: Path, force: bool, as_json: bool) -> int:
    """Write a workflow that runs scenarios on a Windows VM, the machine file of the VM, and a script that
    makes its image once; with --virtual a workflow of twelve lines that needs no VM (docs/ci.md).

    Lines that could not be tried where this program was written say so in a comment.

    \b
    Example:
      procnotify new ci --github
      procnotify new ci --github --virtual

    \b
    Exit code:
      0  written
      2  a file is there already, or cannot be written
    """
    files = github_action_recipe() if virtual else github_recipe(_new_key())
    there = [path for path in files if (folder / path).exists()]
    if there and not force:
        raise UsageError(f"there is a {folder / there[0]} already", hint="--force writes over it")
    for path, text in files.items():
        try:
            write_whole(folder / path, text.encode("utf-8"), mode=0o755 if path.endswith(".sh") else 0o644)
        except OSError as error:
            raise cannot_write(folder / path, error, hint="choose another --folder") from None
        click.echo(printable(str(folder / path)), err=as_json)
    unseen = "this workflow" if virtual else f'what stands before "{NOT_VERIFIED}" in a comment'
    click.echo(f"{unseen} nobody has seen to run yet", err=as_json)
    if as_json:
        print_json(exit_code=0, written=[folder / path for path in files])
    return 0
