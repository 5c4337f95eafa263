"""The timeline: what Perfetto needs of a Trace Event file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.errors import UsageError
from harness.events import (
    Event,
    ImageLoad,
    Print,
    ProcessCreate,
    ProcessExit,
    Reboot,
    ThreadCreate,
    ThreadExit,
)
from harness.report.showing.perfetto import PerfettoTimeline
from harness.trace.lives import Lives

EVENTS: list[Event] = [
    ProcessCreate(index=0, pid=8, time=1000, image="a.exe"),
    ThreadCreate(index=1, pid=8, tid=12, time=1010),
    ImageLoad(index=2, pid=8, image="\\D\\<script>\u202e\ud800.dll", time=1025),
    ThreadExit(index=3, pid=8, tid=12, time=1040),
    ProcessExit(index=4, pid=8, time=1050),
    ProcessCreate(index=5, pid=8, time=1060),
    ThreadCreate(index=6, pid=8, tid=12, time=1070),
    Print(index=7, line="x" * 40_000),
    Reboot(index=8),
    ThreadExit(index=9, pid=8, tid=12, time=5),
    ImageLoad(index=10, pid=0, image="d.sys", time=1 << 80),
]


def timeline(events: list[Event]) -> list[dict[str, Any]]:
    lives, made = Lives(), PerfettoTimeline()
    for event in events:
        made.take(event, lives.take(event))
    found = json.loads(made.file(lives))
    assert found["displayTimeUnit"] == "ns"
    records: list[dict[str, Any]] = found["traceEvents"]
    return records


def test_lives_are_slices_in_microseconds_and_image_loads_instants() -> None:
    records = timeline(EVENTS[:5])
    slices = {
        (row["name"], row["pid"], row["tid"], row["ts"], row["dur"]) for row in records if row["ph"] == "X"
    }
    assert slices == {("a.exe 8", 8, 8, 0, 5), ("thread 12", 8, 12, 1, 3)}
    (image,) = [row for row in records if row["ph"] == "i"]
    assert (image["name"], image["ts"], image["s"]) == ("<script>\\u202e\\ud800.dll", 2.5, "t")
    assert (image["pid"], image["tid"], image["args"]) == (8, 8, {"index": 2})


def test_each_life_has_a_track_of_its_own_which_is_named() -> None:
    records = timeline(EVENTS)
    slices = [(row["pid"], row["tid"]) for row in records if row["ph"] == "X"]
    assert len(slices) == len(set(slices)) == 7
    named = {(row["pid"], row["tid"]) for row in records if row["ph"] == "M" and row["name"] == "thread_name"}
    processes = {row["pid"] for row in records if row["ph"] == "M" and row["name"] == "process_name"}
    assert set(slices) <= named
    assert {row["pid"] for row in records} == processes
    assert all(len(row.get("name", "")) <= 260 for row in records)


def test_times_go_on_after_a_boot_and_stay_within_what_perfetto_counts() -> None:
    times = [(row["ts"], row.get("dur", 0)) for row in timeline(EVENTS) if row["ph"] != "M"]
    assert all(ts >= 0 and dur >= 0 and (ts + dur) * 1000 < 1 << 63 for ts, dur in times)
    boots = {row["name"]: row for row in timeline(EVENTS) if row["ph"] == "X"}
    assert boots["the kernel"]["ts"] > 7


def test_events_without_a_time_stand_in_their_order() -> None:
    rows = [row for row in timeline([Print(index=at, line=str(at)) for at in range(3)]) if row["ph"] == "i"]
    assert [(row["name"], row["ts"]) for row in rows] == [("0", 0), ("1", 1), ("2", 2)]


def test_what_would_be_too_large_is_refused() -> None:
    made = PerfettoTimeline(max_bytes=500)
    with pytest.raises(UsageError, match="more than 500 bytes; take a part"):
        for at in range(100):
            made.take(Print(index=at, line="x"), None)
