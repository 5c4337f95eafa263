"""What a callback costs at a breakpoint: a scenario with one at every callback, beside the same without."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.children import ROOT
from harness.errors import RigError
from harness.events import WitnessName
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.runner import run_scenario
from harness.scenario import load
from harness.trace import TraceReader

__all__ = ["Hit", "measure"]

_SCENARIO = ROOT / "scenarios" / "notepad-launch.yaml"


class Hit(NamedTuple):
    """The cost of stops at callbacks."""

    callbacks: int
    """In one run."""
    seconds: float
    """Of one run without breakpoints; the median, as all of these."""
    watched_seconds: float

    @property
    def milliseconds(self) -> float:
        """For one callback, with its part of what is done once."""
        return (self.watched_seconds - self.seconds) / self.callbacks * 1e3


def measure(rounds: int, progress: Callable[[str], None]) -> Hit:
    """Run with and without breakpoints in turns.

    :raises RigError: a run did not pass.
    """
    seconds: dict[WitnessName, list[float]] = {"print": [], "breakpoint": []}
    callbacks = 0
    with tempfile.TemporaryDirectory(prefix="procnotify-benchmark-") as folder:
        for number in range(rounds):
            progress(f"breakpoints, round {number + 1} of {rounds}")
            for witness, taken in seconds.items():
                with open_rig(
                    machine="virtual",
                    debugger="native",
                    driver=None,
                    trace_folder=Path(folder),
                    witness=witness,
                ) as rig:
                    run_scenario(rig, load(_SCENARIO), seed=1)  # boots its child process
                    result = run_scenario(rig, load(_SCENARIO), seed=1)
                if result.outcome is not Outcome.PASSED or result.trace is None:
                    raise RigError(f"notepad-launch with the witness {witness}: {result.reason}")
                taken.append(result.seconds)
                if witness == "breakpoint":
                    callbacks = sum(event.witness == witness for event in TraceReader(result.trace))
    return Hit(callbacks, *(statistics.median(taken) for taken in seconds.values()))
