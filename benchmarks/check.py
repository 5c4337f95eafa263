"""How many recorded events a second are checked, in how much memory, and against how long an order.

The trace is that of a target that runs for long: processes come and go, and PIDs and TIDs are used again, as
Windows does. What the check remembers of a PID lasts only until its next use, so the memory should not grow
with the length of the trace. Every so often a process maps a library that no other maps; an order of them is
as long as one likes. LLVM's FileCheck looks for the same order in the same lines, as plain text.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

from benchmarks.children import end_with_parent, memory_of_this_process, running
from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.outcome import Outcome
from harness.scenario import load
from harness.trace import Header, TraceWriter
from harness.trace.sources import open_trace
from harness.verdict.recording import judge_recording

__all__ = ["NEEDLE", "ORDERS", "SCENARIO", "Measured", "file_check", "lives", "measure", "measure_orders"]

SCENARIO = """\
scenario: needle
summary: One launch is found among many.
steps:
  - launch: {image: notepad.exe, as: notepad}
expect:
  - scope: {pid: $notepad}
    order:
      - process_create: {pid: $notepad}
      - next: {thread_create: {pid: $notepad}}
      - image_load: {image: notepad.exe}
      - image_load: {image: kernel32.dll}
      - thread_exit: {pid: $notepad}
      - process_exit: {pid: $notepad}
"""
NEEDLE = 40_000_000
"""PID of the process that the scenario looks for; nobody else ever has it."""
POOL = 4096
"""So many PIDs take turns."""
CHECK_SECONDS = 600.0
ORDERS = (10, 100, 1_000, 5_000)
"""Patterns of the orders that are measured."""
PROBES = max(ORDERS)
FILE_CHECK = ("FileCheck", *(f"/usr/lib/llvm-{version}/bin/FileCheck" for version in range(25, 12, -1)))
"""Where FileCheck may be: on the path, or where Debian puts it."""
IMAGES = ("notepad.exe", "ntdll.dll", "kernel32.dll", "KernelBase.dll", "user32.dll", "gdi32.dll")


@dataclass(frozen=True)
class Measured:
    """One check in a process of its own."""

    patterns: int
    seconds: float
    """Of processor time, from the scenario's text and the trace file to the verdict."""
    peak: int
    """Bytes of memory at most."""


def measure(events: int = 1_000_000) -> tuple[float, int]:
    """Events a second and the peak memory in bytes of a process that reads and checks the trace."""
    with tempfile.TemporaryDirectory() as folder:
        found = _checked(_trace(Path(folder), events), SCENARIO, events)
    return events / found.seconds, found.peak


def measure_orders(folder: Path, events: int = 1_000_000) -> Iterator[Measured]:
    """The same trace, checked against one order after the other; leaves the trace's lines in ``folder``."""
    trace = _trace(folder, events)
    for patterns in ORDERS:
        yield _checked(trace, _order(patterns), events, patterns)


def file_check(folder: Path, patterns: int) -> tuple[float | None, str]:
    """Seconds that FileCheck needs for the order on the lines in ``folder``, or None and why not."""
    program = next((found for name in FILE_CHECK if (found := shutil.which(name))), None)
    if program is None:
        return None, "no FileCheck here (Debian's package llvm has it)"
    checks = folder / "checks.txt"
    checks.write_text(
        "".join(f"CHECK: loaded a/an {probe}\n" for probe in _probes(patterns)),
        encoding="utf-8",
        newline="\n",
    )
    start = perf_counter()
    done = subprocess.run(
        [program, f"--input-file={folder / LINES}", str(checks)],
        capture_output=True,
        timeout=CHECK_SECONDS,
        check=False,
    )
    seconds = perf_counter() - start
    return (seconds, "") if done.returncode == 0 else (None, f"{program} ended with {done.returncode}")


LINES = "lines.txt"


def _trace(folder: Path, events: int) -> Path:
    trace = folder / "trace.jsonl"
    with (
        (folder / LINES).open("w", encoding="utf-8", newline="\n") as lines,
        TraceWriter(trace, Header(scenario="needle")) as writer,
    ):
        for event in lives(events):
            lines.write(f"{event.line}\n")
            writer.write((event,))
        writer.finish(outcome="passed", bindings={"notepad": NEEDLE, "notepad.tid": NEEDLE + 1})
    return trace


def _checked(trace: Path, scenario: str, events: int, patterns: int = 0) -> Measured:
    path = trace.with_name("scenario.yaml")
    path.write_text(scenario, encoding="utf-8", newline="\n")
    with running("benchmarks.check", str(trace), str(path)) as child:
        found = child.answer(timeout=CHECK_SECONDS)
    if found["events"] != events:
        raise RuntimeError(f"{found['events']} of {events} events were checked")
    return Measured(patterns, found["seconds"], found["peak"])


def _order(patterns: int) -> str:
    """A scenario that asks for so many of the libraries, evenly spread over the trace."""
    items = "".join(f"      - image_load: {{image: {probe}}}\n" for probe in _probes(patterns))
    return f"scenario: probes\nsummary: Libraries in order.\nexpect:\n  - order:\n{items}"


def _probes(patterns: int) -> list[str]:
    return [_probe(number) for number in range(0, PROBES, PROBES // patterns)]


def _probe(number: int) -> str:
    return f"probe-{number:05}.dll"


def lives(events: int, probes: int = PROBES) -> Iterator[Event]:
    """Whole lives of processes, ten events each; the one looked for is the last.

    :param probes: of so many lives, spread evenly, the last image is one that no other maps.
    """
    every = events // 10 // max(probes, 1) or 1
    for index in range(0, events, 10):
        pid = NEEDLE if index + 10 >= events else 4 * (index // 10 % POOL + 1)
        tid = pid + 1
        where = {"context_pid": pid, "context_tid": tid}
        number, rest = divmod(index // 10, every)
        images = (*IMAGES[:-1], IMAGES[-1] if rest or number >= probes else _probe(number))
        life: list[Event] = [
            ProcessCreate(index=index, pid=pid, parent_pid=4, seq=index + 1, time=index, line="created")
        ]
        life += [
            ThreadCreate(index=index + 1, pid=pid, tid=tid, seq=index + 2, time=index + 1, line="thread")
        ]
        life += [
            ImageLoad(
                index=n,
                pid=pid,
                image=f"\\Device\\HarddiskVolume3\\Windows\\System32\\{image}",
                base=0x7FF8_0000_0000,
                size=0x1000,
                seq=n + 1,
                time=n,
                line=f"PID({pid}) loaded a/an {image}",
                **where,
            )
            for n, image in enumerate(images, index + 2)
        ]
        life += [
            ThreadExit(index=index + 8, pid=pid, tid=tid, seq=index + 9, time=index + 8, line="ends", **where)
        ]
        life += [ProcessExit(index=index + 9, pid=pid, seq=index + 10, time=index + 9, line="ends", **where)]
        yield from life


def _child(trace: Path, scenario: Path) -> None:
    end_with_parent()
    start = process_time()
    verdict = judge_recording(open_trace(trace), load(scenario))
    if verdict.outcome is not Outcome.PASSED:
        raise RuntimeError(verdict.line)
    seconds = process_time() - start
    print(
        json.dumps({"events": verdict.events, "seconds": seconds, "peak": memory_of_this_process("VmHWM")}),
        flush=True,
    )


if __name__ == "__main__":
    _child(Path(sys.argv[1]), Path(sys.argv[2]))
