"""``procnotify record``: what the driver of a target that is already there prints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from harness.cli._options import (
    connection_argument,
    debugger_option,
    duration,
    json_option,
    lines_option,
    log_options,
    part_options,
    print_json,
    strict_option,
    wait_option,
    without_rule_option,
    witness_option,
)
from harness.debuggers import check_recorded_witness, debugger_factory
from harness.debuggers.base import TargetInfo
from harness.debuggers.native.debugger import NativeDebugger
from harness.events import Disconnect, Event, WitnessName
from harness.lines import Grammar
from harness.outcome import Outcome
from harness.recorder import Recorder, Recording
from harness.recording import Tape
from harness.report.explanation import event_words
from harness.report.runs_json import release_as_json
from harness.report.text import one_line, printable
from harness.report.verdict import verdict_as_json, verdict_text
from harness.scenario import Scenario, load
from harness.verdict.judge import Verdict
from harness.verdict.part import bound_by_hand

__all__ = ["command"]


@click.command(short_help="record what the driver of a target that is already there prints")
@connection_argument(required=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write a trace.")
@click.option(
    "--for",
    "length",
    callback=duration,
    metavar="TIME",
    help="How long: 60s, 5m. Without it until Ctrl-C.",
)
@click.option(
    "--check", type=click.Path(path_type=Path), metavar="SCENARIO", help="Check the order against a scenario."
)
@lines_option
@part_options
@strict_option
@witness_option
@without_rule_option
@debugger_option
@wait_option
@log_options
@json_option
def command(
    connection: str,
    out: Path | None,
    length: float | None,
    check: Path | None,
    lines: Grammar | None,
    bind: tuple[str, ...],
    first: str | None,
    last: str | None,
    strict: bool,
    witness: WitnessName | None,
    rules_off: frozenset[str],
    debugger: str,
    wait: float,
    as_json: bool,
) -> int:
    """Attach to a running target at CONNECTION and record what is printed there.

    CONNECTION is written as for WinDbg's -k. A serial port that is not there yet, because its machine is not
    started, is waited for. With ",reconnect" one that is closed is opened again, and the place is in the
    trace; with ",server" the machine connects to the debugger. The target halts for a moment when the
    debugger attaches and when it leaves. A DbgPrompt is answered, a reboot is waited through.

    The target is let go on every way out, and breaks in once more to prove that it runs. One that cannot be
    proved to run, because its machine is paused or its link is dead, is exit code 3: attach once more when it
    is back, which lets it go.

    \b
    Examples:
      procnotify record "net:port=50000,key=1.2.3.4" --for 60s --out run.jsonl
      procnotify record "com:pipe,port=/run/vm/com1" --check scenarios/notepad-launch.yaml
      procnotify record "com:pipe,port=\\\\.\\pipe\\kd1,reconnect"
      procnotify record "net:port=50000,key=1.2.3.4" --for 60s --witness breakpoint --out run.jsonl
      procnotify record "net:port=50000,key=1.2.3.4" --for 60s --check life.yaml --bind notepad=1560 \\
        --from "PID(1560)" --to "PID(1560) was terminated"

    \b
    Exit codes (docs/verdicts.md has every situation):
      0  recorded; with --check: all held
      1  an exception that nothing handled; with --check: the order or a lifecycle rule is broken
      2  the command line or the scenario is wrong
      3  no connection, the target lost or not proved to run afterwards, lines missing (or, with
         reconnect, perhaps missing), no trace written; with --check: the driver was not heard, or,
         with --strict, a promise could not be judged
      4  the target bugchecked
      5  with --check: nothing of the scenario could be judged
    """
    if check is None and (bind or first is not None or last is not None or strict or rules_off):
        raise click.UsageError("--bind, --from, --to, --strict and --without-rule are for --check")
    scenario = load(check).without_rules(rules_off) if check is not None else None
    bindings = bound_by_hand(scenario, bind) if scenario is not None else {}
    grammar = lines or (scenario.lines if scenario is not None else None)
    seen_by = witness or "print"
    check_recorded_witness(seen_by, debugger)
    open_debugger = debugger_factory(debugger)
    if debugger == "native":
        # A reboot may take minutes in which nothing is heard, and is no failure here.
        open_debugger = partial(NativeDebugger, silence=None)
    say = partial(click.echo, err=as_json)
    with Tape(
        out,
        connection,
        keep=scenario is not None,
        show=partial(_show, say),
        grammar=grammar,
        witness=seen_by,
    ) as tape:
        recorder = Recorder(
            open_debugger(connection),
            partial(_attached, tape),
            tape.record,
            grammar,
            callbacks=seen_by == "breakpoint",
        )
        click.echo(f"procnotify: waiting for the target, at most {wait:g} s; Ctrl-C ends it", err=True)
        recording = recorder.run(attach_timeout=wait, duration=length)
        if recording.interrupted and not tape.began:
            raise click.Abort
        verdict = tape.finish(recording)
        _tell(recording, tape)
        if scenario is not None:
            verdict = tape.check(
                scenario, recording, bindings=bindings, first=first, last=last, strict=strict
            )
    if recording.error is not None and verdict.outcome is not Outcome.of(recording.error):
        click.echo(f"procnotify: {one_line(str(recording.error))}", err=True)
    _tell_verdict(verdict, scenario, to_stderr=as_json)
    if as_json:
        print_json(
            trace=tape.trace,
            scenario=None if scenario is None else scenario.name,
            reboots=recording.reboots,
            release=release_as_json(recording.release),
            **verdict_as_json(verdict),
        )
    return int(verdict.outcome)


def _show(say: Callable[[str], None], event: Event) -> None:
    if event.line:
        say(printable(event.line))
    elif event.witness != "print":
        say(printable(event_words(event)))
    elif isinstance(event, Disconnect):
        click.echo("procnotify: the connection was closed; waiting for it to come back", err=True)


def _attached(tape: Tape, info: TargetInfo) -> None:
    click.echo(
        f"procnotify: attached to build {info.build}, {info.processors} processor(s); Ctrl-C ends it",
        err=True,
    )
    tape.begin(info)


def _tell(recording: Recording, tape: Tape) -> None:
    """How the recording went, whatever it means."""
    say = partial(click.echo, err=True)
    for stop in recording.stops.lines():
        say(f"procnotify: stopped and let go: {printable(stop)}")
    for registered in recording.registered:
        say(f"procnotify: {printable(str(registered))}")
    reboots = f", {recording.reboots} reboot(s)" if recording.reboots else ""
    say(f"procnotify: {tape.events} events{reboots}; {recording.release}")
    if tape.trace is not None:
        say(f"procnotify: trace: {tape.trace}")


def _tell_verdict(verdict: Verdict, scenario: Scenario | None, *, to_stderr: bool) -> None:
    if scenario is not None and verdict.outcome is Outcome.BROKEN:
        click.echo(printable(verdict_text(verdict)), err=to_stderr)
    else:
        for line in filter(None, (verdict.line, *verdict.not_judged_lines, *verdict.notes)):
            click.echo(f"procnotify: {one_line(line)}", err=True)
    if scenario is not None:
        click.echo(f"procnotify: {scenario.name}: {verdict.outcome.words}", err=True)
