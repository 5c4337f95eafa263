"""One execution of a scenario and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.debuggers.base import Release
from harness.events import RuleBroken, WitnessName
from harness.order import CheckResult
from harness.outcome import Outcome
from harness.virtual.dispatcher.schedule import Schedule
from harness.witness import Agreement

__all__ = ["RunResult"]


@dataclass(frozen=True)
class RunResult:
    """One execution of a scenario, judged."""

    scenario: str
    """The scenario's name."""
    path: Path
    """The scenario's file."""
    seed: int
    outcome: Outcome
    reason: str = ""
    """What went wrong, in one line with its place; empty when all held."""
    check: CheckResult | None = None
    """What the checker found; None where nothing was checked, and of a run that passed and whose trace is not
    kept."""
    notes: tuple[str, ...] = ()
    """What is to be told besides, a line each; see :class:`harness.verdict.judge.Verdict`."""
    events: int = 0
    """Events in the trace."""
    seconds: float = 0.0
    """Host time from boot to verdict."""
    trace: Path | None = None
    """The trace file, where one was begun."""
    release: Release | None = None
    """How the target was left; None when no debugger ever had it."""
    held: int = 0
    """Promises that are proved."""
    not_judged: int = 0
    """Promises that could not be judged: neither the driver's lines nor the machine tell of them."""
    not_judged_lines: tuple[str, ...] = ()
    """Which ones, and why, a line for each reason."""
    witness: WitnessName = "print"
    """On whose events the order was checked."""
    observed: str = ""
    """What there was of events, in words, where the scenario expects nothing."""
    broken_rules: tuple[RuleBroken, ...] = ()
    """The standing rules that a driver broke."""
    agreement: Agreement | None = None
    """How far the driver's lines agree with what the target saw; None: they were not held against that."""
    bindings: Mapping[str, int] = field(default_factory=dict)
    """What the steps bound: PIDs and TIDs."""
    schedule: Schedule | None = None
    """What the policy answered, where that is kept."""
    events_sha256: str = ""
    """Over the trace between its header and its footer, in hexadecimal, where schedules are kept or played
    back."""
    retries: int = 0
    """How often it was begun anew because the rig had failed; ``notes`` says why."""

    @property
    def left(self) -> str:
        """How the target was left, in a sentence."""
        return "no debugger had the target" if self.release is None else str(self.release)
