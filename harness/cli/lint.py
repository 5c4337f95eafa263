"""``procnotify lint``: the mistakes in the files that a user writes."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import click

from harness.cli._options import json_option, print_json
from harness.errors import UsageError
from harness.linting import KINDS, lint
from harness.report.text import one_line
from harness.schemas import PUBLISHED, schema_file

__all__ = ["command"]

_MISTAKES = UsageError.exit_code
_CALLED = {"scenario": "scenario", "machine": "machine file", "lines": "line grammar"}


@click.command(short_help="say every mistake in scenario, line grammar and machine files")
@click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path(path_type=Path))
@click.option(
    "--schema",
    type=click.Choice(list(PUBLISHED)),
    help="Read no file: print where the JSON Schema of such files is, for an editor.",
)
@json_option
def command(paths: tuple[Path, ...], schema: str | None, as_json: bool) -> int:
    """Read scenario, line grammar and machine files without running anything, and say every mistake in them,
    a line each: FILE:LINE: what is wrong; the way out.

    Of a folder those files in it and below it are read whose first key is scenario, lines or machine.
    After 20 mistakes a file is not read on.

    \b
    Examples:
      procnotify lint scenarios lab.yaml mydriver.lines.yaml
      procnotify lint scenarios --json
      procnotify lint --schema scenario

    \b
    Exit codes:
      0  no mistake
      2  mistakes, a path with no such file, or the command line is wrong
    """
    if schema is not None:
        if paths:
            raise click.UsageError("--schema reads no file: leave out PATH")
        _show_schema(schema, as_json=as_json)
        return 0
    if not paths:
        raise click.UsageError("Missing argument 'PATH...'.")
    found = lint(paths)
    code = _MISTAKES if found.mistakes else 0
    say = partial(click.echo, err=as_json)
    for mistake in found.mistakes:
        say(one_line(str(mistake)))
    count = len(found.mistakes)
    wrong = len({mistake.path for mistake in found.mistakes})
    kinds = Counter(kind for _, kind in found.files)
    read = ", ".join(_counted(kinds[kind], _CALLED[kind]) for kind in KINDS if kinds[kind])
    say(f"{_counted(count, 'mistake')} in {wrong} of {read}" if count else f"no mistake in {read}")
    if found.left_aside:
        say(f"not read: {_counted(len(found.left_aside), 'YAML file')} of another kind")
    if as_json:
        print_json(
            exit_code=code,
            files=[{"file": file, "kind": kind} for file, kind in found.files],
            mistakes=[
                {"file": each.path, "line": each.line, "message": each.message, "hint": each.hint}
                for each in found.mistakes
            ],
            left_aside=list(found.left_aside),
        )
    return code


def _show_schema(kind: str, *, as_json: bool) -> None:
    if as_json:
        print_json(exit_code=0, kind=kind, schema=schema_file(kind))
    else:
        click.echo(str(schema_file(kind)))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
