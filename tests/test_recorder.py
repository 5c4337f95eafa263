"""A recording that something ends early: what was heard is kept, and judged, whatever it was."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from run_doubles import ScriptedDebugger

import harness
import harness.api
import harness.cli.record
from harness.debuggers.base import DebuggerEvent, Release, TargetInfo
from harness.debuggers.stops import StopTally
from harness.errors import InternalError, ProcnotifyError, TargetLost
from harness.events import Event
from harness.outcome import Outcome
from harness.recorder import Recorder, Recording
from harness.recording import Tape
from harness.scenario import parse
from harness.trace import TraceReader

HEARD = "[procnotify] OnProcessNotify PPID(4) created PID(100)"
LATER = "[procnotify] OnProcessNotify PPID(4) created PID(104)"
CONNECTION = "net:port=50000,key=1.2.3.4"


class FailingDebugger(ScriptedDebugger):
    """Hears a line, then fails; another line and a half was on its way."""

    def __init__(self, error: BaseException, *, letting_go: bool = False) -> None:
        super().__init__()
        self.say(f"{HEARD}\n")
        self._error: BaseException | None = error
        self._letting_go = letting_go

    def receive(self, *, timeout: float) -> DebuggerEvent | None:
        if not self.queue and self._error is not None:
            error, self._error = self._error, None
            self.say(f"{LATER}\n", "half a line")
            raise error
        return super().receive(timeout=timeout)

    def detach(self, *, timeout: float) -> Release:
        if self._letting_go:
            raise ValueError("no way")
        return super().detach(timeout=timeout)


ERRORS = [TargetLost("the link died"), ValueError("unforeseen"), MemoryError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_was_heard_before_an_error_is_kept(error: Exception) -> None:
    events: list[Event] = []
    recording = Recorder(FailingDebugger(error), lambda info: None, events.append).run(
        attach_timeout=1, duration=60
    )
    assert [event.line for event in events] == [HEARD, LATER, "half a line"]
    assert recording.release.running
    assert recording.error is error or (
        isinstance(recording.error, InternalError) and recording.error.__cause__ is error
    )


def test_a_debugger_that_cannot_let_go_is_an_error_beside_the_first_one() -> None:
    events: list[Event] = []
    debugger = FailingDebugger(TargetLost("the link died"), letting_go=True)
    recording = Recorder(debugger, lambda info: None, events.append).run(attach_timeout=1, duration=60)
    assert len(events) == 3
    assert isinstance(recording.error, TargetLost)
    assert recording.release.running is None


def test_what_ends_an_attach_is_raised() -> None:
    class Unattachable(ScriptedDebugger):
        def attach(self, *, timeout: float) -> TargetInfo:
            raise ValueError("unforeseen")

    with pytest.raises(InternalError, match="ValueError: unforeseen"):
        Recorder(Unattachable(), lambda info: None, lambda event: None).run(attach_timeout=1, duration=60)


def debugger_of(make: Callable[[], ScriptedDebugger]) -> Callable[..., object]:
    """What stands in for :func:`harness.debuggers.debugger_factory`."""
    return lambda name: lambda connection: make()


def test_the_trace_of_a_command_that_fails_has_its_footer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "t.jsonl"
    failing = debugger_of(lambda: FailingDebugger(ValueError("unforeseen")))
    monkeypatch.setattr(harness.cli.record, "debugger_factory", failing)
    words = [CONNECTION, "--debugger", "pykd", "--out", str(out)]
    result = CliRunner().invoke(harness.cli.record.command, words, standalone_mode=False)
    assert result.exception is None
    assert result.return_value == Outcome.RIG
    assert "internal error: ValueError: unforeseen; the traceback is in" in result.stderr
    trace = TraceReader(out)
    assert [event.line for event in trace] == [HEARD, LATER, "half a line"]
    assert trace.footer is not None
    assert (trace.footer.complete, trace.footer.outcome) == (False, "rig failed")
    assert trace.footer.reason.startswith("internal error: ValueError: unforeseen")


def test_what_a_callers_function_raises_is_raised_to_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "t.jsonl"
    monkeypatch.setattr(harness.api, "debugger_factory", debugger_of(lambda: FailingDebugger(KeyError())))

    def refuse(event: Event) -> None:
        raise ZeroDivisionError(event.line)

    with pytest.raises(ZeroDivisionError, match="created"):
        harness.record(CONNECTION, debugger="pykd", out=out, on_event=refuse)
    trace = TraceReader(out)
    assert [event.line for event in trace][:1] == [HEARD]
    assert trace.footer is not None
    assert "ZeroDivisionError" in trace.footer.reason


# --- what is kept of the events ---

RECORDING = Recording(Release(True, "it says so"), None, 0, StopTally(), None, False, None)
ANY_CREATION = parse("scenario: s\nsummary: s.\nexpect:\n  order: [process_create: any]\n", Path("s.yaml"))


def lines(count: int, start: int = 0) -> list[Event]:
    return [
        harness.ProcessCreate(index=n, line=f"line {n}", pid=4 * n + 4, parent_pid=0)
        for n in range(start, start + count)
    ]


def test_a_recording_without_a_trace_is_checked_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Tape(None, CONNECTION, keep=True, show=lambda event: None) as tape:
        tape.begin(TargetInfo(18362, 0x8664, 1, 0, "scripted"))
        for event in lines(3):
            tape.record(event)
        assert tape.finish(RECORDING).outcome is Outcome.PASSED
        checked = tape.check(ANY_CREATION, RECORDING, bindings={})
        part = tape.check(ANY_CREATION, RECORDING, bindings={}, first="line 1", last="line 2")
        assert tape.trace is None
        assert list(tmp_path.iterdir())
    assert (checked.outcome, checked.events) == (Outcome.PASSED, 3)
    assert (part.outcome, part.events) == (Outcome.PASSED, 2)
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_a_recording(tmp_path: Path) -> None:
    with Tape(tmp_path / "t.jsonl", CONNECTION, keep=True, show=lambda event: None) as tape:
        tape.begin(TargetInfo(18362, 0x8664, 1, 0, "scripted"))
        for event in lines(2_000):
            tape.record(event)
        tracemalloc.start()
        try:
            for n in range(2_000, 6_000, 100):
                for event in lines(100, n):
                    tape.record(event)
            del event
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 100_000, "4,000 events have more than a megabyte"
        tape.finish(RECORDING)
        assert tape.check(ANY_CREATION, RECORDING, bindings={}).events == 6_000


def test_a_part_whose_end_was_to_come_is_not_the_users_mistake(tmp_path: Path) -> None:
    """The link died before the line that ``--to`` names: the rig's fault, not the command line's."""
    lost: ProcnotifyError = TargetLost("the link died")
    broken_off = Recording(Release(True, "it says so"), None, 0, StopTally(), None, False, lost)
    with Tape(tmp_path / "t.jsonl", CONNECTION, keep=True, show=lambda event: None) as tape:
        tape.begin(TargetInfo(18362, 0x8664, 1, 0, "scripted"))
        tape.record(lines(1)[0])
        tape.record(harness.Bugcheck(index=1, code=0xD1, parameters=(0, 0, 0, 0)))
        assert tape.finish(broken_off).outcome is Outcome.BUGCHECK
        verdict = tape.check(ANY_CREATION, broken_off, bindings={}, last="to come")
    assert verdict.outcome is Outcome.BUGCHECK
    with Tape(tmp_path / "t.jsonl", CONNECTION, keep=True, show=lambda event: None) as tape:
        tape.begin(TargetInfo(18362, 0x8664, 1, 0, "scripted"))
        tape.record(lines(1)[0])
        tape.finish(broken_off)
        verdict = tape.check(ANY_CREATION, broken_off, bindings={}, last="to come")
        assert (verdict.outcome, verdict.reason) == (Outcome.RIG, "the link died")
        with pytest.raises(harness.UsageError, match="no line of the recording holds 'to come'"):
            tape.check(ANY_CREATION, RECORDING, bindings={}, last="to come")
