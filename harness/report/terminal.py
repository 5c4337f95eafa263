"""What a person sees during a run and after it: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.outcome import Outcome, worst
from harness.report.console import is_live
from harness.report.explanation import account_text
from harness.report.frequency import causes_and_frequencies
from harness.report.text import one_line, printable
from harness.report.totals import scenario_rows, totals_words
from harness.runs.progress import (
    EventCaptured,
    PhaseEntered,
    Progress,
    RunFinished,
    RunRetried,
    RunStarted,
    StepStarted,
)
from harness.runs.result import RunResult
from harness.verdict.causes import Cause, cause_of

__all__ = ["OUTCOME_STYLES", "TerminalReport"]

OUTCOME_STYLES = {
    Outcome.PASSED: "green",
    Outcome.BROKEN: "bold red",
    Outcome.BUGCHECK: "bold white on blue",
    Outcome.RIG: "bold yellow",
    Outcome.USAGE: "bold yellow",
    Outcome.SKIPPED: "yellow",
}
QUIET_SHOWN = 1.0
"""Seconds without an event after which the live line says so."""
TOLD_EVERY = 10.0
"""Seconds between two lines that only say how many runs have ended."""
REFRESH_PER_SECOND = 8
NAMED = 12
"""Of the runs that failed alike so many are named."""


@dataclass
class _Current:
    """The run that is going on."""

    scenario: str
    seed: int
    doing: str = "starting"
    events: int = 0
    started: float = field(default_factory=monotonic)
    heard: float = field(default_factory=monotonic)


class TerminalReport:
    """Subscribes to a run's progress. Use as a context manager around all runs.

    On a terminal a line below the results shows the current scenario, what it does, its events and, when the
    target is quiet, for how long. Elsewhere (a pipe, a CI log) each run is one line when it ends. A failure
    is printed when it happens, so that a log that is cut off has it; at length once for each cause.

    :param console: where to.
    :param runs: how many runs there will be.
    :param quiet: say only what the summary says.
    :param passing: say a line of each run that passed; else now and then how many runs have ended.
    """

    def __init__(self, console: Console, runs: int, *, quiet: bool = False, passing: bool = True) -> None:
        self._console = console
        self._runs = runs
        self._quiet = quiet
        self._passing = passing
        self._failed = 0
        self._told = monotonic()
        self._finished: list[RunResult] = []
        self._causes: dict[Cause, RunResult] = {}
        self._told_besides: set[tuple[Path, str]] = set()
        """Lines about runs that did not fail, each once for a scenario."""
        self._current: _Current | None = None
        self._live = (
            Live(self, console=console, refresh_per_second=REFRESH_PER_SECOND, transient=True)
            if is_live(console)
            else None
        )

    def __enter__(self) -> TerminalReport:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Take one progress value."""
        match progress:
            case RunStarted():
                self._current = _Current(progress.scenario, progress.seed)
            case RunRetried(result):
                self._current = None
                if not self._quiet:
                    self._console.print(_retry_line(result), soft_wrap=True)
            case RunFinished():
                self._current = None
                self._finished.append(progress.result)
                self._failed += progress.result.outcome.failed
                if not self._quiet:
                    self._tell(progress.result)
            case _ if self._current is None:
                pass
            case PhaseEntered():
                self._current.doing = progress.phase
            case StepStarted():
                self._current.doing = progress.text
            case EventCaptured():
                self._current.events += 1
                self._current.heard = monotonic()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The live line."""
        now, current = monotonic(), self._current
        if current is None:
            if self._finished:
                yield self._so_far()
            return
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{len(self._finished) + 1}/{self._runs} ", style="dim")
        line.append(current.scenario, style="bold")
        line.append(f"  {printable(current.doing)}  {current.events} events  {now - current.started:.1f} s")
        if now - current.heard > QUIET_SHOWN:
            line.append(f"  quiet for {now - current.heard:.0f} s", style="yellow")
        yield line

    def summary(self) -> None:
        """The table of all runs, a row a scenario; what did not pass, once for each cause; the totals."""
        if not self._quiet:
            self._console.print(_table(self._finished))
        for alike, often in causes_and_frequencies(self._finished):
            self._console.print(_summary(alike, often), soft_wrap=True)
        self._console.print(_totals(self._finished), soft_wrap=True)

    def _so_far(self) -> Text:
        failed = f", {self._failed} did not pass" if self._failed else ""
        return Text(f"{len(self._finished)} of {self._runs} runs{failed}", no_wrap=True, overflow="ellipsis")

    def _tell(self, result: RunResult) -> None:
        if result.outcome is Outcome.PASSED and not self._passing:
            if self._live is None and monotonic() - self._told > TOLD_EVERY:
                self._told = monotonic()
                self._console.print(self._so_far(), soft_wrap=True)
            return
        self._console.print(_result_line(result), soft_wrap=True)
        if result.observed:
            self._console.print(_indented(f"observed: {result.observed}"), soft_wrap=True)
        if not result.outcome.failed:
            self._tell_besides(result)
            return
        first = self._causes.setdefault(cause_of(result), result)
        told = account_text(result) if first is result else f"the same as in {first.title}\n{_trace(result)}"
        self._console.print(_indented(told), soft_wrap=True)

    def _tell_besides(self, result: RunResult) -> None:
        """What could not be judged of a run that did not fail, and its notes."""
        unjudged = result.not_judged_lines if result.not_judged else ()
        # The last notes say why it was begun anew, which was told when it happened.
        lines = (*unjudged, *result.notes[: len(result.notes) - result.retries])
        shown: list[str] = []
        is_new = False
        for line in lines:
            if not line.startswith(" "):  # what is indented is evidence of the line before it
                is_new = (result.path, line) not in self._told_besides
                self._told_besides.add((result.path, line))
            if is_new:
                shown.append(line)
        if shown:
            self._console.print(_indented("\n".join(shown)), soft_wrap=True)


def _result_line(result: RunResult) -> Text:
    line = Text(f"{result.outcome.words:<14}", style=OUTCOME_STYLES[result.outcome])
    facts = f" {result.scenario:<28} seed {result.seed:<6} {result.seconds:6.2f} s {result.events:7} events"
    line.append(facts, style="default")
    if result.not_judged:
        line.append(f"  {result.not_judged} not judged", style="yellow")
    if result.retries:
        words = "1 retry" if result.retries == 1 else f"{result.retries} retries"
        line.append(f"  after {words}", style="yellow")
    return line


def _retry_line(result: RunResult) -> Text:
    """A run that is given up, and why."""
    line = Text(f"{'begun anew':<14}", style="yellow")
    line.append(f" {result.title}: {one_line(result.reason)}", style="default")
    return line


def _indented(text: str) -> Text:
    return Text("\n".join(f"    {line}".rstrip() for line in printable(text).splitlines()))


def _trace(result: RunResult) -> str:
    return "" if result.trace is None else f"trace: {result.trace}"


def _summary(alike: Sequence[RunResult], often: str) -> Text:
    """What has one cause: the first run with its reason and its trace, and the names of the others."""
    first, *others = alike
    text = Text(f"{first.outcome.words:<14}", style=OUTCOME_STYLES[first.outcome])
    reason = first.reason if str(first.path) in first.reason else f"{first.path}: {first.reason}"
    text.append(f" {first.title}: {one_line(reason)}\n", style="default")
    lines = [_trace(first), often]
    if others:
        names = list(dict.fromkeys(other.title for other in others))
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        lines.append(f"the same in {len(others)} more run(s): {', '.join(names[:NAMED])}{more}")
    text.append_text(_indented("\n".join(line for line in lines if line)))
    text.rstrip()
    return text


def _table(results: Sequence[RunResult]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("scenario")
    table.add_column("result")
    for name in ("runs", "passed", "held", "not judged", "seconds", "events"):
        table.add_column(name, justify="right")
    for row in scenario_rows(results):
        table.add_row(
            row.scenario,
            Text(row.outcome.words, style=OUTCOME_STYLES[row.outcome]),
            str(row.runs),
            str(row.passed),
            row.held,
            row.not_judged,
            f"{row.seconds:.2f}",
            str(row.events),
        )
    return table


def _totals(results: Sequence[RunResult]) -> Text:
    outcome = worst(result.outcome for result in results)
    return Text(totals_words(results), style=OUTCOME_STYLES[outcome])
