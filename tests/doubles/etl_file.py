"""An event trace log (ETL) of Microsoft-Windows-Kernel-Process, byte by byte.

Sources: G. Chappell's pages on WMI_BUFFER_HEADER, TRACE_LOGFILE_HEADER and SYSTEM_TRACE_HEADER; evntcons.h
(EVENT_HEADER); the provider's manifest. No file that Windows wrote was at hand.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from uuid import UUID

__all__ = ["BUFFER", "EtlEvent", "etl_file", "image_load", "process_start", "thread"]

BUFFER = 4096
START = 134_000_000_000_000_000
PROVIDER = UUID("22fb2cd6-0e7b-422b-a0c7-2fad1fd0e716").bytes_le

EtlEvent = tuple[int, int, int, int, int, bytes]
"""Ticks since the start, EventID, version, PID and TID of the context, payload."""


def text(words: str) -> bytes:
    return words.encode("utf-16-le") + bytes(2)


def process_start(version: int, pid: int, parent: int, image: str) -> bytes:
    if version < 3:
        flags = b"" if version == 0 else bytes(4)
        return struct.pack("<IQII", pid, 0, parent, 1) + flags + text(image)
    label = struct.pack("<BB6sI", 1, 1, b"\0\0\0\0\0\x10", 0x2000)
    return struct.pack("<IQQIQIIII", pid, 1, 0, parent, 1, 1, 0, 0, 0) + label + text(image) + bytes(12)


def thread(pid: int, tid: int) -> bytes:
    return struct.pack("<II", pid, tid) + bytes(60)


def image_load(pid: int, base: int, size: int, image: str) -> bytes:
    return struct.pack("<QQIIIQ", base, size, pid, 0, 0, base) + text(image)


def _record(event: EtlEvent, *, provider: bytes, extended: bool) -> bytes:
    ticks, number, version, pid, tid, payload = event
    if extended:
        items = struct.pack("<HHHH", 16, 2, 1, 8) + bytes(8) + struct.pack("<HHHH", 16, 3, 0, 4) + bytes(8)
        payload = items + payload
    head = struct.pack("<HHHHIIQ16s", 0x50 + len(payload), 0xC013, extended, 0, tid, pid, ticks, provider)
    head += struct.pack("<HBBBBHQQ16s", number, version, 0, 4, 0, 0, 0, 0, bytes(16))
    return _padded(head + payload)


def _padded(record: bytes) -> bytes:
    return record + bytes(-len(record) % 8)


def _buffer(records: bytes) -> bytes:
    filled = 0x48 + len(records)
    head = struct.pack("<IIII32xIHH16x", BUFFER, filled, filled, 0, filled, 0, 0)
    return (head + records).ljust(BUFFER, b"\xff")


def _logfile_header(buffers: int, clock: int, rate: int, lost: int) -> bytes:
    speed = rate if clock == 3 else 2400
    body = struct.pack("<IIIIQIIII", BUFFER, 10, 19041, 2, START, 0, 0, 0, buffers)
    body += struct.pack("<IIIIQQ", 1, 8, lost, speed, 0, 0) + bytes(0xB0)
    body += struct.pack("<QQQII", 0, rate, START, clock, 0)
    assert len(body) == 0x118, hex(len(body))
    body += text("session") + text("x.etl")
    head = struct.pack("<HHHBBIIQQ", 2, 0xC002, 0x20 + len(body), 0, 0, 1, 4, 1000, 0)
    return _padded(head + body)


def etl_file(
    *buffers: Sequence[EtlEvent],
    clock: int = 1,
    rate: int = 10_000_000,
    lost: int = 0,
    extended: bool = False,
) -> bytes:
    """The file; a buffer for each processor, besides the first, which says what the log is."""
    file = _buffer(_logfile_header(1 + len(buffers), clock, rate, lost))
    for events in buffers:
        other = _record((0, 1, 0, 0, 0, b""), provider=bytes(16), extended=False)
        records = other + b"".join(_record(event, provider=PROVIDER, extended=extended) for event in events)
        file += _buffer(records)
    return file
