"""``procnotify new``: files for a user's own project."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from harness.cli._options import json_option, print_json
from harness.errors import UsageError
from harness.files import cannot_write, write_whole
from harness.kd.kdnet import Key
from harness.recipes import NOT_VERIFIED, github_recipe
from harness.report.text import printable

__all__ = ["command"]


@click.group(short_help="write files for a project of your own")
def command() -> None:
    """Write files for a project of your own.

    \b
    Example:
      procnotify new ci --github
    """


@command.command(short_help="run scenarios on a Windows VM in CI")
@click.option(
    "--github", is_flag=True, required=True, help="For a hosted Linux runner of GitHub's, with KVM."
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
def ci(github: bool, folder: Path, force: bool, as_json: bool) -> int:
    """Write a workflow that runs scenarios on a Windows VM, the machine file of the VM, and a script that
    makes its image once.

    Lines that could not be tried where this program was written say so in a comment.

    \b
    Example:
      procnotify new ci --github

    \b
    Exit code:
      0  written
      2  a file is there already, or cannot be written
    """
    files = github_recipe(Key.generate(secrets.token_bytes))
    there = [path for path in files if (folder / path).exists()]
    if there and not force:
        raise UsageError(f"there is a {folder / there[0]} already", hint="--force writes over it")
    for path, text in files.items():
        try:
            write_whole(folder / path, text.encode("utf-8"), mode=0o755 if path.endswith(".sh") else 0o644)
        except OSError as error:
            raise cannot_write(folder / path, error, hint="choose another --folder") from None
        click.echo(printable(str(folder / path)), err=as_json)
    click.echo(f'what stands before "{NOT_VERIFIED}" in a comment, nobody has seen to run yet', err=as_json)
    if as_json:
        print_json(exit_code=0, written=[folder / path for path in files])
    return 0
