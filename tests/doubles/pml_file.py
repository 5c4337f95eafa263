"""A Process Monitor log (PML), byte by byte: its process events and one of another class.

Source: the description of the format in eronnen/procmon-parser, docs/PML Format.md.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

__all__ = ["PmlEvent", "pml_file"]

PmlEvent = tuple[int, int, int, int, int, bytes]
"""Process's place in the table, TID, class, operation, FILETIME, details."""
HEADER = 0x3A8


def text(words: str) -> bytes:
    return words.encode("utf-16-le")


def detail_text(words: str) -> tuple[bytes, bytes]:
    """The info field and the characters of a text in the details."""
    return struct.pack("<H", 0x8000 | len(words)), words.encode("ascii")


def load_image(base: int, size: int, path: str) -> bytes:
    info, characters = detail_text(path)
    return struct.pack("<QI", base, size) + info + bytes(2) + characters


def process_start(parent: int) -> bytes:
    return struct.pack("<IHHI", parent, 0, 0, 0)


def process_exit() -> bytes:
    return bytes(4 + 6 * 8)


def thread_exit() -> bytes:
    return bytes(4 + 2 * 8)


def process_create(pid: int) -> bytes:
    return bytes(4) + struct.pack("<I", pid) + bytes(0x24 + 2 + 4 + 2)


def _strings(strings: Sequence[str]) -> bytes:
    places, data = [], b""
    start = 4 + 4 * len(strings)
    for words in strings:
        places.append(start + len(data))
        encoded = text(words) + bytes(2)
        data += struct.pack("<I", len(encoded)) + encoded
    return struct.pack(f"<I{len(places)}I", len(places), *places) + data


def _processes(processes: Sequence[tuple[int, int]]) -> bytes:
    """PID and parent of each; string 1 is the name, string 2 the image path of all."""
    data, places = b"", []
    start = 4 + 8 * len(processes)
    for index, (pid, parent) in enumerate(processes):
        places.append(start + len(data))
        data += struct.pack("<4IQII QQII", index, pid, parent, 0, 0, 0, 0, 0, 0, 0, 1)
        data += struct.pack("<8I", 0, 0, 1, 2, 0, 0, 0, 0) + struct.pack("<IIQI", 0, 0, 0, 0)
    count = len(processes)
    return struct.pack(f"<I{count}I{count}I", count, *range(count), *places) + data


def pml_file(
    events: Sequence[PmlEvent], processes: Sequence[tuple[int, int]], name: str, image: str
) -> bytes:
    """The file of a 64-bit system."""
    body, places = b"", b""
    for process, tid, kind, operation, time, details in events:
        places += struct.pack("<IB", HEADER + len(body), 0)
        body += struct.pack(
            "<IIIHHIQQIHHII", process, tid, kind, operation, 0, 0, 0, time, 0, 0, 0, len(details), 0
        )
        body += details
    tables = [places, _processes(processes), _strings(["", name, image]), bytes(4), bytes(8)]
    starts = [HEADER + len(body)]
    for table in tables:
        starts.append(starts[-1] + len(table))
    head = struct.pack("<4sII", b"PML_", 9, 1) + text("PC").ljust(0x20, b"\0")
    head += text("C:\\Windows").ljust(0x208, b"\0") + struct.pack("<I8x", len(events))
    head += struct.pack("<6Q", HEADER, starts[0], starts[1], starts[2], starts[3], 0)
    head += struct.pack("<4xIIII", 10, 0, 19041, 1) + bytes(0x32 + 0xD6)
    head += struct.pack("<IQQQ", 2, 1 << 30, HEADER, starts[4])
    assert len(head) == HEADER, hex(len(head))
    return head + body + b"".join(tables)
