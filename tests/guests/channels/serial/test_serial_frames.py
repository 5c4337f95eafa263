"""Frames survive the line or are noticed, and hostile bytes cost nothing."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.guests.channels.serial.frames import (
    MAX_PAYLOAD,
    MAX_WIRE,
    Damage,
    Frame,
    FrameKind,
    FrameReader,
    encode,
)

DWORDS = st.integers(0, 0xFFFF_FFFF)
RUNS = st.lists(
    st.tuples(
        st.sampled_from([b"\0", b"\1", b"\xff", b"ab"]), st.sampled_from([1, 2, 252, 253, 254, 255, 300])
    ),
    max_size=4,
).map(lambda runs: b"".join(piece * count for piece, count in runs)[:MAX_PAYLOAD])
PAYLOADS = st.binary(max_size=MAX_PAYLOAD) | RUNS
FRAMES = st.builds(Frame, st.sampled_from(FrameKind), st.integers(0, 255), DWORDS, DWORDS, PAYLOADS)
REQUEST = Frame(FrameKind.REQUEST, 2, 0x11223344, 5, b"a\0b")


def wire_of(body: bytes) -> bytes:
    """With the checksum behind it, as it goes over the line while no run of other bytes than 0 is long."""
    groups = (body + struct.pack("<I", zlib.crc32(body))).split(b"\0")
    return b"\0" + b"".join(bytes([len(group) + 1]) + group for group in groups) + b"\0"


def test_the_bytes_of_a_frame_are_these() -> None:
    assert encode(REQUEST) == wire_of(bytes.fromhex("01 02 0300 44332211 05000000") + b"a\0b")


@given(st.lists(FRAMES, max_size=5), st.data())
@example([Frame(FrameKind.REPLY, 1, 1, 1, b"\xff" * MAX_PAYLOAD)], None)
@example([Frame(FrameKind.REPLY, 1, 1, 1, bytes(MAX_PAYLOAD))], None)
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(frames: list[Frame], data) -> None:
    line = b"".join(map(encode, frames))
    assert all(len(encode(frame)) <= MAX_WIRE and encode(frame)[1:-1].count(0) == 0 for frame in frames)
    reader, arrived = FrameReader(), []
    while line:
        size = data.draw(st.integers(1, len(line))) if data is not None else 1
        arrived += reader.feed(line[:size])
        line = line[size:]
    assert arrived == frames


@given(FRAMES, st.binary(max_size=50), st.data())
def test_a_frame_behind_anything_else_arrives(frame: Frame, garbage: bytes, data) -> None:
    wire = encode(frame)
    cut = wire[: data.draw(st.integers(0, len(wire)))]
    assert FrameReader().feed(garbage + cut + wire)[-1] == frame


@given(FRAMES, st.data())
def test_a_changed_bit_is_noticed(frame: Frame, data) -> None:
    wire = bytearray(encode(frame))
    at = data.draw(st.integers(1, len(wire) - 2))
    wire[at] ^= 1 << data.draw(st.integers(0, 7))
    assert all(isinstance(arrived, Damage) for arrived in FrameReader().feed(bytes(wire)))


@given(st.lists(st.binary(max_size=3 * MAX_WIRE), max_size=5))
def test_any_bytes_are_taken_and_few_are_kept(pieces: list[bytes]) -> None:
    reader = FrameReader()
    for piece in pieces:
        for arrived in reader.feed(piece):
            assert isinstance(arrived, Frame) or 0 < arrived.length < MAX_WIRE
    assert len(reader._stuffed) < MAX_WIRE


def test_a_line_without_an_end_is_forgotten() -> None:
    reader = FrameReader()
    for _ in range(100):
        assert reader.feed(b"x" * MAX_WIRE) == []
    assert reader.feed(b"\0" + encode(REQUEST)) == [Damage(MAX_WIRE - 1), REQUEST]


@pytest.mark.parametrize(
    "body",
    [
        struct.pack("<BBHII", 1, 1, 4, 1, 1) + b"abc",
        struct.pack("<BBHII", 1, 1, 2, 1, 1) + b"abc",
        struct.pack("<BBHII", 0, 1, 0, 1, 1),
        struct.pack("<BBHII", 5, 1, 0, 1, 1),
        struct.pack("<BBHI", 1, 1, 0, 1),
        b"",
    ],
    ids=["longer than it says", "shorter", "kind 0", "kind 5", "half a header", "nothing"],
)
def test_what_is_no_frame_is_damage_even_with_the_right_checksum(body: bytes) -> None:
    (arrived,) = FrameReader().feed(wire_of(body))
    assert isinstance(arrived, Damage)


def test_a_payload_has_a_limit() -> None:
    longest = Frame(FrameKind.REQUEST, 2, 1, 1, bytes(MAX_PAYLOAD))
    assert FrameReader().feed(encode(longest)) == [longest]
    with pytest.raises(ValueError, match="1025 bytes"):
        encode(Frame(FrameKind.REQUEST, 2, 1, 1, bytes(MAX_PAYLOAD + 1)))
