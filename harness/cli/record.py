"""``procnotify record``: what the driver of a target that is already there prints."""

from __future__ import annotations

import platform
import signal
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

import harness
from harness.bugcheckcodes import bugcheck_words
from harness.cli._options import connection_argument, debugger_option, duration, log_options, wait_option
from harness.debuggers import debugger_factory
from harness.debuggers.base import TargetInfo
from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import LinesLost, UsageError
from harness.events import Event
from harness.outcome import Outcome
from harness.recorder import Recorder, Recording
from harness.report.explanation import explanation_text
from harness.report.text import printable
from harness.scenario import Scenario, load
from harness.trace import Header, LossCounter, LossReport, TraceWriter
from harness.verdict.judge import judge

__all__ = ["command"]


class _Tape:
    """The events of a recording: shown, kept for the check, written to the trace."""

    def __init__(self, out: Path | None, connection: str, *, keep: bool) -> None:
        self.began = False
        self.count = 0
        self.events: list[Event] = []
        """Empty unless they are to be kept."""
        self.writer: TraceWriter | None = None
        self._keep = keep
        self._loss = LossCounter()
        self._out = out
        self._connection = connection

    def attached(self, info: TargetInfo) -> None:
        """The target is known: begin the trace."""
        self.began = True
        click.echo(
            f"procnotify: attached to build {info.build}, {info.processors} processor(s); Ctrl-C ends it",
            err=True,
        )
        if self._out is None:
            return
        header = Header(
            machine={"type": "recorded", "transport": self._connection.partition(":")[0]},
            debugger=info.debugger_version,
            host={"procnotify": harness.__version__, "python": platform.python_version()},
            target={
                "build": str(info.build),
                "machine_type": f"0x{info.machine_type:x}",
                "processors": str(info.processors),
            },
            started=_now(),
        )
        try:
            self.writer = TraceWriter(self._out, header)
        except OSError as error:
            raise UsageError(
                f"cannot write {self._out}: {error.strerror}", hint="choose another --out"
            ) from None

    def record(self, event: Event) -> None:
        """Take one event."""
        self.count += 1
        self._loss.add(event)
        if self._keep:
            self.events.append(event)
        if self.writer is not None:
            self.writer.write((event,))
        if event.line:
            click.echo(printable(event.line))  # last: what was shown is kept

    def finish(self, outcome: str) -> LossReport:
        """Close the trace; what the driver's numbers prove missing."""
        if self.writer is not None:
            self.writer.finish(outcome=outcome, ended=_now())
        return self._loss.report()


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
@debugger_option
@wait_option
@log_options
def command(
    connection: str, out: Path | None, length: float | None, check: Path | None, debugger: str, wait: float
) -> int:
    """Attach to a running target at CONNECTION and record what is printed there.

    CONNECTION is written as for WinDbg's -k. A serial port that is not there yet, because its machine is not
    started, is waited for. The target halts for a moment when the debugger attaches and when it leaves; it is
    never left halted. A DbgPrompt is answered, a reboot is waited through.

    \b
    Examples:
      procnotify record net:port=50000,key=1.2.3.4 --for 60s --out run.jsonl
      procnotify record com:pipe,port=/run/vm/com1 --check scenarios/notepad-launch.yaml
    """
    scenario = load(check) if check is not None else None
    open_debugger = debugger_factory(debugger)
    if debugger == "native":
        # A reboot may take minutes in which nothing is heard, and is no failure here.
        open_debugger = partial(NativeDebugger, silence=None)
    tape = _Tape(out, connection, keep=scenario is not None)
    recorder = Recorder(open_debugger(connection), tape.attached, tape.record)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    recording = recorder.run(attach_timeout=wait, duration=length)
    if recording.interrupted and not tape.began:
        raise click.Abort
    outcome = _outcome(recording)
    loss = tape.finish(outcome.words)
    _tell(recording, tape, loss)
    if recording.error is not None:
        if outcome is Outcome.of(recording.error):
            raise recording.error
        click.echo(f"procnotify: {recording.error}", err=True)
    if outcome is not Outcome.PASSED:
        return outcome
    if scenario is not None:
        return _check(scenario, tape.events, loss)
    if not loss.complete:
        raise LinesLost(str(loss))
    return outcome


def _outcome(recording: Recording) -> Outcome:
    if recording.bugcheck is not None:
        return Outcome.BUGCHECK
    if recording.unhandled is not None:
        return Outcome.of(recording.unhandled)
    return Outcome.of(recording.error) if recording.error is not None else Outcome.PASSED


def _tell(recording: Recording, tape: _Tape, loss: LossReport) -> None:
    say = partial(click.echo, err=True)
    for stop in recording.stops.lines():
        say(f"procnotify: stopped and let go: {printable(stop)}")
    if recording.bugcheck is not None:
        crash = recording.bugcheck
        words = bugcheck_words(crash.code, crash.parameters, crash.module)
        say(f"procnotify: the target bugchecked: {printable(words)}")
    elif recording.unhandled is not None:
        say(f"procnotify: {printable(str(recording.unhandled))}")
    reboots = f", {recording.reboots} reboot(s)" if recording.reboots else ""
    say(f"procnotify: {tape.count} events{reboots}; {recording.release}")
    if tape.writer is not None:
        say(f"procnotify: trace: {tape.writer.path}")
    if not loss.complete:
        say(f"procnotify: {loss}")


def _check(scenario: Scenario, events: list[Event], loss: LossReport) -> int:
    verdict = judge(scenario, events, {}, loss)
    for text in (verdict.reason, "" if verdict.check is None else explanation_text(verdict.check)):
        if text:
            click.echo(printable(text))
    click.echo(f"procnotify: {scenario.name}: {verdict.outcome.words}", err=True)
    return int(verdict.outcome)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
