"""Process Monitor's CSV as events: each operation, the order, damage at every place."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from procmon_rows import COLUMNS, export, row

from harness.errors import TraceError
from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.trace.sources import open_trace
from harness.trace.sources.procmon import ProcmonCsv
from harness.trace.sources.procmon.rows import MAX_FIELD

SECOND = 10_000_000
LIFE = [
    row("11:59:59.0000001 PM", 4, "Process Create", detail="PID: 8, Command line: a"),
    row("11:59:59.0000001 PM", 8, "Process Start", detail='Parent PID: 12, Command line: "a" , x: \r;\tP=1'),
    row("11:59:59.0000002 PM", 8, "Thread Create", detail="Thread ID: 10"),
    row("11:59:59.5000000 PM", 8, "ReadFile", path="C:\\f"),
    row(
        "12:00:00.0000000 AM",
        8,
        "Load Image",
        path="C:\\Windows\\a.exe",
        detail="Image Base: 0x7ff600000000, Image Size: 0x2000",
        tid=10,
    ),
    row(
        "12:00:01.0000000 AM",
        4,
        "Load Image",
        path="C:\\d.sys",
        detail="Image Base: 0xfffff80000000000, Image Size: 0x1",
    ),
    row("1:00:02.0000000 AM", 8, "Thread Exit", detail="Thread ID: 10, User Time: 0.0", tid=10),
    row("1:00:02.0000000 AM", 8, "Process Exit", detail="Exit Status: 0", tid=10),
]
DAY = 24 * 3600 * SECOND
START = DAY - SECOND + 1
EVENTS: list[Event] = [
    ProcessCreate(
        index=0, time=START, pid=8, parent_pid=12, creating_tid=9, image="a.exe", witness="monitor"
    ),
    ThreadCreate(index=1, time=START + 1, pid=8, tid=10, creating_tid=9, witness="monitor"),
    ImageLoad(
        index=2,
        time=DAY,
        pid=8,
        image="C:\\Windows\\a.exe",
        base=0x7FF600000000,
        size=0x2000,
        context_tid=10,
        witness="monitor",
    ),
    ImageLoad(
        index=3,
        time=DAY + SECOND,
        pid=0,
        image="C:\\d.sys",
        base=0xFFFFF80000000000,
        size=1,
        context_tid=9,
        witness="monitor",
    ),
    ThreadExit(index=4, time=DAY + 3602 * SECOND, pid=8, tid=10, context_tid=10, witness="monitor"),
    ProcessExit(index=5, time=DAY + 3602 * SECOND, pid=8, context_tid=10, image="a.exe", witness="monitor"),
]


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8-sig"))
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_each_operation_is_its_event(tmp_path: Path, pack) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "any name"
    path.write_bytes(pack(export(*LIFE).encode("utf-8-sig")))
    source = open_trace(path)
    assert isinstance(source, ProcmonCsv)
    for _ in range(2):  # as often as wanted
        assert list(source) == EVENTS
    assert source.footer is not None
    assert source.footer.left_out == {"Process Create": 1, "ReadFile": 1}
    assert (source.footer.events, source.footer.complete, source.damage) == (6, None, "")


def test_without_the_columns_that_are_hidden_by_default_an_event_has_no_context(tmp_path: Path) -> None:
    shown = tuple(column for column in COLUMNS if column not in ("TID", "Parent PID"))
    events = list(ProcmonCsv(written(tmp_path / "x", export(*LIFE, columns=shown))))
    assert [type(event) for event in events] == [type(event) for event in EVENTS]
    first, thread = events[:2]
    assert isinstance(first, ProcessCreate) and isinstance(thread, ThreadCreate)
    assert (first.parent_pid, first.creating_tid, thread.creating_tid) == (12, None, None)


def test_a_column_that_must_be_shown_is_named(tmp_path: Path) -> None:
    shown = tuple(column for column in COLUMNS if column != "Detail")
    with pytest.raises(TraceError, match="no column Detail; export from Process Monitor"):
        list(open_trace(written(tmp_path / "x", export(*LIFE, columns=shown))))


BROKEN = [
    ('Thread ID: 10"', 'Thread ID: no"', ":4: no thread id in 'Thread ID: no'"),
    ("12:00:00.0000000 AM", "noon", ":6: 'noon' is not a time of day"),
    ("0x7ff600000000", "somewhere", ":6: no image base in "),
    ('"12:00:01.0000000 AM"', '"11:59:59.9999999 PM"', ":7: the row is earlier than the one before it"),
    ('"8","ReadFile"', '"8"', ":5: damaged: 8 fields where 9 belong"),
    ('"8","ReadFile"', '"\u0664","ReadFile"', ":5: PID is '\u0664', which is no number"),
]


@pytest.mark.parametrize(("good", "bad", "words"), BROKEN)
def test_a_damaged_row_ends_the_events_and_is_named(tmp_path: Path, good: str, bad: str, words: str) -> None:
    text = export(*LIFE)
    assert good in text
    if "11:59:59.9999999" in bad:  # the row before it is of the next day, a second later
        text = text.replace('"12:00:00.0000000 AM"', '"1:00:00.0000000 AM"')
        bad = '"12:59:59.0000000 AM"'
    source = ProcmonCsv(written(tmp_path / "x", text.replace(good, bad, 1)))
    events = list(source)
    assert words in source.damage
    assert [event.index for event in events] == list(range(len(events)))
    assert len(events) < len(EVENTS)
    assert source.footer is not None
    assert (source.footer.complete, source.footer.events) == (False, len(events))
    assert source.damage in source.footer.reason


def test_a_field_longer_than_any_is_damage(tmp_path: Path) -> None:
    whole = row("1:00:00.0000000 AM", 8, "ReadFile", detail="x" * MAX_FIELD)
    source = ProcmonCsv(written(tmp_path / "x", export(whole)))
    assert list(source) == []
    assert source.damage == ""
    source = ProcmonCsv(written(tmp_path / "x", export([*whole[:6], whole[6] + "x", *whole[7:]])))
    assert list(source) == []
    assert "field larger than field limit" in source.damage


def test_cut_anywhere_it_gives_a_part_and_says_so(tmp_path: Path) -> None:
    data = export(*LIFE).encode("utf-8-sig")
    ends = [place + 1 for place in range(len(data)) if data[: place + 1].endswith(b'"4"\r\n')]
    header = data.index(b"\r\n") + 2
    for size in range(header, len(data), 3):
        path = tmp_path / "x"
        path.write_bytes(data[:size])
        source = ProcmonCsv(path)
        events = list(source)
        assert events == EVENTS[: len(events)]
        # The line end of a row may be missing.
        whole = size == header or any(end - 2 <= size <= end for end in ends)
        assert whole == (not source.damage)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_a_compressed_file_that_is_cut_or_damaged_is_no_whole_one(tmp_path: Path, compress) -> None:  # type: ignore[no-untyped-def]
    data = compress(export(*LIFE).encode())
    path = tmp_path / "x"
    for size in range(30, len(data), 7):
        path.write_bytes(data[:size])
        try:
            source = open_trace(path)
            events = list(source)
        except TraceError:
            continue  # its first row cannot be read
        assert source.damage
        assert events == EVENTS[: len(events)]


@given(noise=st.binary(max_size=200), place=st.integers(0, 900))
def test_noise_never_raises_what_nobody_foresaw(noise: bytes, place: int, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    data = export(*LIFE).encode()
    path = tmp_path_factory.mktemp("noise") / "x"
    path.write_bytes(data[:place] + noise + data[place + len(noise) :])
    try:
        source = ProcmonCsv(path)
        events = list(source)
    except TraceError:
        return
    assert [event.index for event in events] == list(range(len(events)))


def test_thirty_recorded_launches_have_forty_images_in_common(shared_data: Path) -> None:
    source = open_trace(shared_data / "procmon" / "win10-1903-x64-process-events.csv.xz")
    lives: list[set[str]] = []
    current: dict[int | None, set[str]] = {}
    for event in source:
        if isinstance(event, ProcessCreate) and event.image and event.image.lower().endswith("\\notepad.exe"):
            lives.append(current.setdefault(event.pid, set()))
        elif isinstance(event, ImageLoad) and event.pid in current and event.image:
            current[event.pid].add(event.image.rpartition("\\")[2].lower())
    assert len(lives) == 30
    assert len(set.intersection(*lives)) == 40
    assert source.footer is not None
    assert source.footer.left_out == {"Process Create": 39}
