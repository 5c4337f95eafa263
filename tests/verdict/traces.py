"""Events of small traces, and the one rule of the lifecycle that each trace breaks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from lives import born, died, thread, thread_end

from harness.callbacks import COUNTERS
from harness.events import Driver, Event, ImageLoad
from harness.scenario import Scenario, parse

SECOND = 10_000_000


def image(pid: int = 99, **more: int) -> Event:
    return ImageLoad(index=0, pid=pid, image=r"\Device\a.dll", base=0x1000, **more)


def entry(seq: int | None = None, status: int = 0, time: int | None = None) -> Event:
    routine = "PsSetCreateThreadNotifyRoutine"
    return Driver(index=0, function="DriverEntry", routine=routine, status=status, seq=seq, time=time)


def removal() -> Event:
    return Driver(index=0, function="DriverUnload", routine="PsRemoveCreateThreadNotifyRoutine", status=0)


def totals(seq: int | None = None, **counts: int) -> Event:
    return Driver(index=0, function="DriverUnload", seq=seq, totals=dict.fromkeys(COUNTERS, 0) | counts)


def placed(events: Iterable[Event]) -> list[Event]:
    """The events with their index, and a line each where they have none."""
    return [
        msgspec.structs.replace(event, index=n, line=event.line or f"{type(event).__name__} {n}")
        for n, event in enumerate(events)
    ]


def scenario(expect: str = "  order: [image_load: {pid: 99}]", off: Iterable[str] = ()) -> Scenario:
    """A scenario that any trace with :func:`image` in it keeps, and the rules switched off."""
    return parse(scenario_text(expect, off), Path("s.yaml"))


def scenario_text(expect: str = "  order: [image_load: {pid: 99}]", off: Iterable[str] = ()) -> str:
    switches = ", ".join(off)
    return f"scenario: s\nsummary: s.\nexpect:\n{expect}\n" + (
        f"lifecycle: {{off: [{switches}]}}\n" if switches else ""
    )


BREAKING: dict[str, list[Event]] = {
    "process_created_once": [image(), born(), born()],
    "process_created_first": [image(), thread(), born()],
    "nothing_after_process_exit": [image(), died(), image(8)],
    "thread_created_once": [image(), thread(), thread()],
    "thread_created_before_exit": [image(), born(), thread_end()],
    "thread_keeps_its_process": [image(), thread(9, 8), thread_end(9, 12)],
    "threads_exit_before_process": [image(), born(), thread(), died()],
    "thread_exit_context": [image(), thread_end(context_tid=10)],
    "process_exit_context": [image(), died(context_pid=12)],
    "callbacks_only_while_registered": [image(), entry(), removal(), thread()],
    "driver_unregisters": [image(), entry(), totals(image_load=1)],
    "seq_unique": [image(seq=1, time=1), image(seq=2, time=2), image(seq=2, time=3)],
    "time_follows_seq": [image(seq=1, time=9 * SECOND), image(seq=2, time=0)],
    "no_lost_lines": [image(seq=1), image(seq=3)],
    "totals_count_every_line": [entry(), image(), removal(), totals()],
}
"""Rule → a trace that breaks it and no other."""
