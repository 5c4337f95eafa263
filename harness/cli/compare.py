"""``procnotify compare``: two recordings of one run held against one another."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from harness.callbacks import CALLBACK_KINDS
from harness.cli._options import json_option, key_option, lines_option, print_json
from harness.cli._reading import told
from harness.errors import TraceError, UsageError
from harness.events import Event
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.report.text import one_line
from harness.runs.trace_folder import through_latest
from harness.trace.sources import open_trace
from harness.trace.witness import SeenBy, witness_of
from harness.witness.recordings import compare_recordings

__all__ = ["command"]

_DIFFER = 1
_CALLBACKS = tuple(kind.event for kind in CALLBACK_KINDS.values())


@click.command(short_help="hold two recordings of one run against one another")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@lines_option
@key_option
@json_option
def command(first: Path, second: Path, lines: Grammar | None, key: Key | None, as_json: bool) -> int:
    """Say which callbacks two recordings of one run do not have in common: which are in one of them alone,
    and which differ in a field.

    FIRST and SECOND are traces or text logs. Of each the events count that its order was checked on (the
    witness that its footer names, else the lines). Fields that one of them carries nowhere are not compared,
    nor is the order among events, nor clocks, processors and numbers of lines.

    \b
    Examples:
      procnotify compare kdnet.jsonl kdcom.jsonl
      procnotify compare run.jsonl windbg.log --lines mydriver.lines.yaml --json

    \b
    Exit codes:
      0  both tell of the same callbacks
      1  they differ
      2  one of them cannot be read, or tells of no callback
    """
    ones, others = _callbacks(first, lines, key), _callbacks(second, lines, key)
    found = compare_recordings(ones, others)
    say = partial(click.echo, err=as_json)
    for difference in found.differences:
        say(one_line(difference.message))
    if found.more:
        say(f"and {found.more} more")
    count = len(found.differences) + found.more
    say(f"the same: {found.same}, different: {count}")
    code = _DIFFER if count else 0
    if as_json:
        print_json(
            exit_code=code,
            first=first,
            second=second,
            same=found.same,
            differences=[
                {"message": each.message, "first": each.first, "second": each.second}
                for each in found.differences
            ],
            more=found.more,
        )
    return code


def _callbacks(path: Path, lines: Grammar | None, key: Key | None) -> list[Event]:
    """Those that the recording's witness saw.

    :raises UsageError: it cannot be read, or tells of none.
    """
    try:
        source = told(open_trace(through_latest(path), lines, key))
        witness = witness_of(source.header, source.footer)
        found: list[Event] = [event for event in SeenBy(source, witness) if isinstance(event, _CALLBACKS)]
    except TraceError as error:
        raise UsageError(error.message, hint=error.hint) from None
    if not found:
        raise UsageError(f"{path}: no callback is told of in it", hint="was the driver heard?")
    return found
