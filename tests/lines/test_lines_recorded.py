"""What a real NT kernel printed, over a recorded serial KD session, becomes events."""

from __future__ import annotations

import json
import lzma
import struct
from collections import Counter
from pathlib import Path

import pytest

from harness.events import Print, kind_of
from harness.grammars import builtin_grammar
from harness.lines import EventAssembler

DBGKD_PRINT_STRING = 0x3230
PACKET_TYPE_KD_DEBUG_IO = 3


def printed(recording: Path) -> list[str]:
    """The text of every print packet, retransmissions left out: a minimal reader, for this test alone."""
    with lzma.open(recording, "rt") as rows:
        chunks = (json.loads(row) for row in rows)
        received = b"".join(bytes.fromhex(chunk["b"]) for chunk in chunks if chunk["d"] == "rx")
    texts, before, at = [], None, received.find(b"0000")
    while 0 <= at <= len(received) - 16:
        kind, size, packet_id, checksum = struct.unpack_from("<HHII", received, at + 4)
        payload = received[at + 16 : at + 16 + size]
        if len(payload) == size and sum(payload) == checksum:
            if kind == PACKET_TYPE_KD_DEBUG_IO and before != (packet_id, payload):
                api, length = struct.unpack_from("<I4xI", payload)
                if api == DBGKD_PRINT_STRING:
                    texts.append(payload[16 : 16 + length].decode("ascii"))
            before = (packet_id, payload)
            at = received.find(b"0000", at + 16 + size)
        else:
            at = received.find(b"0000", at + 1)
    return texts


@pytest.mark.parametrize(
    ("recording", "expected"),
    [
        (
            "reactos-x86-boot-procnotify.jsonl.xz",
            {"driver": 3, "process_create": 10, "thread_create": 57, "thread_exit": 8, "image_load": 30},
        ),
        (
            "reactos-x86-loop.jsonl.xz",
            {
                "driver": 18,
                "process_create": 22,
                "process_exit": 22,
                "thread_create": 58,
                "thread_exit": 70,
                "image_load": 44,
            },
        ),
    ],
)
def test_every_line_of_the_driver_becomes_an_event(shared_data, recording, expected):
    texts = printed(shared_data / "kdcom" / recording)
    assembler = EventAssembler(builtin_grammar())
    events = [event for text in texts for event in assembler.feed(text)]
    kinds = Counter(kind_of(event) for event in events)
    assert {kind: count for kind, count in kinds.items() if kind != "print"} == expected
    assert not [event.line for event in events if isinstance(event, Print) and "[procnotify]" in event.line]
    assert sum(text.count("[procnotify]") for text in texts) == sum(expected.values())
