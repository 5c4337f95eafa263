"""``show`` of two recordings: beside one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from harness.events import WitnessName
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.outcome import Outcome
from harness.report.showing.sidebyside import Shown, side_by_side, taken
from harness.report.showing.words import Segments
from harness.report.text import one_line
from harness.runs.trace_folder import through_latest
from harness.trace.choice import Choice
from harness.trace.lives import Lives
from harness.trace.readable import Readable
from harness.trace.sources import open_trace
from harness.trace.witness import SeenBy, witness_of

__all__ = ["show_beside"]


def show_beside(
    paths: Iterable[Path],
    choice: Choice,
    *,
    lines: Grammar | None,
    key: Key | None,
    witness: WitnessName | None,
    say: Callable[[Segments], None],
) -> int:
    """Show two recordings beside one another; the exit code, which differences do not change."""
    recordings: list[list[Shown]] = []
    code = Outcome.PASSED
    for path in paths:
        source = open_trace(through_latest(path), lines, key)
        readable = Readable(source)
        seen = SeenBy(readable, witness or witness_of(source.header, source.footer))
        recordings.append(taken(choice.of(seen, Lives())))
        if readable.damage:
            code = Outcome.RIG
            click.echo(f"procnotify: {one_line(f'{path}: not read to its end: {readable.damage}')}", err=True)
    counts: Counter[str] = Counter()
    for mark, line in side_by_side(*recordings):
        counts[mark] += 1
        say(line)
    click.echo(f"{counts['=']} in both, {counts['<']} in the first alone, {counts['>']} in the second alone")
    return int(code)
