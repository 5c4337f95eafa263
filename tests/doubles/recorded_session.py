"""A KDNET session of two real ends in memory, as somebody beside them captures it, and the capture's file."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from random import Random

from harness.kd.debugio import PrintString
from harness.kd.handshake import Endpoint
from harness.kd.kdnet import Key
from harness.kd.packets import PacketType
from harness.kd.session import Session

__all__ = ["KEY", "datagrams", "ethernet", "pcap", "pcapng"]

KEY = Key.parse("1.2.3.4")
_HOST = Endpoint(IPv4Address("192.168.2.1"), 50000)
_OWN = Endpoint(IPv4Address("192.168.2.72"), 50001)


def datagrams(*boots: Sequence[bytes], key: Key = KEY, seed: int = 1, resends: int = 0) -> list[bytes]:
    """What both ends sent while a target printed, once for each boot; ``resends`` first prints reach the
    host late, so that the target sends them again."""
    chance = Random(seed)
    heard: list[bytes] = []
    host = Session.kdnet_host(key, chance.randbytes)
    now = 0.0

    def exchange(target: Session, *, lose: int = 0) -> None:
        for _ in range(50):
            from_target = [data for data, _ in target.datagrams_to_send()]
            for data in from_target:
                heard.append(data)
                if not lose:
                    host.receive(data, now, ("192.0.2.1", 50000))
                    host.prepare()
            from_host = [data for data, _ in host.datagrams_to_send()]
            for data in from_host:
                heard.append(data)
                target.receive(data, now, ("192.0.2.2", 50000))
            for session in (host, target):
                while session.next_event() is not None:
                    pass
            if not from_target and not from_host:
                return
        raise AssertionError("the two ends still talk")

    for prints in boots:
        now += 100.0  # the boot before is silent by now
        target = Session.kdnet_target(
            key, client_key=bytes(8) + chance.randbytes(24), own=_OWN, host=_HOST, now=now, max_tries=20
        )
        for session in (host, target):
            session.handle_timer(now)
        exchange(target)
        for number, text in enumerate(prints):
            target.send_packet(PacketType.DEBUG_IO, PrintString.of(text, processor=number % 2).encode(), now)
            exchange(target, lose=number < resends)
            while number < resends and not target.idle:
                now += 1.0
                target.handle_timer(now)
                exchange(target)
    return heard


def ethernet(payload: bytes, *, port: int = 50000) -> bytes:
    """A UDP datagram over IPv4 in an Ethernet frame, padded as short ones are."""
    udp = struct.pack(">4H", port, 50000, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0x4000, 64, 17, 0, bytes(4), bytes(4)) + udp
    return (bytes(12) + b"\x08\x00" + ip).ljust(60, b"\0")


def pcap(frames: Iterable[bytes], *, order: str = "<", link_type: int = 1, nano: bool = False) -> bytes:
    """A pcap file; a frame a second, from 100 s on."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    packets = (
        struct.pack(f"{order}4I", 100 + number, 500, len(frame), len(frame)) + frame
        for number, frame in enumerate(frames)
    )
    return head + b"".join(packets)


def _block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def pcapng(frames: Iterable[bytes], *, order: str = "<", link_type: int = 1) -> bytes:
    """A pcapng file with two interfaces, nanoseconds at the second one, and blocks that nobody needs."""
    section = _block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))
    nano = struct.pack(f"{order}HHB3xHH", 9, 1, 9, 0, 0)
    interfaces = _block(order, 1, struct.pack(f"{order}HHI", 147, 0, 0))
    interfaces += _block(order, 1, struct.pack(f"{order}HHI", link_type, 0, 0) + nano)
    packets = b""
    for number, frame in enumerate(frames):
        time = (100 + number) * 10**9 + 500_000
        head = struct.pack(f"{order}5I", 1, time >> 32, time & 0xFFFFFFFF, len(frame), len(frame))
        packets += _block(order, 6, head + frame) + _block(order, 5, bytes(12))
    return section + interfaces + packets
