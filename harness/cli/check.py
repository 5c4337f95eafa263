"""``procnotify check``: hold a recorded trace to a scenario."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path

import click

from harness.errors import LinesLost, TraceError
from harness.events import Bugcheck, Event
from harness.order import CheckResult, check
from harness.outcome import Outcome
from harness.report.explanation import explanation_text
from harness.report.text import printable
from harness.scenario import Scenario, load
from harness.trace import TraceReader

__all__ = ["command"]

_FILE = click.Path(path_type=Path)


@click.command(short_help="check a recorded trace against a scenario")
@click.argument("trace", type=_FILE)
@click.argument("scenario", type=_FILE)
@click.option("-v", "--verbose", is_flag=True, help="Say which event stood for which line of the scenario.")
def command(trace: Path, scenario: Path, verbose: bool) -> None:
    """Check the order of a recorded TRACE against SCENARIO, without running anything.

    Names that the steps bound when the trace was recorded are taken from its footer.

    \b
    Example:
      procnotify run scenarios/notepad-launch.yaml --trace-dir traces
      procnotify check traces/notepad-launch-1.jsonl scenarios/notepad-launch.yaml

    \b
    Exit codes:
      0  all held
      1  the trace breaks the order or a lifecycle rule
      2  the scenario or the command line is wrong
      3  lines are missing, the trace is cut off or no trace, or it is too ambiguous to be judged
      4  the trace holds a bugcheck
    """
    promised = load(scenario)
    reader = TraceReader(trace)
    sys.exit(_judge(reader, promised, verbose))


def _judge(reader: TraceReader, scenario: Scenario, verbose: bool) -> int:
    # The footer, with the names that the steps bound, stands at the end of the file.
    last: deque[Event] = deque(reader, maxlen=1)
    footer = reader.footer
    if footer is None:
        raise TraceError(
            f"{reader.path}: the trace was cut off; it can be read but not judged",
            hint="record it again to the end",
        )
    if footer.counts.get("bugcheck"):
        found = last[0] if last and isinstance(last[0], Bugcheck) else _bugcheck(reader)
        words = ", ".join(f"0x{parameter:016x}" for parameter in found.parameters)
        click.echo(f"{reader.path}: event {found.index}: bugcheck 0x{found.code:08x} ({words})")
        return int(Outcome.BUGCHECK)
    if not footer.loss.complete and "no_lost_lines" not in scenario.lifecycle_off:
        lost = printable(" ".join(str(footer.loss).split()))
        raise LinesLost(f"{reader.path}: {lost}", hint="nothing is judged when lines are missing")
    result = check(scenario, reader, footer.bindings)
    if not result.passed:
        click.echo(printable(f"{reader.path}: {result.reason}\n{explanation_text(result)}"))
        return int(Outcome.BROKEN if result.broken else Outcome.RIG)
    click.echo(f"{reader.path}: {result.events} events keep the promises of {scenario.name}")
    if verbose:
        _show_witnesses(scenario, result)
    return int(Outcome.PASSED)


def _bugcheck(reader: TraceReader) -> Bugcheck:
    found = next((event for event in reader if isinstance(event, Bugcheck)), None)
    if found is None:
        raise TraceError(f"{reader.path}: the footer counts a bugcheck, but the trace holds none")
    return found


def _show_witnesses(scenario: Scenario, result: CheckResult) -> None:
    for witness in result.witnesses:
        click.echo(f"{scenario.path}:{witness.expectation.line}:")
        for match in witness.matches:
            pattern = match.pattern
            click.echo(f"  line {pattern.line:>4}  {pattern.kind}: event {match.index}")
