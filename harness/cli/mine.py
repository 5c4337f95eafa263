"""``procnotify mine``: the order that all instances of something share."""

from __future__ import annotations

from functools import partial as applied
from pathlib import Path

import click

from harness.cli._mining import mine_traces, partial_option, select_option, trace_files
from harness.cli._options import key_option, lines_option, witness_option
from harness.cli._outputs import refuse_to_overwrite, write_file
from harness.events import WitnessName
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.mining.instances import Instance
from harness.mining.roles import NamedEvent
from harness.mining.scenariofile import scenario_text
from harness.mining.selection import Selection
from harness.report.json_document import json_document
from harness.report.mining.documents import instances_as_json, relations_as_json
from harness.report.mining.ocel import OcelLog
from harness.report.mining.summary import summary_lines
from harness.report.mining.svg import order_svg
from harness.report.text import one_line
from harness.scenario import parse

__all__ = ["command"]

_FILE = click.Path(path_type=Path)
_STANDARD_OUTPUT = Path("-")


@click.command(short_help="find the order that all instances of something share")
@click.argument("traces", nargs=-1, required=True, type=_FILE)
@select_option
@click.option(
    "--json",
    "json_file",
    type=_FILE,
    metavar="F",
    help="Write all pairs to F (docs/json.md); - is standard output.",
)
@click.option("--svg", type=_FILE, metavar="F", help="Draw the order to F.")
@click.option("--scenario", type=_FILE, metavar="F", help="Write a scenario file with what was found.")
@click.option("--ocel", type=_FILE, metavar="F", help="Write the instances as an OCEL 2.0 log (JSON) to F.")
@lines_option
@key_option
@witness_option
@partial_option
def command(
    traces: tuple[Path, ...],
    selection: Selection,
    json_file: Path | None,
    svg: Path | None,
    scenario: Path | None,
    ocel: Path | None,
    lines: Grammar | None,
    key: Key | None,
    witness: WitnessName | None,
    partial: bool,
) -> int:
    """Find what always, sometimes and never holds between the events of many instances: launches of a
    program, runs of a scenario, windows between two lines.

    TRACES are recordings of any make that `check` takes, or folders with traces. Process and thread IDs
    become roles; an instance that a recording does not hold from its beginning to its end is left out, and
    that is said.

    \b
    Examples:
      procnotify run scenarios/notepad-launch.yaml --debugger none --seeds 1-60 --keep-traces all
      procnotify mine traces/latest --select image=notepad.exe
      procnotify mine traces/latest --select scenario=notepad-launch --svg order.svg
      procnotify mine recording.csv --select image=notepad.exe --json order.json --scenario mined.yaml
      procnotify mine run.jsonl --select "marker=begin launch id=1...end terminate id=2"

    \b
    Exit codes:
      0  mined
      2  the command line is wrong, or the traces hold no whole instance of what was selected
      3  a trace cannot be read, or lines are missing in it
    """
    document_file = None if json_file == _STANDARD_OUTPUT else json_file
    refuse_to_overwrite(
        {"--json": document_file, "--svg": svg, "--scenario": scenario, "--ocel": ocel}, trace_files(traces)
    )
    log = OcelLog()
    longest = 0

    def take(path: Path, instance: Instance, events: list[NamedEvent]) -> None:
        nonlocal longest
        longest = max(longest, instance.duration or 0)
        if ocel is not None:
            log.add(str(path), instance, events)

    relations, found = mine_traces(
        traces, selection, grammar=lines, witness=witness, partial=partial, key=key, take=take
    )
    if scenario is not None:
        text = scenario_text(relations, selection, longest=longest)
        parse(text, scenario)  # what cannot be read is not written
        write_file(scenario, text.encode(), "--scenario")
    if svg is not None:
        title = f"{relations.instances} instances of {selection}"
        write_file(svg, order_svg(relations, title).encode(), "--svg")
    if ocel is not None:
        write_file(ocel, log.document(), "--ocel")
    to_stderr = json_file == _STANDARD_OUTPUT
    say = applied(click.echo, err=to_stderr)
    for line in summary_lines(relations, found):
        say(one_line(line))
    if json_file is not None:
        document = json_document(
            "mine", exit_code=0, **instances_as_json(found), **relations_as_json(relations)
        )
        if to_stderr:
            click.echo(document)
        else:
            write_file(json_file, f"{document}\n".encode(), "--json")
    return 0
