"""How far a recording was read is told where somebody looks, and no sooner than it takes long."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from harness.cli._reading import ReadingProgress, ToldSource, reading_progress, told
from harness.events import Event, Print
from harness.trace.sources import open_trace

EVENTS: list[Event] = [Print(index=index, line="line") for index in range(8192)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ticks(step: float) -> Iterator[float]:
    return count(0.0, step)


def test_nothing_is_said_of_what_is_over_soon() -> None:
    said: list[str] = []
    clock = ticks(0.2)
    assert list(ReadingProgress(said.append, lambda: next(clock)).over(EVENTS)) == EVENTS
    assert said == []


def test_what_takes_long_says_how_far_it_is_at_times() -> None:
    said: list[str] = []
    clock = ticks(1.5)
    assert list(ReadingProgress(said.append, lambda: next(clock)).over(EVENTS)) == EVENTS
    assert said == [f"procnotify: {events:,} events read" for events in (2048, 6144)]


def test_into_a_pipe_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("[procnotify] OnProcessNotify PID(4) was terminated\n", encoding="utf-8")
    source = open_trace(log)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert told(source) is source
    assert reading_progress() is None


def test_a_told_recording_is_the_recording(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("[procnotify] OnProcessNotify PID(4) was terminated\n" * 3, encoding="utf-8")
    source = open_trace(log)
    monkeypatch.setattr(sys, "stderr", Terminal())
    wrapped = told(source)
    assert isinstance(wrapped, ToldSource)
    assert list(wrapped) == list(source) and len(list(wrapped)) == 3
    assert (wrapped.path, wrapped.header, wrapped.footer, wrapped.damage) == (
        *(source.path, source.header, source.footer, source.damage),
    )
