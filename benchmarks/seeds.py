"""How many seeds of one scenario a second are run without a debugger, on how many cores, in how much memory.

Beside it the same scenario with the native debugger, which is what a seed costs where somebody listens.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.children import ROOT, end_with_parent, memory_of_this_process, running
from harness.outcome import Outcome
from harness.runs.opening import NO_DEBUGGER, open_rig
from harness.runs.parallel import run_parallel
from harness.runs.progress import Progress, RunFinished
from harness.runs.rig import KeptTraces
from harness.runs.series import run_series
from harness.scenario import load

__all__ = ["Measured", "measure"]

SCENARIO = ROOT / "scenarios" / "notepad-launch.yaml"
WARM = 20
"""Runs before the first look at the memory: by then everything that is made once is made."""
LISTENED = 20
"""Runs with a debugger."""
MEASURE_SECONDS = 3600.0


@dataclass(frozen=True)
class Measured:
    """What many runs cost."""

    per_second: float
    """With the start of the processes."""
    listened_per_second: float
    """With the native debugger, one after the other."""
    memory: int
    """Bytes of one process that runs one seed after the other, after the first :data:`WARM`."""
    grown: int
    """How many more at the end."""


def measure(seeds: int, jobs: int) -> Measured:
    """Run so many seeds, in ``jobs`` processes and then in one."""
    with tempfile.TemporaryDirectory() as folder:
        per_second = seeds / _timed(NO_DEBUGGER, Path(folder), seeds, jobs)
        listened = LISTENED / _timed("native", Path(folder), LISTENED, 1)
        with running("benchmarks.seeds", folder, str(seeds)) as child:
            found = child.answer(timeout=MEASURE_SECONDS)
    return Measured(per_second, listened, found["memory"], found["grown"])


def _timed(debugger: str, folder: Path, seeds: int, jobs: int) -> float:
    start = perf_counter()
    _run(debugger, folder, seeds, jobs, lambda progress: None)
    return perf_counter() - start


def _run(debugger: str, folder: Path, seeds: int, jobs: int, see: Callable[[Progress], None]) -> None:
    with open_rig(
        machine="virtual",
        debugger=debugger,
        driver=None,
        trace_folder=folder,
        keep_traces=KeptTraces.FAILED,
        subscribers=(see,),
    ) as rig:
        scenarios = [load(SCENARIO)]
        if jobs == 1:
            series = run_series(rig, scenarios, seed=1, repeat=seeds)
        else:
            series = run_parallel(rig, scenarios, jobs=jobs, seed=1, repeat=seeds)
    if series.outcome is not Outcome.PASSED or len(series.results) != seeds:
        raise RuntimeError(f"{len(series.results)} of {seeds} runs, {series.outcome.words}")


def _child(folder: Path, seeds: int) -> None:
    end_with_parent()
    sizes: list[int] = []

    def see(progress: Progress) -> None:
        if isinstance(progress, RunFinished):
            sizes.append(memory_of_this_process("VmRSS") if len(sizes) in (WARM, seeds - 1) else 0)

    _run(NO_DEBUGGER, folder, seeds, 1, see)
    memory = sizes[min(WARM, seeds - 1)]
    print(json.dumps({"memory": memory, "grown": sizes[-1] - memory}), flush=True)


if __name__ == "__main__":
    _child(Path(sys.argv[1]), int(sys.argv[2]))
