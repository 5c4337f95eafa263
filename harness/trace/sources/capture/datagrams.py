"""The UDP datagram in a captured packet.

Sources: IEEE 802.3 and 802.1Q, RFC 791, RFC 8200, RFC 768, and tcpdump's list of LINKTYPE_ values.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = ["udp_payload"]

_IPV4, _IPV6 = 0x0800, 0x86DD
_TAGS: Final = (0x8100, 0x88A8)
_MAX_TAGS: Final = 4
_UDP: Final = 17


def udp_payload(link_type: int, frame: bytes) -> bytes | None:
    """What the datagram carries; None: the packet has no UDP datagram, or a part of one only."""
    try:
        found = _network(link_type, frame)
        return None if found is None else _transport(*found)
    except (struct.error, IndexError):
        return None


def _network(link_type: int, frame: bytes) -> tuple[int, bytes] | None:
    """EtherType and packet."""
    match link_type:
        case 1:  # ETHERNET
            kind, start = int.from_bytes(frame[12:14], "big"), 14
            for _ in range(_MAX_TAGS):
                if kind not in _TAGS:
                    break
                kind, start = int.from_bytes(frame[start + 2 : start + 4], "big"), start + 4
            return kind, frame[start:]
        case 113:  # LINUX_SLL
            return int.from_bytes(frame[14:16], "big"), frame[16:]
        case 276:  # LINUX_SLL2
            return int.from_bytes(frame[:2], "big"), frame[20:]
        case 0 | 108:  # NULL, LOOP: a family of this or that system
            return _by_version(frame[4:])
        case 12 | 14 | 101 | 228 | 229:  # RAW, IPV4, IPV6
            return _by_version(frame)
        case _:
            return None


def _by_version(packet: bytes) -> tuple[int, bytes]:
    return (_IPV6 if packet[0] >> 4 == 6 else _IPV4), packet


def _transport(kind: int, packet: bytes) -> bytes | None:
    if kind == _IPV4:
        header = (packet[0] & 15) * 4
        size, fragment = struct.unpack_from(">H2xH", packet, 2)
        if packet[0] >> 4 != 4 or packet[9] != _UDP or fragment & 0x3FFF or header < 20:
            return None
        datagram = packet[header:size]
    elif kind == _IPV6:
        (size,) = struct.unpack_from(">H", packet, 4)
        if packet[6] != _UDP:
            return None
        datagram = packet[40 : 40 + size]
    else:
        return None
    (length,) = struct.unpack_from(">H", datagram, 4)
    return datagram[8:length] if 8 <= length <= len(datagram) else None
