"""``procnotify wine``: the private Wine prefix in which DbgEng runs on Linux."""

from __future__ import annotations

from pathlib import Path

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from harness.cli._options import json_option, print_json
from harness.report.console import is_live, make_console
from harness.wine import setup as wine_setup
from harness.wine.prefix import WinePrefix

__all__ = ["Shown", "command"]


@click.group(short_help="the private Wine prefix in which DbgEng runs on Linux")
def command() -> None:
    """Make `--debugger pykd` work on Linux: a Wine prefix of its own, with a Windows Python and pykd."""


@command.command()
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with the wheels and Debian packages, instead of the registries.",
)
@json_option
def setup(source: Path | None, as_json: bool) -> None:
    """Build the prefix in the cache folder and prove that pykd can be imported in it.

    Takes about a minute and 800 MB. Interrupted, it goes on where it stood; repeated, it only checks.

    \b
    Example:
      procnotify wine setup
    """
    prefix = WinePrefix()
    with Shown() as reporter:
        facts = wine_setup.setup(prefix, reporter, source=source)
    if as_json:
        print_json(exit_code=0, prefix=prefix.root, python=facts["python"], pykd=facts["pykd"])
        return
    click.echo(f"pykd {facts['pykd']} is ready on Python {facts['python']} under Wine, in {prefix.root}")


@command.command()
@json_option
def remove(as_json: bool) -> None:
    """Delete the prefix.

    \b
    Example:
      procnotify wine remove
    """
    prefix = WinePrefix()
    removed = wine_setup.remove(prefix)
    if as_json:
        print_json(exit_code=0, folder=prefix.root, removed=removed)
        return
    click.echo(f"removed {prefix.root}" if removed else f"there is no prefix in {prefix.root}")


class Shown:
    """Steps as lines, downloads as a bar where there is a terminal."""

    def __init__(self) -> None:
        self._console = make_console(stderr=True)
        self._bar = Progress(
            TextColumn("  "),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not is_live(self._console),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Shown:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def step(self, text: str) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        self._console.print(text, soft_wrap=True)

    def progress(self, done: int, total: int) -> None:
        if self._task is None:
            self._task = self._bar.add_task("", total=total)
        self._bar.update(self._task, completed=done, total=total)
