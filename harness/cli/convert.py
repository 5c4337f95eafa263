"""``procnotify convert``: a recording of another tool as a trace."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli._options import json_option, key_option, lines_option, print_json
from harness.cli._reading import reading_progress
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.outcome import Outcome
from harness.report.origin import origin_lines
from harness.report.text import one_line
from harness.runs.trace_folder import through_latest
from harness.trace.conversion import convert
from harness.trace.sources import open_trace

__all__ = ["command"]

_FILE = click.Path(path_type=Path)


@click.command(short_help="write a recording of another tool as a trace")
@click.argument("recording", type=_FILE)
@click.argument("out", type=_FILE)
@click.option("--force", is_flag=True, help="Replace OUT where it is there already.")
@lines_option
@key_option
@json_option
def command(
    recording: Path, out: Path, force: bool, lines: Grammar | None, key: Key | None, as_json: bool
) -> int:
    """Write the events of RECORDING to OUT, a trace of the project's own format.

    RECORDING is any file that check reads, found out from its content: a trace, a text log, or the recording
    of another tool; docs/recordings.md has each format, which order its events have and what is left out. OUT
    appears whole or not at all.

    \b
    Examples:
      procnotify convert Logfile.CSV notepad.jsonl
      procnotify convert windbg.log run.jsonl --lines mydriver.lines.yaml
      procnotify convert kdnet.pcapng run.jsonl --key 1.2.3.4

    \b
    Exit codes:
      0  the recording was read to its end
      2  OUT is there already, is RECORDING or cannot be written; the key opens nothing in a network capture
      3  RECORDING cannot be read, or is damaged: what stands before that is in OUT
    """
    source = open_trace(through_latest(recording), lines, key)
    done = convert(source, out, force=force, progress=reading_progress())
    events = sum(done.counts.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(done.counts.items()))
    click.echo(one_line(f"{out}: {events} events{': ' * bool(kinds)}{kinds}"), err=as_json)
    for line in origin_lines(done.header, done.footer):
        click.echo(one_line(line), err=as_json)
    code = Outcome.RIG if done.damage else Outcome.PASSED
    if done.damage:
        click.echo(f"procnotify: {one_line(f'{recording}: not read to its end: {done.damage}')}", err=True)
    if as_json:
        print_json(
            exit_code=int(code),
            recording=recording,
            trace=out,
            source=done.header.machine.get("source"),
            events=events,
            counts=done.counts,
            order=done.header.order,
            unordered=done.header.unordered,
            left_out=done.footer.left_out if done.footer is not None else {},
            damage=done.damage,
        )
    return int(code)
