"""A real NT kernel on a serial line, recorded in both directions: every packet, checksum and ACK."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from harness.debuggers.replay import read_chunks
from harness.kd.debugio import GetString, PrintString
from harness.kd.frames import BadPacket, Frame, Junk
from harness.kd.kdcom import Reader, frame_packet
from harness.kd.packet_ids import SYNC
from harness.kd.packets import Packet, PacketType
from harness.kd.registry import decode_payload
from harness.kd.statechange import Exception64, LoadSymbols

BOOT = "kdcom/reactos-x86-boot-procnotify.jsonl.xz"
LOOP = "kdcom/reactos-x86-loop.jsonl.xz"
FAILING = "kdcom/reactos-x86-assert-prompt-bugcheck.bin.xz"


def frames_of(path: Path) -> list[tuple[bool, Frame]]:
    """(from the target, frame), in the order in which they were complete on the line."""
    readers = {True: Reader(), False: Reader()}
    return [
        (chunk.from_target, frame)
        for chunk in read_chunks(path)
        for frame in readers[chunk.from_target].feed(chunk.data)
    ]


@pytest.mark.parametrize(
    ("name", "prints", "loads"), [(BOOT, 343, 33), (LOOP, 700, 43)], ids=["boot", "loop"]
)
def test_both_directions_decode_and_every_packet_is_acknowledged(
    shared_data: Path, name: str, prints: int, loads: int
) -> None:
    counts: Counter[str] = Counter()
    due: dict[bool, list[int]] = {True: [], False: []}
    for from_target, frame in frames_of(shared_data / name):
        assert not isinstance(frame, BadPacket)
        if not isinstance(frame, Packet):
            assert isinstance(frame, Junk) and from_target
            continue
        if frame.packet_type is PacketType.ACKNOWLEDGE:
            assert frame.packet_id == due[not from_target].pop(0)
        elif not frame.is_control:
            record = decode_payload(frame.packet_type, frame.payload)
            assert record.encode() == frame.payload
            counts[type(record).__name__] += 1
            due[from_target].append(frame.packet_id & ~SYNC)
    assert due == {True: [], False: []}
    assert counts == {"PrintString": prints, "LoadSymbols": loads, "Continue2": loads}


@pytest.mark.parametrize("name", [BOOT, LOOP, FAILING], ids=["boot", "loop", "failing"])
def test_the_targets_stream_encodes_to_its_own_bytes(shared_data: Path, name: str) -> None:
    stream = b"".join(chunk.data for chunk in read_chunks(shared_data / name) if chunk.from_target)
    parts = []
    for frame in Reader().feed(stream):
        match frame:
            case Packet():
                parts.append(frame_packet(frame))
            case Junk(data):
                parts.append(data)
            case _:
                pytest.fail(f"unexpected {frame}")
    whole = b"".join(parts)
    # A recording may end in the middle of a packet; what the reader still holds is less than one.
    assert stream.startswith(whole)
    assert len(stream) - len(whole) < 4096


def test_prompts_exceptions_and_the_bugcheck_of_the_failing_system(shared_data: Path) -> None:
    records = [
        decode_payload(frame.packet_type, frame.payload)
        for _, frame in frames_of(shared_data / FAILING)
        if isinstance(frame, Packet) and not frame.is_control
    ]
    prompts = [record for record in records if isinstance(record, GetString)]
    assert len(prompts) == 3
    assert all(record.prompt.endswith(b"(boipt)? ") for record in prompts)
    stops = [record for record in records if isinstance(record, Exception64)]
    assert stops[0].exception_code == 0xC0000005 and not stops[0].first_chance
    assert {stop.exception_code for stop in stops[1:]} == {0x80000003}
    assert all(len(stop.data) == 4 for stop in stops)
    banner = next(r.text for r in records if isinstance(r, PrintString) and b"Fatal System Error" in r.text)
    assert b"0x0000001e" in banner
    assert sum(isinstance(record, LoadSymbols) for record in records) == 32
