"""``procnotify diff``: what changed between two sets of instances."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial as applied
from pathlib import Path

import click

from harness.cli._mining import mine_traces, partial_option, select_option, trace_files
from harness.cli._options import json_option, key_option, lines_option, print_json, witness_option
from harness.cli._outputs import refuse_to_overwrite, write_file
from harness.errors import UsageError
from harness.events import WitnessName
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.mining.changes import find_changes
from harness.mining.selection import Selection
from harness.outcome import Outcome
from harness.report.mining.changes import changes_lines, changes_markdown
from harness.report.mining.documents import changes_as_json, instances_as_json
from harness.report.mining.words import left_out_lines
from harness.report.text import one_line

__all__ = ["command"]

_FILE = click.Path(path_type=Path)
_DIFFER = 1


@click.command(short_help="say what changed in the order between two sets of traces")
@click.argument("traces", nargs=-1, required=True, type=_FILE)
@click.option(
    "--against",
    multiple=True,
    type=_FILE,
    metavar="TRACE",
    help="A trace of the second set; once for each. Without it TRACES are two, one for each set.",
)
@select_option
@click.option(
    "--level",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.01,
    show_default=True,
    help="The chance that anything is told where nothing differs, for all comparisons together.",
)
@click.option(
    "--markdown", type=_FILE, metavar="F", help="Write the differences to F, for a pull request's comment."
)
@lines_option
@key_option
@witness_option
@partial_option
@json_option
def command(
    traces: tuple[Path, ...],
    against: tuple[Path, ...],
    selection: Selection,
    level: float,
    markdown: Path | None,
    lines: Grammar | None,
    key: Key | None,
    witness: WitnessName | None,
    partial: bool,
    as_json: bool,
) -> int:
    """Say which events are new or gone, and which orders of two events flipped, became mixed or fixed: all
    that is significant at LEVEL after correction for many comparisons, and nothing else.

    TRACES are the first set, --against the second; a folder stands for the traces (*.jsonl) in it.

    \b
    Examples:
      procnotify diff before.jsonl after.jsonl --select image=notepad.exe
      procnotify diff traces/main --against traces/mine --select scenario=inject
      procnotify diff main.csv mine.csv --select tree=setup.exe --markdown comment.md

    \b
    Exit codes:
      0  nothing differs at this level
      1  something differs
      2  the command line is wrong, or a set holds no whole instance of what was selected
      3  a trace cannot be read, or lines are missing in it
      5  the sets are too small for any difference to be significant at this level
    """
    first, second = _sets(traces, against)
    refuse_to_overwrite({"--markdown": markdown}, trace_files((*first, *second)))
    one, found_one = mine_traces(first, selection, grammar=lines, witness=witness, partial=partial, key=key)
    other, found_other = mine_traces(
        second, selection, grammar=lines, witness=witness, partial=partial, key=key
    )
    found = find_changes(one, other, level)
    code = _DIFFER if found.found else 0 if found.able else int(Outcome.SKIPPED)
    if markdown is not None:
        text = changes_markdown(found, _called(first), _called(second))
        write_file(markdown, text.encode("utf-8", "backslashreplace"), "--markdown")
    say = applied(click.echo, err=as_json)
    for each in (found_one, found_other):
        for line in left_out_lines(each):
            click.echo(f"procnotify: {one_line(line)}", err=True)
    for line in changes_lines(found):
        say(one_line(line))
    if as_json:
        print_json(
            exit_code=code,
            first=instances_as_json(found_one),
            second=instances_as_json(found_other),
            **changes_as_json(found),
        )
    return code


def _sets(traces: tuple[Path, ...], against: tuple[Path, ...]) -> tuple[Sequence[Path], Sequence[Path]]:
    if not against:
        if len(traces) != 2:
            raise UsageError(
                f"{len(traces)} traces are not two sets", hint="give two, or the second set with --against"
            )
        return traces[:1], traces[1:]
    return traces, against


def _called(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
