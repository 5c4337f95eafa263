"""``procnotify check``: hold a recorded trace to a scenario."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial as applied
from pathlib import Path
from typing import NoReturn

import click

from harness.cli._mining import instances_option
from harness.cli._options import (
    json_option,
    key_option,
    lines_option,
    part_options,
    print_json,
    strict_option,
    without_rule_option,
    witness_option,
)
from harness.cli._outputs import refuse_to_overwrite
from harness.cli._project import project_file_of
from harness.cli._reading import told
from harness.cli._reports import annotate_ci_service, begin_report, finish_html, html_option
from harness.errors import UsageError
from harness.events import WitnessName
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.mining.selection import Selection
from harness.outcome import Outcome, worst
from harness.report.ci.annotations import Annotation
from harness.report.mining.documents import per_instance_as_json
from harness.report.mining.words import left_out_lines
from harness.report.origin import origin_lines
from harness.report.place import place_of
from harness.report.promises import promise_lines
from harness.report.text import one_line, printable
from harness.report.verdict import verdict_as_json, verdict_text
from harness.runs.trace_folder import through_latest
from harness.scenario import Scenario, load
from harness.trace.sources import open_trace
from harness.verdict.judge import Verdict
from harness.verdict.judgedrun import JudgedRun
from harness.verdict.perinstance import PerInstance, judge_instances
from harness.verdict.recording import judge_recording

__all__ = ["command"]

_FILE = click.Path(path_type=Path)


@click.command(short_help="check a recorded trace against a scenario")
@click.argument("trace", type=_FILE)
@click.argument("scenario", type=_FILE)
@click.option("-v", "--verbose", is_flag=True, help="Say which event stood for which line of the scenario.")
@click.option(
    "--partial",
    is_flag=True,
    help="Judge what there is of a trace that was cut off or whose run ended early; the result says so.",
)
@lines_option
@key_option
@strict_option
@witness_option
@without_rule_option
@part_options
@instances_option
@html_option
@json_option
def command(
    trace: Path,
    scenario: Path,
    verbose: bool,
    partial: bool,
    lines: Grammar | None,
    key: Key | None,
    strict: bool,
    witness: WitnessName | None,
    rules_off: frozenset[str],
    bind: tuple[str, ...],
    first: str | None,
    last: str | None,
    selection: Selection | None,
    html: Path | None,
    as_json: bool,
) -> NoReturn:
    """Check the order of a recorded TRACE against SCENARIO, without running anything.

    TRACE is a trace that run or record wrote, a text log of the lines that a driver printed (which has no
    footer, so it wants --partial), or a recording of another tool (docs/recordings.md). Names that the steps
    bound when the trace was recorded are taken from its footer; how the run ended and what was lost is not,
    that is found out from the events.

    \b
    Examples:
      procnotify run scenarios/notepad-launch.yaml --trace-dir traces
      procnotify check traces/latest/notepad-launch-1.jsonl scenarios/notepad-launch.yaml
      procnotify check run.jsonl life.yaml --bind notepad=1560 \\
        --from "begin launch id=2" --to "end terminate id=3"
      procnotify check windbg.log life.yaml --partial --lines mydriver.lines.yaml
      procnotify check Logfile.CSV mined.yaml --select image=notepad.exe
      procnotify check Logfile.CSV scenarios/notepad-launch.yaml --bind notepad=8156

    \b
    Exit codes (docs/verdicts.md has every situation):
      0  all held
      1  the trace breaks the order, a lifecycle or a standing rule, or shows another fault of the driver
      2  the scenario or the command line is wrong
      3  nothing can be said: lines are missing, the run failed or was interrupted, the trace is cut off or
         no trace, the driver was not heard, or the trace is too ambiguous to be judged; with --strict, a
         promise could not be judged
      4  the trace holds a bugcheck
      5  nothing of the scenario could be judged: the driver's lines tell nothing of it
    """
    project = project_file_of(click.get_current_context())
    if verbose and project is not None:
        click.echo(f"procnotify: {one_line(f'defaults from {project}')}", err=True)
    promised = load(scenario).without_rules(rules_off)
    if html is not None:
        if selection is not None:
            raise UsageError("--html is of one recording, not of its instances", hint="leave out --select")
        refuse_to_overwrite({"--html": html}, (through_latest(trace), scenario))
        begin_report(html, "--html")
    source = told(open_trace(through_latest(trace), lines or promised.lines, key))
    if selection is not None:
        if first is not None or last is not None:
            raise UsageError("--select and --from or --to cut the trace in two ways", hint="give one of them")
        judged = judge_instances(source, promised, selection, bind=bind, strict=strict, witness=witness)
        _say_instances(trace, promised, judged, to_stderr=as_json)
        if as_json:
            body = per_instance_as_json(judged)
            print_json(trace=trace, scenario=promised.name, file=promised.path, **body)
        sys.exit(int(judged.outcome))
    verdict = judge_recording(
        source,
        promised,
        bind=bind,
        first=first,
        last=last,
        partial=partial,
        strict=strict,
        witness=witness,
    )
    _say(trace, promised, verdict, verbose, to_stderr=as_json)
    if verdict.outcome.failed:
        annotate_ci_service([_annotation(str(trace), promised, verdict)], to_stderr=as_json)
    if verbose:
        for line in origin_lines(source.header, source.footer):
            click.echo(printable(line), err=as_json)
    if as_json:
        print_json(trace=trace, scenario=promised.name, file=promised.path, **verdict_as_json(verdict))
    code = verdict.outcome
    if html is not None:
        run = JudgedRun(promised.name, promised.path, None, verdict, trace=through_latest(trace))
        for failed in finish_html(html, [run], source=source):
            click.echo(f"procnotify: {one_line(str(failed))}", err=True)
            code = worst((code, Outcome.of(failed)))
    sys.exit(int(code))


def _say(trace: Path, scenario: Scenario, verdict: Verdict, verbose: bool, *, to_stderr: bool) -> None:
    """The result on standard output; what says nothing about the driver on standard error."""
    say = applied(click.echo, err=to_stderr)
    if verdict.outcome is Outcome.PASSED:
        partial = f"; judged in part: {verdict.partial}" if verdict.partial else ""
        say(printable(f"{trace}: {verdict.events} events keep the promises of {scenario.name}{partial}"))
        if verdict.observed:
            say(printable(f"observed: {verdict.observed}"))
        for line in promise_lines(verdict.held, verdict.not_judged, verdict.not_judged_lines):
            say(printable(line))
        if verbose:
            _show_witnesses(scenario, verdict, to_stderr=to_stderr)
    elif verdict.outcome is Outcome.SKIPPED:
        say(printable(f"{trace}: skipped: nothing of {scenario.name} can be judged"))
        for line in verdict.not_judged_lines:
            say(printable(line))
    elif verdict.outcome is Outcome.RIG:
        click.echo(f"procnotify: {one_line(f'{trace}: {verdict.line}')}", err=True)
    else:
        place = "" if verdict.bugcheck is None else f"event {verdict.bugcheck.index}: "
        say(printable(f"{trace}: {place}{verdict_text(verdict)}"))
        return
    if verdict.outcome is Outcome.RIG:
        for line in verdict.not_judged_lines:
            click.echo(f"procnotify: {printable(line)}", err=True)
    for note in verdict.notes:
        click.echo(f"procnotify: {printable(note)}", err=True)


def _annotation(where: str, scenario: Scenario, verdict: Verdict) -> Annotation:
    judged = JudgedRun(scenario.name, scenario.path, None, verdict)
    title = f"{verdict.outcome.words}: {judged.title}"
    return Annotation.of(place_of(judged), title, f"{verdict_text(verdict)}\n{where}")


def _say_instances(trace: Path, scenario: Scenario, judged: PerInstance, *, to_stderr: bool) -> None:
    """How many kept the promises, and at length the first of those that decide the exit code."""
    for line in left_out_lines(judged.found):
        click.echo(f"procnotify: {one_line(line)}", err=True)
    if not judged.instances:
        _say(trace, scenario, judged.recording, False, to_stderr=to_stderr)
        return
    for note in judged.recording.notes:
        click.echo(f"procnotify: {printable(note)}", err=True)
    counts = Counter(each.verdict.outcome for each in judged.instances)
    what = f"{counts[Outcome.PASSED]} of {len(judged.instances)} instances of {judged.found.selection}"
    skipped = counts[Outcome.SKIPPED]
    unjudged = f"; of {skipped} nothing can be judged" if skipped else ""
    click.echo(one_line(f"{trace}: {what} keep the promises of {scenario.name}{unjudged}"), err=to_stderr)
    shown = next(each for each in judged.instances if each.verdict.outcome is judged.outcome)
    of = "" if shown.pid is None else f", PID {shown.pid}"
    where = f"{trace}: instance {shown.number}{of}, events {shown.first} to {shown.last}"
    _say(Path(where), scenario, shown.verdict, False, to_stderr=to_stderr)
    if shown.verdict.outcome.failed:
        annotate_ci_service([_annotation(where, scenario, shown.verdict)], to_stderr=to_stderr)


def _show_witnesses(scenario: Scenario, verdict: Verdict, *, to_stderr: bool) -> None:
    assert verdict.check is not None
    for witness in verdict.check.witnesses:
        click.echo(f"{scenario.path}:{witness.expectation.line}:", err=to_stderr)
        for match in witness.matches:
            pattern = match.pattern
            click.echo(f"  line {pattern.line:>4}  {pattern.kind}: event {match.index}", err=to_stderr)
