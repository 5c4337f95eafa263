"""UDP datagrams out of a pcapng file: just enough of the format for one capture."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ENHANCED_PACKET = 6
IPV4 = b"\x08\x00"
UDP = 17


class Udp(NamedTuple):
    source: str
    data: bytes


def read_udp(path: Path) -> Iterator[Udp]:
    """Every UDP datagram over IPv4 in a gzip-compressed, little-endian pcapng file, in order."""
    blocks = gzip.decompress(path.read_bytes())
    at = 0
    while at < len(blocks):
        kind, length = struct.unpack_from("<II", blocks, at)
        if kind == ENHANCED_PACKET:
            (captured,) = struct.unpack_from("<I", blocks, at + 20)
            frame = blocks[at + 28 : at + 28 + captured]
            if frame[12:14] == IPV4 and frame[23] == UDP:
                udp = 14 + (frame[14] & 15) * 4
                (size,) = struct.unpack_from(">H", frame, udp + 4)
                yield Udp(".".join(map(str, frame[26:30])), frame[udp + 8 : udp + size])
        at += length
