"""What happens during a run, as values for whoever wants to watch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from harness.events import Event
from harness.runs.result import RunResult

__all__ = [
    "EventCaptured",
    "PhaseEntered",
    "Progress",
    "RunFinished",
    "RunRetried",
    "RunStarted",
    "StepStarted",
    "Subscriber",
]


@dataclass(frozen=True)
class RunStarted:
    """A scenario begins."""

    scenario: str
    path: Path
    seed: int
    steps: int


@dataclass(frozen=True)
class PhaseEntered:
    """Where the run is: ``boot``, ``attach``, ``load``, ``steps``, ``unload``, ``release``, ``check``."""

    phase: str


@dataclass(frozen=True)
class StepStarted:
    """A step begins; repetitions count each time."""

    text: str
    line: int
    """Its line in the scenario file."""


@dataclass(frozen=True)
class EventCaptured:
    """An event was captured and is in the trace."""

    event: Event


@dataclass(frozen=True)
class RunRetried:
    """The rig failed, and the scenario begins anew."""

    result: RunResult
    """Of the run that is given up."""


@dataclass(frozen=True)
class RunFinished:
    """A scenario ended."""

    result: RunResult


Progress: TypeAlias = RunStarted | PhaseEntered | StepStarted | EventCaptured | RunRetried | RunFinished
Subscriber: TypeAlias = Callable[[Progress], None]
"""Called on the run's own thread; a slow subscriber slows the run but never the target's prints."""
