"""The tape of a recording: events counted, written to a trace, and judged at the end from there."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import harness
from harness.debuggers.base import TargetInfo
from harness.errors import UsageError
from harness.events import Event, WitnessName
from harness.grammars import described
from harness.lines import Grammar
from harness.recorder import Recording
from harness.scenario import Scenario
from harness.trace import Header, TraceReader, TraceWriter
from harness.trace.witness import SeenBy, is_seen_by
from harness.verdict.ending import Ending
from harness.verdict.judge import Verdict, judge
from harness.verdict.part import judge_part
from harness.verdict.survey import Survey

__all__ = ["Tape"]


class Tape:
    """Takes the events of one recording; memory does not grow with their number.

    A context manager: left without :meth:`finish`, the trace stays cut off.

    :param out: the trace to write; None: none.
    :param connection: the target's, as the user wrote it; the trace has its kind only, for it holds the key.
    :param keep: keep the events for :meth:`check`: where no trace is asked for, in one in the temporary
        folder, which is gone afterwards.
    :param show: called with each event once it is kept.
    :param grammar: by which the driver's lines are read; None: the built-in one.
    :param witness: whose events are judged.
    """

    def __init__(
        self,
        out: Path | None,
        connection: str,
        *,
        keep: bool,
        show: Callable[[Event], None],
        grammar: Grammar | None = None,
        witness: WitnessName = "print",
    ) -> None:
        self._witness: WitnessName = witness
        self.events = 0
        """How many came, whoever saw them."""
        self.survey = Survey(grammar)
        self.began = False
        """The target was there."""
        self._keep = keep
        self._show = show
        self._out = out
        self._afterwards = ExitStack()
        self._transport = connection.partition(":")[0]
        self._writer: TraceWriter | None = None

    def __enter__(self) -> Tape:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._afterwards.close()

    @property
    def trace(self) -> Path | None:
        """The trace that was asked for, once it was begun."""
        return self._out if self._writer is not None else None

    def begin(self, info: TargetInfo) -> None:
        """The target is known: begin the trace.

        :raises UsageError: no trace can be written there.
        :raises TraceError: the disk is full.
        """
        self.began = True
        if self._out is None and not self._keep:
            return
        header = Header(
            machine={"type": "recorded", "transport": self._transport},
            debugger=info.debugger_version,
            lines=described(self.survey.grammar),
            host={"procnotify": harness.__version__, "python": platform.python_version()},
            target=info.facts,
            started=_now(),
        )
        try:
            self._writer = TraceWriter(self._out or self._temporary(), header)
        except OSError as error:
            raise UsageError(
                f"cannot write {error.filename}: {error.strerror}", hint="choose another --out"
            ) from None
        self._afterwards.callback(self._writer.close)

    def _temporary(self) -> Path:
        folder = tempfile.TemporaryDirectory(prefix="procnotify-recording-")
        return Path(self._afterwards.enter_context(folder)) / "recording.jsonl"

    def record(self, event: Event) -> None:
        """Take one event.

        :raises TraceError: it cannot be written.
        """
        self.events += 1
        if is_seen_by(event, self._witness):
            self.survey.feed((event,))
        if self._writer is not None:
            self._writer.write((event,))
        self._show(event)  # last: what was shown is kept

    def finish(self, recording: Recording) -> Verdict:
        """Judge the capture itself, and close the trace with that.

        :raises TraceError: the footer cannot be written.
        """
        ending = _ending(recording)
        verdict = judge(
            None, (), {}, survey=self.survey, ending=ending, release=recording.release, witness=self._witness
        )
        if self._writer is not None:
            self._writer.finish(
                complete=ending is None,
                outcome=verdict.outcome.words,
                reason=verdict.line,
                witness=self._witness,
                ended=_now(),
            )
        return verdict

    def check(
        self,
        scenario: Scenario,
        recording: Recording,
        *,
        bindings: Mapping[str, int],
        first: str | None = None,
        last: str | None = None,
        strict: bool = False,
    ) -> Verdict:
        """Hold what was recorded, or the part between two lines, to ``scenario``; after :meth:`finish`.

        :param first: text of the line with which the part begins; None: the beginning.
        :param last: text of the line with which it ends; None: the end.
        :param strict: a promise that could not be judged is an error, as in
            :func:`harness.verdict.judge.judge`.
        :raises UsageError: no such line.
        :raises TraceError: the trace can no longer be read.
        """
        return judge_part(
            scenario,
            () if self._writer is None else SeenBy(TraceReader(self._writer.path), self._witness),
            bindings,
            survey=self.survey,
            first=first,
            last=last,
            strict=strict,
            ending=_ending(recording),
            release=recording.release,
            witness=self._witness,
        )


def _ending(recording: Recording) -> Ending | None:
    """A fault of the driver outweighs what befell the rig after it."""
    return Ending.of(recording.unhandled or recording.error)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
