"""Event trace logs of the kernel's process provider: each event, the order over processors, damage.

The files are written byte by byte from the documented format; none that Windows wrote was at hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from etl_file import BUFFER, START, EtlEvent, etl_file, image_load, process_start, thread
from hypothesis import given, settings
from hypothesis import strategies as st
from noisy_recordings import assert_read_or_refused

from harness.errors import TraceError
from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.trace.sources import open_trace

pytestmark = pytest.mark.usefixtures("import_extra")
IMAGE = "\\Device\\HarddiskVolume3\\a.exe"


def first_processor(version: int) -> list[EtlEvent]:
    return [
        (1010, 1, version, 4, 12, process_start(version, 8, 16, IMAGE)),
        (1040, 4, 0, 8, 20, thread(8, 20)),
        (1045, 6, 0, 8, 20, b"unload"),
        (1050, 2, 0, 8, 20, b"\x08\0\0\0" + bytes(40)),
    ]


SECOND_PROCESSOR: list[EtlEvent] = [
    (1020, 3, 1, 4, 12, thread(8, 20)),
    (1030, 5, 0, 8, 20, image_load(8, 0x7FF600000000, 0x2000, IMAGE)),
]


def events_at(scale: int = 1) -> list[Event]:
    def at(ticks: int) -> int:
        return START + ticks * scale

    creator, own = {"creating_pid": 4, "creating_tid": 12}, {"context_pid": 8, "context_tid": 20}
    return [
        ProcessCreate(index=0, time=at(10), pid=8, parent_pid=16, image=IMAGE, witness="monitor", **creator),
        ThreadCreate(index=1, time=at(20), pid=8, tid=20, witness="monitor", **creator),
        ImageLoad(
            index=2,
            time=at(30),
            pid=8,
            image=IMAGE,
            base=0x7FF600000000,
            size=0x2000,
            witness="monitor",
            **own,
        ),
        ThreadExit(index=3, time=at(40), pid=8, tid=20, witness="monitor", **own),
        ProcessExit(index=4, time=at(50), pid=8, witness="monitor", **own),
    ]


@pytest.mark.parametrize("version", [0, 1, 2, 3])
@pytest.mark.parametrize("extended", [False, True])
def test_each_event_in_the_order_of_time(tmp_path: Path, version: int, extended: bool) -> None:
    path = tmp_path / "any name"
    path.write_bytes(etl_file(first_processor(version), SECOND_PROCESSOR, extended=extended, lost=3))
    source = open_trace(path)
    for _ in range(2):
        assert list(source) == events_at()
    assert source.footer is not None
    assert source.footer.left_out == {
        "events of other providers": 3,
        "event 6": 1,
        "events that the session lost": 3,
    }
    assert source.damage == ""


@pytest.mark.parametrize(("clock", "rate", "scale"), [(1, 1_000_000, 10), (2, 1, 1), (3, 2, 5)])
def test_each_clock_of_a_session(tmp_path: Path, clock: int, rate: int, scale: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(etl_file(first_processor(0), SECOND_PROCESSOR, clock=clock, rate=rate))
    assert list(open_trace(path)) == events_at(scale)


FILE = etl_file(first_processor(3), SECOND_PROCESSOR)


def test_what_is_cut_off_gives_its_whole_buffers_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(FILE[: BUFFER * 2])
    source = open_trace(path)
    assert len(list(source)) == 3
    assert f"cut off: no buffer at byte {BUFFER * 2}" in source.damage
    path.write_bytes(FILE[: BUFFER * 2 + 100])
    assert len(list(source)) == 3
    assert "cut off in the middle of the buffer" in source.damage


@pytest.mark.parametrize(
    ("place", "data", "words"),
    [
        (BUFFER, bytes(4), "a buffer of 0 bytes"),
        (BUFFER, b"\xff\xff\xff\xff", "a buffer of 4294967295 bytes"),
        (BUFFER + 0x34, b"\x40\0", "compressed buffers"),
    ],
)
def test_a_buffer_that_cannot_be_is_refused(tmp_path: Path, place: int, data: bytes, words: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(FILE[:place] + data + FILE[place + len(data) :])
    source = open_trace(path)
    assert list(source) == []
    assert words in source.damage


@settings(max_examples=30)  # the library is slow
@given(noise=st.binary(min_size=1, max_size=12), place=st.integers(0x50, BUFFER * 2 + 400))
def test_noise_never_raises_what_nobody_foresaw(
    noise: bytes, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("noise") / "x"
    path.write_bytes(FILE[:place] + noise + FILE[place + len(noise) :])
    assert_read_or_refused(path)


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(FILE)
    monkeypatch.setitem(sys.modules, "dissect.etl.etl", None)
    with pytest.raises(TraceError, match=r"dissect.etl, which is not installed; .*\[import\]"):
        list(open_trace(path))
