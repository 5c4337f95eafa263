"""How many recorded events a second are checked, and in how much memory.

The trace is that of a target that runs for long: processes come and go, and PIDs and TIDs are used again, as
Windows does. What the check remembers of a PID lasts only until its next use, so the memory should not grow
with the length of the trace.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from benchmarks.children import end_with_parent, running
from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.order import check
from harness.scenario import parse
from harness.trace import Header, TraceReader, TraceWriter

__all__ = ["measure"]

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
IMAGES = ("notepad.exe", "ntdll.dll", "kernel32.dll", "KernelBase.dll", "user32.dll", "gdi32.dll")


def measure(events: int = 1_000_000) -> tuple[float, int]:
    """Events a second and the peak memory in bytes of a process that reads and checks the trace."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.jsonl"
        with TraceWriter(trace, Header(scenario="needle")) as writer:
            writer.write(_lives(events))
            writer.finish(outcome="passed", bindings={"notepad": NEEDLE, "notepad.tid": NEEDLE + 1})
        with running("benchmarks.check", str(trace)) as child:
            found = child.answer(timeout=CHECK_SECONDS)
    if found["events"] != events:
        raise RuntimeError(f"{found['events']} of {events} events were checked")
    return events / found["seconds"], found["peak"]


def _lives(events: int) -> Iterator[Event]:
    """Whole lives of processes, ten events each; the one looked for is the last."""
    for index in range(0, events, 10):
        pid = NEEDLE if index + 10 >= events else 4 * (index // 10 % POOL + 1)
        tid = pid + 1
        where = {"context_pid": pid, "context_tid": tid}
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
            for n, image in enumerate(IMAGES, index + 2)
        ]
        life += [
            ThreadExit(index=index + 8, pid=pid, tid=tid, seq=index + 9, time=index + 8, line="ends", **where)
        ]
        life += [ProcessExit(index=index + 9, pid=pid, seq=index + 10, time=index + 9, line="ends", **where)]
        yield from life


def _child(trace: Path) -> None:
    end_with_parent()
    start = perf_counter()
    reader = TraceReader(trace)
    bindings = {"notepad": NEEDLE, "notepad.tid": NEEDLE + 1}
    result = check(parse(SCENARIO, Path("needle.yaml")), reader, bindings)
    if not result.passed:
        raise RuntimeError(result.reason)
    seconds = perf_counter() - start
    print(json.dumps({"events": result.events, "seconds": seconds, "peak": _peak()}), flush=True)


def _peak() -> int:
    """The most memory that this process ever had, in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # On Linux getrusage would give the parent's where that was more: it is handed down through exec.
        found = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE)
        return int(found.group(1)) * 1024 if found else 0
    import resource  # not on Windows, where this measurement cannot be made

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    _child(Path(sys.argv[1]))
