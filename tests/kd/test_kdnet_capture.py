"""WinDbg and a Windows 10 boot debugger, recorded: every datagram decodes and encodes to the same bytes."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from pcapng import read_udp

from harness.kd.debugio import PrintString
from harness.kd.fileio import CreateFile
from harness.kd.handshake import Poke, Response, decode_control
from harness.kd.kdnet import Channel, Datagram, Direction, Key, Sealer, data_key, peek
from harness.kd.layout import Record
from harness.kd.manipulate import GetVersion64, Manipulate
from harness.kd.packets import Packet, PacketType, decode_packet, encode_packet
from harness.kd.registry import decode_payload
from harness.kd.session import Session
from harness.kd.session_events import PacketReceived, ResendRequested
from harness.kd.statechange import Exception64, LoadSymbols

KEY = Key.parse("8.8.8.8")
CAPTURE = "kdnet/windbg-win10-key-8.8.8.8.pcapng.gz"
TARGET = "192.168.2.72"


class Decoded(NamedTuple):
    wire: bytes
    datagram: Datagram
    sealer: Sealer
    packet: Packet | None
    record: Record | None


@pytest.fixture(scope="module")
def capture(shared_data: Path) -> list[Decoded]:
    """All datagrams, decoded; a wrong HMAC or checksum, or an unknown packet, raises."""
    control = Sealer(Channel.CONTROL, KEY.secret, KEY.hmac_key)
    data: Sealer | None = None
    decoded = []
    for source, wire in read_udp(shared_data / CAPTURE):
        _, channel = peek(wire)
        sealer = control if channel is Channel.CONTROL else data
        assert sealer is not None
        datagram = sealer.open(wire)
        assert (datagram.direction is Direction.TO_HOST) == (source == TARGET)
        packet = record = None
        if channel is Channel.CONTROL:
            record = decode_control(datagram.body)
            if isinstance(record, Response):
                data = Sealer(Channel.DATA, data_key(KEY, datagram.body), KEY.hmac_key)
        elif len(datagram.body) > 12:
            packet = decode_packet(datagram.body)
            record = None if packet.is_control else decode_payload(packet.packet_type, packet.payload)
        decoded.append(Decoded(wire, datagram, sealer, packet, record))
    return decoded


def test_every_datagram_encodes_to_the_bytes_it_came_from(capture: list[Decoded]) -> None:
    same = 0
    for wire, datagram, sealer, packet, record in capture:
        body = datagram.body
        if record is not None:
            body = record.encode()
        if packet is not None:
            payload = packet.payload if record is None else body
            body = encode_packet(Packet(packet.packet_type, packet.packet_id, payload))
        again = sealer.seal(datagram.version, datagram.direction, datagram.sequence, body)
        same += again == wire
    assert (same, len(capture)) == (955, 955)


def test_every_data_packet_has_a_record_of_its_own(capture: list[Decoded]) -> None:
    for decoded in capture:
        assert type(decoded.record) is not Manipulate
    kinds = Counter(type(decoded.record).__name__ for decoded in capture if decoded.record is not None)
    assert kinds["Poke"] == 427
    assert kinds["Response"] == 1
    assert kinds["CreateFile"] == 66
    assert kinds["RestoreBreakPoint"] == 64


def test_prints_and_state_changes(capture: list[Decoded]) -> None:
    prints = [(d.packet, d.record) for d in capture if isinstance(d.record, PrintString)]
    assert len(prints) == 7
    assert len({packet.packet_id for packet, _ in prints if packet is not None}) == 6
    assert prints[0][1] == prints[1][1]
    first = prints[0][1]
    assert isinstance(first, PrintString) and first.text == b"BD: Boot Debugger Initialized\n"
    changes = [d.record for d in capture if isinstance(d.record, LoadSymbols | Exception64)]
    assert len(changes) == 3
    load, stop, reboot = changes
    assert isinstance(load, LoadSymbols) and load.path.endswith("winload.efi") and load.base == 0x96F000
    assert isinstance(stop, Exception64) and stop.exception_code == 0x80000003
    assert isinstance(reboot, LoadSymbols) and reboot.is_reboot


def test_details_of_some_records(capture: list[Decoded]) -> None:
    version = next(
        d.record
        for d in capture
        if isinstance(d.record, GetVersion64) and d.datagram.direction is Direction.TO_HOST
    )
    assert version.major_version == 0x040F and version.minor_version == 0x295A
    assert version.machine_type == 0x8664
    paths = {d.record.path for d in capture if isinstance(d.record, CreateFile) and d.record.data}
    assert "\\Windows\\system32\\ntkrnlmp.chk" in paths
    pokes = [d.record for d in capture if isinstance(d.record, Poke)]
    numbers = [int.from_bytes(poke.client_key[:8], "little") for poke in pokes]
    assert [after - before for before, after in pairwise(numbers)] == [1] * 426
    assert [poke.in_session for poke in pokes] == [False] + [True] * 426


def test_the_recorded_target_satisfies_our_host(capture: list[Decoded]) -> None:
    """Fed the target's datagrams under the recorded host key, the session reports each print once."""
    response = next(d.record for d in capture if isinstance(d.record, Response))
    session = Session.kdnet_host(KEY, lambda size: response.host_key)
    received = []
    for decoded in capture:
        if decoded.datagram.direction is Direction.TO_HOST:
            session.receive(decoded.wire, 0.0, (TARGET, 51111))
            session.datagrams_to_send()
            while (event := session.next_event()) is not None:
                received.append(event)
    prints = [
        event.record()
        for event in received
        if isinstance(event, PacketReceived) and event.packet_type is PacketType.DEBUG_IO
    ]
    assert len(prints) == 6
    data = [event for event in received if isinstance(event, PacketReceived)]
    assert len(data) == len(
        {
            d.packet.packet_id
            for d in capture
            if d.packet is not None and not d.packet.is_control and d.datagram.direction is Direction.TO_HOST
        }
    )
    assert sum(isinstance(event, ResendRequested) for event in received) == 1
