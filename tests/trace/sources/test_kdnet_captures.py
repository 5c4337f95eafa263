"""Captures of KDNET: both formats, their damage, the key, and a recorded session of WinDbg."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_session import KEY, datagrams, ethernet, pcap, pcapng

from harness.errors import TraceError, UsageError
from harness.events import Event, Print, ProcessExit, Reboot
from harness.kd.kdnet import Key
from harness.trace.sources import open_trace
from harness.trace.sources.capture import KdnetCapture
from harness.trace.sources.capture.datagrams import udp_payload

LINE = b"[procnotify] F PID(8) was terminated\n"
SESSION = datagrams([b"hello ", LINE, b"you\n"], [b"again\n"])
FRAMES = [ethernet(b"DNS"), bytes(60), *map(ethernet, SESSION)]


def opened(path: Path, data: bytes, key: Key | None = KEY) -> KdnetCapture:
    path.write_bytes(data)
    source = open_trace(path, key=key)
    assert isinstance(source, KdnetCapture)
    return source


FILES = {
    "pcap": pcap(FRAMES),
    "pcap, other byte order": pcap(FRAMES, order=">"),
    "pcap, nanoseconds": pcap(FRAMES, nano=True),
    "pcapng": pcapng(FRAMES),
    "pcapng, other byte order": pcapng(FRAMES, order=">"),
    "pcapng, two sections": pcapng(FRAMES[:9], order=">") + pcapng(FRAMES[9:]),
    "gzip": gzip.compress(pcapng(FRAMES)),
    "raw IP": pcap([frame[14:] for frame in FRAMES], link_type=101),
    "VLAN": pcap([frame[:12] + b"\x81\x00\x00\x07" + frame[12:] for frame in FRAMES]),
    "Linux cooked": pcap([bytes(14) + frame[12:] for frame in FRAMES], link_type=113),
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_each_form_has_the_same_lines(tmp_path: Path, data: bytes) -> None:
    source = opened(tmp_path / "x", data)
    for _ in range(2):
        events = list(source)
        assert [type(event) for event in events] == [ProcessExit, Print, Reboot, Print]
        assert [event.line for event in events] == [LINE.decode()[:-1], "hello you", "", "again"]
        assert all(event.host_time is not None and event.host_time > 100 for event in events[:2])
    assert source.footer is not None
    assert source.footer.left_out["packets that are not KDNET's"] == 2
    assert (source.damage, source.footer.complete) == ("", None)


def test_without_a_key_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(pcap(FRAMES))
    with pytest.raises(UsageError, match="whose KDNET datagrams only their key opens; --key"):
        open_trace(path)


def test_a_key_that_does_not_fit_says_so(tmp_path: Path) -> None:
    source = opened(tmp_path / "x", pcap(FRAMES), Key.parse("4.3.2.1"))
    with pytest.raises(UsageError, match=r"the key opens none of the \d+ KDNET datagrams in it"):
        list(source)


def test_a_capture_without_a_handshake_or_without_kdnet_says_so(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="the session's handshake is not in it"):
        list(opened(tmp_path / "x", pcap(FRAMES[5:9])))
    with pytest.raises(TraceError, match="no KDNET datagram is in it"):
        list(opened(tmp_path / "x", pcap(FRAMES[:2])))
    with pytest.raises(TraceError, match="no KDNET datagram is in it"):
        list(opened(tmp_path / "x", pcap([])))


@pytest.mark.parametrize("form", ["pcap", "pcapng", "gzip"])
def test_cut_anywhere_it_gives_a_part_and_says_so(tmp_path: Path, form: str) -> None:
    whole = FILES[form]
    all_lines = [event.line for event in opened(tmp_path / "x", whole)]
    for size in range(len(whole) // 3, len(whole), 37):
        source = opened(tmp_path / "x", whole[:size])
        try:
            events = list(source)
        except TraceError:
            continue  # the handshake is not in it
        assert source.damage or form != "gzip"
        assert [event.line for event in events][:1] in ([], all_lines[:1], ["hello "])


@given(noise=st.binary(max_size=60), place=st.integers(0, 3000), form=st.sampled_from(["pcap", "pcapng"]))
def test_noise_never_raises_what_nobody_foresaw(
    noise: bytes, place: int, form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = FILES[form]
    path = tmp_path_factory.mktemp("noise") / "x"
    path.write_bytes(data[:place] + noise + data[place + len(noise) :])
    try:
        events: list[Event] = list(open_trace(path, key=KEY))
    except (TraceError, UsageError):
        return
    assert [event.index for event in events] == list(range(len(events)))


def lengths(size: int) -> bytes:
    return struct.pack("<II", 6, size)


HOSTILE = [
    (pcapng([]) + lengths(8), "a block of 8 bytes"),
    (pcapng([]) + lengths(0xFFFFFFFC), "a block of 4294967292 bytes"),
    (pcapng([]) + lengths(13), "a block of 13 bytes"),
    (pcapng([]) + lengths(12) + lengths(12)[4:], "a block that is too short for its kind"),
    (pcapng([]) + lengths(32) + struct.pack("<5I", 9, 0, 0, 0, 0) + lengths(32)[4:], "not described"),
    (
        pcapng([]) + lengths(32) + struct.pack("<5I", 1, 0, 0, 99, 0) + lengths(32)[4:],
        "longer than its block",
    ),
    (pcap([]) + struct.pack("<4I", 0, 0, 1 << 30, 0), "a packet of 1073741824 bytes"),
    (pcap([]) + b"abc", "cut off in the middle of a packet"),
    (pcap([])[:4] + b"\x09" + pcap([])[5:], "version 9 of the format"),
    (pcapng([]) + pcapng([])[28:48] * 1100, "more than 1024 network interfaces"),
]


@pytest.mark.parametrize(("data", "words"), HOSTILE)
def test_lengths_that_cannot_be_are_refused(tmp_path: Path, data: bytes, words: str) -> None:
    source = opened(tmp_path / "x", data)
    with pytest.raises(TraceError):
        list(source)  # nothing else is in it
    assert words in source.damage


@pytest.mark.parametrize("size", range(60))
def test_a_frame_that_is_cut_has_no_datagram(size: int) -> None:
    frame = ethernet(bytes(40))
    assert udp_payload(1, frame[:size]) is None


def test_a_fragment_has_no_datagram() -> None:
    frame = bytearray(ethernet(bytes(40)))
    frame[20] = 0x20  # more fragments
    assert udp_payload(1, bytes(frame)) is None
    frame[20] = 0x40
    assert udp_payload(1, bytes(frame)) == bytes(40)
    ipv6 = struct.pack(">IHBB32x", 6 << 28, 48, 17, 64) + bytes(frame[34:82])
    assert udp_payload(101, ipv6) == bytes(40)


def test_the_prints_of_the_recorded_session_come_out(shared_data: Path) -> None:
    path = shared_data / "kdnet" / "windbg-win10-key-8.8.8.8.pcapng.gz"
    source = open_trace(path, key=Key.parse("8.8.8.8"))
    lines = [event.line for event in source]
    assert lines[0] == "BD: Boot Debugger Initialized"
    assert lines[-2] == "*** Fatal Error 0x00000001 :"
    assert len(lines) == 13
    assert source.footer is not None
    assert source.footer.left_out["packets that were sent again"] == 2
