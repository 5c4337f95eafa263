"""``procnotify show``: what is in a recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from time import sleep
from typing import Final

import click
from rich.text import Text

from harness.cli._beside import show_beside
from harness.cli._exports import rows_to, write_table
from harness.cli._options import (
    given_beside,
    json_option,
    key_option,
    lines_option,
    print_json,
    witness_option,
)
from harness.cli._outputs import refuse_to_overwrite, write_file
from harness.cli._reading import reading_progress
from harness.errors import UsageError
from harness.events import KINDS, Event, WitnessName
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.outcome import Outcome
from harness.report.console import make_console
from harness.report.html.page import recording_page
from harness.report.html.selection import MAX_EVENTS
from harness.report.html.timeline import Timeline
from harness.report.origin import origin_lines
from harness.report.showing.perfetto import PerfettoTimeline
from harness.report.showing.table import HEADING, event_line
from harness.report.showing.tree import ProcessTree
from harness.report.showing.words import Segments, plain
from harness.report.text import one_line
from harness.runs.trace_folder import through_latest
from harness.trace.choice import Bound, Choice, parse_bound
from harness.trace.following import FollowedTrace
from harness.trace.lives import MAX_LIVES, Lives
from harness.trace.readable import Readable
from harness.trace.sources import TraceSource, open_trace
from harness.trace.witness import SeenBy, is_seen_by, witness_of

__all__ = ["command"]

_FILE = click.Path(path_type=Path)
_POLL_SECONDS: Final = 0.25
"""Between two looks at a trace that is being written."""
_CHOICE: Final = frozenset({"trace", "kinds", "image", "first", "last", "witness"})
_OF_TWO: Final = _CHOICE | {"second", "processes", "lines", "key"}
_OF_FOLLOWED: Final = _CHOICE | {"follow", "table"}
"""What can be said beside it; whose process an event is about is known at a recording's end alone."""


def _bound(ctx: click.Context, param: click.Parameter, value: str | None) -> Bound | None:
    return None if value is None else parse_bound(value)


@click.command(short_help="show a recording: its processes as a tree, its events as a table or a timeline")
@click.argument("trace", type=_FILE)
@click.argument("second", required=False, type=_FILE)
@click.option("--table", is_flag=True, help="A line an event, not a tree of the processes.")
@click.option(
    "-v", "--verbose", is_flag=True, help="List threads and images in the tree, not only their number."
)
@click.option("--follow", is_flag=True, help="A line an event of a trace that is being written, as it comes.")
@click.option(
    "--process",
    "processes",
    multiple=True,
    metavar="NAME|PID",
    help="Only events about this process. More than once: of these processes.",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(list(KINDS)),
    help="Only events of this kind; so, too.",
)
@click.option(
    "--image",
    default="",
    metavar="GLOB",
    help="Only events with an image or program whose path or file name fits.",
)
@click.option(
    "--from",
    "first",
    callback=_bound,
    metavar="TIME|INDEX",
    help="Only events from this index (812) or target time (30.5s, 500ms, 5m) on.",
)
@click.option("--to", "last", callback=_bound, metavar="TIME|INDEX", help="Only events up to it, and at it.")
@click.option(
    "--perfetto", type=_FILE, metavar="F", help="Write a timeline to F that https://ui.perfetto.dev opens."
)
@click.option("--html", type=_FILE, metavar="F", help="Write a page of the events to F that a browser opens.")
@click.option("--csv", type=_FILE, metavar="F", help="Write a row an event to F, for a spreadsheet.")
@click.option(
    "--parquet", type=_FILE, metavar="F.parquet", help="Write all events to F as a table, as convert does."
)
@lines_option
@key_option
@witness_option
@json_option
def command(
    trace: Path,
    second: Path | None,
    table: bool,
    verbose: bool,
    follow: bool,
    processes: tuple[str, ...],
    kinds: tuple[str, ...],
    image: str,
    first: Bound | None,
    last: Bound | None,
    perfetto: Path | None,
    html: Path | None,
    csv: Path | None,
    parquet: Path | None,
    lines: Grammar | None,
    key: Key | None,
    witness: WitnessName | None,
    as_json: bool,
) -> int:
    """Show what is in TRACE, any file that check reads: the processes as a tree, each with how many threads
    and images it had, when it was created and how long it lived (target time).

    A filter leaves events out. The tree has the processes that the events left are about, and those above
    them. There are colours on a terminal only.

    With SECOND the two are put beside one another, a line a pair of events that say the same but for PIDs,
    TIDs and addresses; `compare` says in which fields two recordings of one run differ.

    \b
    Examples:
      procnotify show traces/latest/notepad-launch-1.jsonl
      procnotify show Logfile.CSV --process notepad.exe -v
      procnotify show run.jsonl --table --kind image_load --image "*.dll" --from 30.5s
      procnotify show sysmon.evtx --perfetto timeline.json
      procnotify show Logfile.CSV --process notepad.exe --html notepad.html
      procnotify show run.jsonl --csv images.csv --kind image_load
      procnotify show run.jsonl --follow --kind process_create
      procnotify show good.jsonl bad.jsonl --process notepad.exe

    \b
    Exit codes:
      0  shown, also where no event passes the filters
      2  the command line is wrong, or F cannot be written or would be too large
      3  TRACE cannot be read, or is damaged: what stands before that is shown
    A trace that is followed is shown to its footer; after Ctrl-C it is 130.
    """
    if table and as_json:
        raise UsageError("--json is of the tree, not of the table", hint="leave --table out")
    refuse_to_overwrite(
        {"--perfetto": perfetto, "--html": html, "--csv": csv, "--parquet": parquet}, (through_latest(trace),)
    )
    choice = Choice(processes, kinds, image, first, last)
    if second is not None:
        if other := given_beside(_OF_TWO):
            raise UsageError(f"{other} is of one recording", hint=f"leave out {other}, or {second}")
        return show_beside(
            (trace, second), choice, lines=lines, key=key, witness=witness, say=_printer(as_json=False)
        )
    source: TraceSource
    if follow:
        if other := given_beside(_OF_FOLLOWED):
            raise UsageError(f"--follow cannot do {other}", hint=f"leave out {other}")
        source, table = FollowedTrace(through_latest(trace), partial(sleep, _POLL_SECONDS)), True
    else:
        source = open_trace(through_latest(trace), lines, key)
    readable = Readable(source)
    seen: Iterable[Event] = SeenBy(readable, witness or witness_of(source.header, source.footer))
    if follow:  # each event at once
        seen = (each for each in readable if is_seen_by(each, witness or source.header.witness or "print"))
    if parquet is not None:
        if choice or witness is not None:
            raise UsageError("--parquet has all events", hint="leave out the filters, or write --csv")
        write_table(source, parquet)
    lives, tree = Lives(), ProcessTree(lists=verbose)
    timeline = PerfettoTimeline() if perfetto is not None else None
    drawn = Timeline(lives) if html is not None else None
    say = _printer(as_json=as_json)
    progress = None if follow else reading_progress()
    with rows_to(csv) as rows:
        for event, life in choice.of(seen if progress is None else progress.over(seen), lives):
            if table:
                if not tree.counts:
                    say([(HEADING, "bold")])
                say(event_line(event))
            tree.take(event, life)
            if timeline is not None:
                timeline.take(event, life)
            if drawn is not None:
                if len(drawn) == MAX_EVENTS:
                    raise UsageError(
                        f"the page would have more than {MAX_EVENTS} events",
                        hint="take a part of the recording by --from and --to, or by --process",
                    )
                drawn.take(event, life)
            if rows is not None:
                rows.take(event, life)
    if not table and not as_json:
        for line in tree.lines(lives):
            say(line)
    if timeline is not None and perfetto is not None:
        write_file(perfetto, timeline.file(lives), "--perfetto")
    about = [*_summary(tree, lives, choice), *origin_lines(source.header, source.footer)]
    if drawn is not None and html is not None:
        write_file(html, recording_page(trace.name, about, drawn).encode(), "--html")
    for text in about:
        click.echo(one_line(text), err=as_json or table)
    if readable.damage:
        click.echo(f"procnotify: {one_line(f'{trace}: not read to its end: {readable.damage}')}", err=True)
    code = Outcome.RIG if readable.damage else Outcome.PASSED
    if as_json:
        print_json(
            exit_code=int(code),
            recording=trace,
            source=source.header.machine.get("source"),
            events=tree.counts.total(),
            counts=dict(tree.counts),
            boots=lives.boots,
            processes=tree.document(lives),
            unlisted=tree.unlisted,
            beyond=lives.beyond,
            order=source.header.order,
            unordered=source.header.unordered,
            left_out=source.footer.left_out if source.footer is not None else {},
            damage=readable.damage,
        )
    return int(code)


def _printer(*, as_json: bool) -> Callable[[Segments], None]:
    """What shows a line: with colours on a terminal."""
    console = make_console()

    def say(line: Segments) -> None:
        if as_json or console.color_system is None:
            click.echo(plain(line), err=as_json)
        else:
            console.print(Text.assemble(*line), soft_wrap=True)

    return say


def _summary(tree: ProcessTree, lives: Lives, choice: Choice) -> Iterator[str]:
    events = tree.counts.total()
    if events:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(tree.counts.items()))
        yield f"{events} events: {kinds}"
    else:
        yield "no event passes the filters" if choice else "there is no event in it"
    if tree.unlisted:
        yield f"{tree.unlisted} further threads and images are not listed"
    if lives.beyond:
        yield f"{lives.beyond} events about processes after the first {MAX_LIVES} are in no process"
