"""A matrix of runs: every machine with every debugger and every driver, machines side by side.

Each cell is a ``procnotify run`` in a process of its own, so that what ends one says nothing of the others.
The cells of one machine come one after the other.
"""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

from harness.outcome import Outcome
from harness.processes import ChildProcess

__all__ = ["RUN_LOG", "CellResult", "MatrixCell", "MatrixInterrupted", "matrix_cells", "run_matrix"]

POLL_SECONDS: Final = 0.1
"""How often a cell looks whether it is to end."""
END_SECONDS: Final = 20.0
"""A run that was asked to end lets its target go; after this long it is killed."""
RUN_LOG: Final = "run.log"
"""In the folder of a cell: what its run said."""
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class MatrixCell:
    """One machine with one debugger and one driver."""

    machine: str
    """As ``--machine`` takes it."""
    debugger: str
    driver: Path | None
    """None: the project's own."""

    def __str__(self) -> str:
        driver = "" if self.driver is None else f", {self.driver.name}"
        return f"{self.machine}, {self.debugger}{driver}"

    def words(self) -> list[str]:
        """The options of ``run`` that make it this cell."""
        driver = [] if self.driver is None else ["--driver", str(self.driver)]
        return ["--machine", self.machine, "--debugger", self.debugger, *driver]


@dataclass(frozen=True)
class CellResult:
    """What became of a cell."""

    cell: MatrixCell
    outcome: Outcome
    folder: Path
    """Of its traces, its ``junit.xml`` and what it said, ``run.log``."""
    seconds: float
    error: str = ""
    """Why it did not come to its end, or to no run at all."""
    runs: Sequence[Mapping[str, Any]] = field(default=())
    """As ``run --json`` tells them."""

    @property
    def passed(self) -> int:
        """How many of the runs did."""
        return sum(run["exit_code"] == Outcome.PASSED for run in self.runs)

    @property
    def not_judged(self) -> int:
        """Promises of all runs that could not be judged."""
        return sum(run["promises"]["not_judged"] for run in self.runs)

    @property
    def held(self) -> int:
        """Promises of all runs that are proved."""
        return sum(run["promises"]["held"] for run in self.runs)

    @property
    def reason(self) -> str:
        """Of the first run that failed, else of the first that was skipped; of a cell without one, why it has
        none."""
        failed = next((run for run in self.runs if Outcome(run["exit_code"]).failed), None)
        if failed is None and not self.error:
            failed = next((run for run in self.runs if run["exit_code"] != Outcome.PASSED), None)
        return self.error if failed is None else f"{failed['scenario']}: {failed['reason']}"


class MatrixInterrupted(KeyboardInterrupt):
    """Ctrl-C; every run was asked to end, and has.

    :param results: of the cells that came to an end, in the matrix's order.
    """

    def __init__(self, results: Sequence[CellResult]) -> None:
        super().__init__("interrupted")
        self.results = results


def matrix_cells(
    machines: Sequence[str], debuggers: Sequence[str], drivers: Sequence[Path | None]
) -> tuple[MatrixCell, ...]:
    """Every combination once, in the order in which they were named."""
    product = itertools.product(machines, debuggers, drivers)
    return tuple(dict.fromkeys(MatrixCell(*parts) for parts in product))


def run_matrix(
    cells: Sequence[MatrixCell],
    arguments: Sequence[str],
    folder: Path,
    *,
    jobs: int,
    tell: Callable[[CellResult], None],
    html: str | None = None,
    program: Sequence[str] = (sys.executable, "-m", "harness"),
) -> list[CellResult]:
    """Run every cell; the results in the order of ``cells``.

    :param arguments: of every ``run``: scenarios and options.
    :param folder: gets a folder for each cell.
    :param jobs: so many machines at a time, at most.
    :param html: name of the page about its runs that each cell is to write into its folder.
    :param tell: told each result when it is there, one at a time.
    :raises MatrixInterrupted: Ctrl-C.
    """
    lanes: dict[str, list[int]] = {}
    for index, cell in enumerate(cells):
        lanes.setdefault(cell.machine, []).append(index)
    results: dict[int, CellResult] = {}
    stop, telling = threading.Event(), threading.Lock()

    def run_lane(indexes: Sequence[int]) -> None:
        for index in indexes:
            if stop.is_set():
                return
            own = folder / _folder_name(cells, index)
            argv = [*program, "run", *arguments, *cells[index].words()]
            if html is not None:
                argv += ["--html", str(own / html)]
            result = _run_cell(cells[index], argv, own, stop)
            with telling:
                results[index] = result
                tell(result)

    def in_order() -> list[CellResult]:
        return [results[index] for index in sorted(results)]

    with ThreadPoolExecutor(min(jobs, len(lanes)), thread_name_prefix="matrix") as pool:
        running = [pool.submit(run_lane, indexes) for indexes in lanes.values()]
        try:
            # In slices: on Windows Ctrl-C does not end a wait without a time.
            while wait(running, timeout=POLL_SECONDS).not_done:
                pass
        except KeyboardInterrupt:
            stop.set()
            wait(running)
            raise MatrixInterrupted(in_order()) from None
        for lane in running:
            lane.result()
    return in_order()


def _folder_name(cells: Sequence[MatrixCell], index: int) -> str:
    """The cell's own; a number keeps two apart that differ only in what a name cannot have."""
    cell = cells[index]
    driver = "own" if cell.driver is None else cell.driver.stem
    words = "-".join((Path(cell.machine).stem, cell.debugger, driver))
    return f"{index + 1:03}-{_NOT_IN_A_NAME.sub('_', words)[:80]}"


def _run_cell(cell: MatrixCell, argv: Sequence[str], folder: Path, stop: threading.Event) -> CellResult:
    folder.mkdir(parents=True, exist_ok=True)
    started = monotonic()
    argv = [*argv, "--json", "--trace-dir", str(folder), "--junit", str(folder / "junit.xml")]
    log = folder / RUN_LOG
    with log.open("wb") as said, ChildProcess(argv, stdout=subprocess.PIPE, stderr=said) as child:
        output = _output_of(child, stop)
    seconds = monotonic() - started
    error, runs = "", ()
    try:
        document = json.loads(output)
        error, runs = str(document.get("error", "")), tuple(document.get("results", ()))
        outcome = Outcome(child.returncode)
    except ValueError:
        outcome = Outcome.RIG
        error = f"the run ended with exit code {child.returncode} and {_last_line(log)}"
    if stop.is_set():
        outcome, error = Outcome.RIG, "interrupted"
    return CellResult(cell, outcome, folder, seconds, error, runs)


def _output_of(child: ChildProcess, stop: threading.Event) -> bytes:
    """Everything that the child prints; asked to end, it has some time for that."""
    asked: float | None = None
    while True:
        try:
            return child.communicate(timeout=POLL_SECONDS)[0]
        except subprocess.TimeoutExpired:
            if asked is None and stop.is_set():
                asked = monotonic()
                # A process without our console hears no Ctrl-C on Windows; its children end with it there.
                child.kill() if sys.platform == "win32" else child.send_signal(signal.SIGINT)
            elif asked is not None and monotonic() - asked > END_SECONDS:
                child.kill()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f"said last: {last.strip()[:300]}" if last else "without a word"
