"""Process Monitor's own file: each operation, damage, what is missing."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_recordings import assert_read_or_refused
from pml_file import load_image, pml_file, process_create, process_exit, process_start, thread_exit

from harness.errors import TraceError
from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.trace.sources import open_trace

pytestmark = pytest.mark.usefixtures("import_extra")
T = 134_000_000_000_000_000
IMAGE = "C:\\Windows\\a.exe"
FILE = pml_file(
    [
        (0, 9, 1, 0, T, process_create(4)),
        (0, 9, 1, 1, T + 1, process_create(8)),
        (1, 9, 1, 7, T + 2, process_start(4)),
        (1, 9, 1, 3, T + 3, struct.pack("<I", 10)),
        (1, 10, 3, 20, T + 4, b"anything"),
        (1, 10, 1, 5, T + 5, load_image(0x7FF600000000, 0x2000, IMAGE)),
        (0, 9, 1, 5, T + 6, load_image(0xFFFFF80000000000, 1, "C:\\d.sys")),
        (1, 10, 1, 4, T + 7, thread_exit()),
        (1, 10, 1, 2, T + 8, process_exit()),
    ],
    [(4, 0), (8, 4)],
    "a.exe",
    IMAGE,
)
EVENTS: list[Event] = [
    ProcessCreate(index=0, time=T + 2, pid=8, parent_pid=4, creating_tid=9, image=IMAGE, witness="monitor"),
    ThreadCreate(index=1, time=T + 3, pid=8, tid=10, creating_tid=9, witness="monitor"),
    ImageLoad(
        index=2,
        time=T + 5,
        pid=8,
        image=IMAGE,
        base=0x7FF600000000,
        size=0x2000,
        context_tid=10,
        witness="monitor",
    ),
    ImageLoad(
        index=3,
        time=T + 6,
        pid=0,
        image="C:\\d.sys",
        base=0xFFFFF80000000000,
        size=1,
        context_tid=9,
        witness="monitor",
    ),
    ThreadExit(index=4, time=T + 7, pid=8, tid=10, context_tid=10, witness="monitor"),
    ProcessExit(index=5, time=T + 8, pid=8, context_tid=10, image=IMAGE, witness="monitor"),
]


def test_each_operation_is_its_event(tmp_path: Path) -> None:
    path = tmp_path / "any name"
    path.write_bytes(FILE)
    source = open_trace(path)
    for _ in range(2):
        assert list(source) == EVENTS
    assert source.footer is not None
    assert source.footer.left_out == {"Process Defined": 1, "Process Create": 1, "file system events": 1}
    assert (source.footer.complete, source.damage) == (True, "")


def test_one_that_is_cut_off_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for size in range(4, len(FILE), 61):
        path.write_bytes(FILE[:size])
        with pytest.raises(TraceError, match="not a whole Process Monitor log"):
            list(open_trace(path))


def test_more_events_than_the_file_can_hold_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(FILE[:0x234] + b"\xff\xff\xff\xff" + FILE[0x238:])
    with pytest.raises(TraceError, match="not a whole Process Monitor log"):
        list(open_trace(path))


@given(noise=st.binary(min_size=1, max_size=12), place=st.integers(4, len(FILE) - 1))
def test_noise_never_raises_what_nobody_foresaw(
    noise: bytes, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("noise") / "x"
    path.write_bytes(FILE[:place] + noise + FILE[place + len(noise) :])
    assert_read_or_refused(path)


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(FILE)
    monkeypatch.setitem(sys.modules, "procmon_parser", None)
    with pytest.raises(TraceError, match=r"procmon-parser, which is not installed; .*\[import\]"):
        list(open_trace(path))
