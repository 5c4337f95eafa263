"""How long traces can be: one of as many events as asked, kept in columns, mined and checked as a stream.

The trace is that of :mod:`benchmarks.check`: each of its processes is an instance of notepad.exe, and the
last of them is the one that the scenario looks for, so both have to read it to its end. PM4Py's log skeleton
is the nearest that others have to what is mined; it is asked about a part that fits into its memory.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from benchmarks.check import NEEDLE, SCENARIO, lives
from benchmarks.children import end_with_parent, memory_of_this_process, running
from harness.cli.mine import command as mine
from harness.outcome import Outcome
from harness.scenario import load
from harness.trace import Header, TraceWriter
from harness.trace.columns import ColumnStore
from harness.trace.sources import open_trace
from harness.verdict.recording import judge_recording

__all__ = ["LIFE", "PM4PY_EVENTS", "TASKS", "Measured", "measure"]

LIFE = 10
"""Events of one instance."""
PM4PY_EVENTS = 1_000_000
"""So many at most are given to PM4Py, which holds them all in memory."""
_SECONDS = 4 * 3600.0


@dataclass(frozen=True)
class Measured:
    """One task, in a process of its own."""

    seconds: float
    """Of processor time."""
    peak: int
    """Bytes of memory at most."""
    missing: str = ""
    """Why it could not be done; empty: it was."""


def measure(task: str, folder: Path, events: int) -> Measured:
    """Do one of :data:`TASKS`; ``write`` is the first.

    :raises RuntimeError: it failed, or found something else than what is in the trace.
    """
    with running("benchmarks.scale", task, str(folder), str(events)) as child:
        found = child.answer(timeout=_SECONDS)
    return Measured(found["seconds"], found["peak"], found.get("missing", ""))


def _write(folder: Path, events: int) -> None:
    with TraceWriter(folder / "trace.parquet", Header(scenario="needle"), ColumnStore) as writer:
        batch = []
        for event in lives(events, 0):
            batch.append(event)
            if len(batch) == 4096:
                writer.write(batch)
                batch.clear()
        writer.write(batch)
        writer.finish(outcome="passed", bindings={"notepad": NEEDLE, "notepad.tid": NEEDLE + 1})


def _mine(folder: Path, events: int) -> None:
    found = folder / "mined.json"
    with contextlib.redirect_stdout(io.StringIO()):
        mine.main(
            [str(folder / "trace.parquet"), "--select", "image=notepad.exe", "--json", str(found)],
            standalone_mode=False,
        )
    instances = json.loads(found.read_text(encoding="utf-8"))["instances"]
    if instances != events // LIFE:
        raise RuntimeError(f"{instances} of {events // LIFE} instances were mined")


def _check(folder: Path, events: int) -> None:
    scenario = folder / "scenario.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8", newline="\n")
    verdict = judge_recording(open_trace(folder / "trace.parquet"), load(scenario))
    if (verdict.outcome, verdict.events) != (Outcome.PASSED, events):
        raise RuntimeError(f"{verdict.events} events: {verdict.line}")


def _skeleton(folder: Path, events: int) -> None:
    import pandas
    import pm4py

    rows = [
        (str(index // LIFE), event.line.rpartition(" ")[2], index)
        for index, event in enumerate(lives(events, 0))
    ]
    table = pandas.DataFrame(rows, columns=["case:concept:name", "concept:name", "time:timestamp"])
    table["time:timestamp"] = pandas.to_datetime(table["time:timestamp"], unit="us", utc=True)
    global _begun
    _begun = process_time()  # what counts is the mining alone
    if not pm4py.discover_log_skeleton(table):
        raise RuntimeError("PM4Py found nothing")


TASKS: dict[str, Callable[[Path, int], None]] = {
    "write": _write,
    "mine": _mine,
    "check": _check,
    "log skeleton": _skeleton,
}
"""By name, in the order in which they are done."""

_begun = 0.0


def _child(task: str, folder: Path, events: int) -> None:
    global _begun
    end_with_parent()
    missing = ""
    _begun = process_time()
    try:
        TASKS[task](folder, events)
    except ImportError as error:
        missing = f"{error.name} is not installed here"
    seconds = process_time() - _begun
    answer = {"seconds": seconds, "peak": memory_of_this_process("VmHWM"), "missing": missing}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
