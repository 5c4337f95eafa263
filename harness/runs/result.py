"""One execution of a scenario and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.debuggers.base import Release
from harness.verdict.judgedrun import JudgedRun
from harness.virtual.dispatcher.schedule import Schedule

__all__ = ["RunResult"]


@dataclass(frozen=True)
class RunResult(JudgedRun):
    """One execution of a scenario, judged."""

    seed: int
    """Of the virtual target."""
    seconds: float = 0.0
    """Host time from boot to verdict."""
    release: Release | None = None
    """How the target was left; None when no debugger ever had it."""
    bindings: Mapping[str, int] = field(default_factory=dict)
    """What the steps bound: PIDs and TIDs."""
    schedule: Schedule | None = None
    """What the policy answered, where that is kept."""
    events_sha256: str = ""
    """Over the trace between its header and its footer, in hexadecimal, where schedules are kept or played
    back."""
    retries: int = 0
    """How often it was begun anew because the rig had failed; ``notes`` says why."""
    limits: tuple[str, ...] = ()
    """Those of the notes that tell what the machine has not for the driver, or does not call of it."""

    @property
    def left(self) -> str:
        """How the target was left, in a sentence."""
        return "no debugger had the target" if self.release is None else str(self.release)
