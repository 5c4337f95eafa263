"""Keys, datagrams, packets and records: known answers, both ways, truncated, and fuzzed."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import pkgutil
import string
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kdnet_vectors import WIRE

import harness.kd
from harness.errors import UsageError
from harness.kd.contexts import (
    Amd64Context,
    Amd64ControlReport,
    Amd64SpecialRegisters,
    I386Context,
    I386ControlReport,
)
from harness.kd.debugio import GetString, PrintString, decode_debug_io
from harness.kd.errors import ProtocolError
from harness.kd.fileio import CloseFile, CreateFile, ReadFile, WriteFile, decode_file_io
from harness.kd.frames import BadPacket, BreakIn, Junk
from harness.kd.handshake import Endpoint, Poke, Response, decode_control, next_nonce
from harness.kd.kdcom import Reader, frame_packet
from harness.kd.kdnet import (
    MAX_DATAGRAM,
    Channel,
    Direction,
    Drop,
    DroppedDatagram,
    Key,
    Sealer,
    data_key,
    peek,
)
from harness.kd.layout import Record
from harness.kd.manipulate import GetVersion64, Manipulate, ReadVirtualMemory
from harness.kd.packets import (
    Packet,
    PacketType,
    checksum,
    decode_packet,
    encode_packet,
    hello_body,
)
from harness.kd.registry import APIS, decode_manipulate, decode_payload
from harness.kd.statechange import (
    CommandString,
    Exception64,
    LoadSymbols,
    decode_state_change,
)
from harness.kd.traceio import ControlRequest, TraceIo

KEY = Key.parse("8.8.8.8")
CONTROL = Sealer(Channel.CONTROL, KEY.secret, KEY.hmac_key)


def drop_reason(work: Callable[[], object]) -> Drop:
    with pytest.raises(DroppedDatagram) as raised:
        work()
    return raised.value.reason


class TestKey:
    @pytest.mark.parametrize(
        ("text", "numbers"),
        [
            ("1.2.3.4", (1, 2, 3, 4)),
            ("8.8.8.8", (8, 8, 8, 8)),
            ("Z.10.0.a", (35, 36, 0, 10)),
            ("3w5e11264sgsf.0.0.1", ((1 << 64) - 1, 0, 0, 1)),
        ],
    )
    def test_parts_are_little_endian_u64(self, text: str, numbers: tuple[int, ...]) -> None:
        key = Key.parse(text)
        assert key.secret == b"".join(number.to_bytes(8, "little") for number in numbers)
        assert Key.parse(key.format()) == key

    @pytest.mark.parametrize(
        "text", ["", "1.2.3", "1.2.3.4.5", "1..3.4", "1.2.3.-4", "1.2.3.4_0", "1.2.3.é",
        "3w5e11264sgsg.0.0.0", "1" * 14 + ".2.3.4"]
    )  # fmt: skip
    def test_what_is_no_key(self, text: str) -> None:
        with pytest.raises(UsageError, match="KDNET key"):
            Key.parse(text)

    def test_generated_keys_survive_the_round_trip(self) -> None:
        key = Key.generate(lambda size: bytes(range(size)))
        assert Key.parse(key.format()) == key
        assert set(key.format()) <= set(string.digits + string.ascii_lowercase + ".")

    def test_the_secret_is_not_shown(self) -> None:
        assert "8" * 8 not in repr(KEY) and KEY.secret.hex() not in repr(KEY)

    def test_hmac_key(self) -> None:
        assert KEY.hmac_key.hex() == ("f7" + "ff" * 7) * 4


class TestKnownAnswers:
    """The worked example of kd.md section 16, to the byte."""

    @pytest.fixture
    def data(self) -> Sealer:
        response = CONTROL.open(WIRE["response"]).body
        key = data_key(KEY, response)
        assert key.hex() == "6bd91c57bd6a551ad30b509c05c0c95b32cc5e47a0866907eaf0b1583384f660"
        return Sealer(Channel.DATA, key, KEY.hmac_key)

    def test_poke(self) -> None:
        version, channel, direction, sequence, body = CONTROL.open(WIRE["poke"])
        assert (version, channel, direction, sequence) == (4, Channel.CONTROL, Direction.TO_HOST, 3)
        poke = decode_control(body)
        assert isinstance(poke, Poke) and not poke.in_session
        assert Endpoint.decode(poke.target) == Endpoint(IPv4Address("192.168.2.72"), 51111)
        assert Endpoint.decode(poke.host) == Endpoint(IPv4Address("192.168.2.1"), 51111)
        assert poke.encode() == body
        made = Poke.of(
            client_key=poke.client_key,
            target=Endpoint(IPv4Address("192.168.2.72"), 51111),
            host=Endpoint(IPv4Address("192.168.2.1"), 51111),
        )
        assert CONTROL.seal(4, Direction.TO_HOST, 3, made.encode()) == WIRE["poke"]

    def test_response(self) -> None:
        datagram = CONTROL.open(WIRE["response"])
        assert (datagram.direction, datagram.sequence) == (Direction.TO_TARGET, 3)
        response = decode_control(datagram.body)
        assert isinstance(response, Response)
        poke = decode_control(CONTROL.open(WIRE["poke"]).body)
        assert isinstance(poke, Poke) and response.client_key == poke.client_key
        made = Response(client_key=response.client_key, host_key=response.host_key)
        assert CONTROL.seal(4, Direction.TO_TARGET, 3, made.encode()) == WIRE["response"]

    @pytest.mark.parametrize(
        ("name", "direction", "sequence", "body"),
        [
            ("hello", Direction.TO_HOST, 1, hello_body(0xC0A80201)),
            (
                "print",
                Direction.TO_HOST,
                2,
                encode_packet(
                    Packet(
                        PacketType.DEBUG_IO,
                        0,
                        PrintString(
                            length=30, undefined=0x7FF, data=b"BD: Boot Debugger Initialized\n"
                        ).encode(),
                    )
                ),
            ),
            ("resend", Direction.TO_TARGET, 1, encode_packet(Packet(PacketType.RESEND, 0))),
            ("ack", Direction.TO_TARGET, 2, encode_packet(Packet(PacketType.ACKNOWLEDGE, 0))),
        ],
    )
    def test_data(self, data: Sealer, name: str, direction: Direction, sequence: int, body: bytes) -> None:
        assert data.open(WIRE[name]) == (4, Channel.DATA, direction, sequence, body)
        assert data.seal(4, direction, sequence, body) == WIRE[name]

    def test_a_retransmission_has_a_new_sequence_number(self, data: Sealer) -> None:
        first, again = data.open(WIRE["print"]), data.open(WIRE["print again"])
        assert (first.sequence, again.sequence) == (2, 3)
        assert first.body == again.body


class TestDatagram:
    @given(st.binary(max_size=1450), st.integers(0, (1 << 56) - 1), st.sampled_from(Direction))
    def test_both_ways_and_independent_of_what_went_before(
        self, body: bytes, sequence: int, direction: Direction
    ) -> None:
        wire = CONTROL.seal(4, direction, sequence, body)
        assert CONTROL.open(wire) == (4, Channel.CONTROL, direction, sequence, body)
        fresh = Sealer(Channel.CONTROL, KEY.secret, KEY.hmac_key)
        assert fresh.seal(4, direction, sequence, body) == wire

    def test_every_changed_bit_is_noticed(self) -> None:
        wire = WIRE["resend"]
        sealer = Sealer(Channel.DATA, bytes(32), KEY.hmac_key)
        wire = sealer.seal(4, Direction.TO_HOST, 1, b"body")
        for bit in range(8 * len(wire)):
            changed = bytearray(wire)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DroppedDatagram):
                version, _ = peek(bytes(changed))
                sealer.open(bytes(changed))
                assert version != 4

    @pytest.mark.parametrize(
        ("wire", "reason"),
        [
            (b"", Drop.SHORT),
            (b"MDBG\x04\x00" + bytes(31), Drop.SHORT),
            (b"MDBG\x04\x00" + bytes(MAX_DATAGRAM), Drop.LONG),
            (b"MDBX\x04\x00" + bytes(32), Drop.BAD_MAGIC),
            (b"MDBG\x04\x02" + bytes(32), Drop.BAD_CHANNEL),
            (b"MDBG\x04\x00" + bytes(33), Drop.BAD_LENGTH),
        ],
    )
    def test_drops_by_name(self, wire: bytes, reason: Drop) -> None:
        assert drop_reason(lambda: peek(wire)) is reason

    def test_another_key_fails_authentication(self) -> None:
        other = Key.parse("8.8.8.9")
        sealer = Sealer(Channel.CONTROL, other.secret, other.hmac_key)
        assert drop_reason(lambda: sealer.open(WIRE["poke"])) is Drop.BAD_MAC

    def test_sequence_must_fit(self) -> None:
        with pytest.raises(ProtocolError, match="56 bits"):
            CONTROL.seal(4, Direction.TO_HOST, 1 << 56, b"")

    @given(st.binary(max_size=400))
    def test_no_bytes_raise_anything_else(self, wire: bytes) -> None:
        with pytest.raises(DroppedDatagram):
            peek(wire)
            CONTROL.open(wire)


class TestHandshake:
    @pytest.mark.parametrize("size", [0, 1, 2, 70, 88, 321, 322, 343, 345, 352])
    def test_a_poke_has_344_bytes(self, size: int) -> None:
        with pytest.raises(ProtocolError):
            decode_control((b"\x01\x01" + bytes(400))[:size])

    def test_ipv6(self) -> None:
        endpoint = Endpoint(IPv6Address("fe80::1"), 50000)
        assert Endpoint.decode(endpoint.encode()) == endpoint
        with pytest.raises(ProtocolError):
            Endpoint.decode(bytes(17))

    def test_the_nonce_counts(self) -> None:
        assert next_nonce(b"\xff" * 8 + b"tail") == bytes(8) + b"tail"
        assert next_nonce(b"\x01" + bytes(31)) == b"\x02" + bytes(31)

    @given(st.binary(max_size=400))
    def test_fuzz(self, body: bytes) -> None:
        for candidate in (body, b"\x01\x01" + body, b"\x01\x02" + body):
            with contextlib.suppress(ProtocolError):
                assert decode_control(candidate).encode() == candidate


PACKETS = [
    Packet(PacketType.ACKNOWLEDGE, 0x80800001),
    Packet(PacketType.RESEND, 0),
    Packet(PacketType.RESET, 0x926),
    Packet(PacketType.DEBUG_IO, 4, PrintString.of(b"text\n").encode()),
    Packet(PacketType.STATE_MANIPULATE, 6, ReadVirtualMemory(address=1 << 63, count=8).encode()),
]


class TestPacket:
    @pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 1416, 4000, 65535])
    def test_the_checksum_is_the_sum_of_the_bytes(self, size: int) -> None:
        assert checksum(b"\xff" * size) == 0xFF * size
        assert checksum(bytes(number & 0xFF for number in range(size))) == sum(n & 0xFF for n in range(size))

    @pytest.mark.parametrize("packet", PACKETS)
    def test_both_ways_and_truncated(self, packet: Packet) -> None:
        wire = encode_packet(packet)
        assert decode_packet(wire) == packet
        for size in range(len(wire)):
            with pytest.raises(ProtocolError):
                decode_packet(wire[:size])
        with pytest.raises(ProtocolError):
            decode_packet(wire + b"\xaa")

    @pytest.mark.parametrize(
        ("at", "value", "message"),
        [
            (0, 0x31, "leader"),
            (4, 0, "unknown"),
            (4, 8, "unknown"),
            (4, 4, "with leader"),
            (6, 0xFF, "announces"),
            (12, 1, "checksum"),
            (20, 1, "checksum"),
        ],
    )
    def test_what_is_wrong_is_named(self, at: int, value: int, message: str) -> None:
        wire = bytearray(encode_packet(PACKETS[3]))
        wire[at] = value
        with pytest.raises(ProtocolError, match=message):
            decode_packet(bytes(wire))

    def test_limits(self) -> None:
        with pytest.raises(ProtocolError, match="no payload"):
            encode_packet(Packet(PacketType.RESET, 0, b"x"))
        with pytest.raises(ProtocolError, match="16-bit"):
            encode_packet(Packet(PacketType.DEBUG_IO, 0, bytes(65536)))
        assert checksum(b"\xff" * 300) == 300 * 255

    @given(st.binary(max_size=64))
    def test_fuzz(self, data: bytes) -> None:
        for wire in (data, b"0000" + data, b"iiii" + data):
            with contextlib.suppress(ProtocolError):
                assert encode_packet(decode_packet(wire)) == wire


class TestSerialLine:
    @pytest.mark.parametrize("packet", PACKETS)
    @pytest.mark.parametrize("before", [b"", b"boot text\r\n", b"000", b"0", b"iii", b"b"])
    def test_whole_and_byte_by_byte(self, packet: Packet, before: bytes) -> None:
        stream = before + frame_packet(packet) * 2
        whole = [frame for frame in Reader().feed(stream) if isinstance(frame, Packet)]
        reader = Reader()
        pieces = [
            frame for byte in stream for frame in reader.feed(bytes([byte])) if isinstance(frame, Packet)
        ]
        assert whole == pieces == [packet, packet]

    def test_damage_costs_one_packet(self) -> None:
        wire = bytearray(frame_packet(PACKETS[3]))
        wire[20] ^= 1
        frames = Reader().feed(bytes(wire) + frame_packet(PACKETS[4]))
        assert isinstance(frames[0], BadPacket)
        assert frames[-1] == PACKETS[4]

    def test_missing_trailer(self) -> None:
        wire = frame_packet(PACKETS[3])[:-1]
        frames = Reader().feed(wire + frame_packet(PACKETS[4]))
        assert any(isinstance(frame, BadPacket) for frame in frames)
        assert frames[-1] == PACKETS[4]

    def test_break_in_only_where_it_is_one(self) -> None:
        assert Reader(break_ins=True).feed(b"bbxbz") == [BreakIn(), BreakIn(), Junk(b"xbz")]
        assert Reader().feed(b"xbz") == [Junk(b"xbz")]
        packet = Packet(PacketType.DEBUG_IO, 0, b"bbbb")
        assert Reader(break_ins=True).feed(frame_packet(packet)) == [packet]

    @given(st.lists(st.binary(max_size=64) | st.just(b"0000") | st.just(b"iiii"), max_size=30))
    def test_fuzz(self, pieces: list[bytes]) -> None:
        reader = Reader(break_ins=True)
        for piece in pieces:
            reader.feed(piece)
        assert len(reader._buffer) <= 16 + 4000 + 1 + 64


RECORDS: list[Record] = [
    PrintString.of(b"text\n", processor=3),
    GetString.of(b"Continue? "),
    Exception64(
        exception_code=0x80000003, number_parameters=2, information=Exception64.pack_parameters(1, 2)
    ),
    LoadSymbols(path_length=4, base=1 << 40, data=b"a.b\0"),
    CommandString(data=b"name\0command\0"),
    CreateFile(data="\\a\0".encode("utf-16-le")),
    ReadFile(handle=1, offset=2, length=3),
    WriteFile(handle=1, data=b"x"),
    CloseFile(handle=1),
    TraceIo(length=3, data=b"xyz"),
    ControlRequest(number=1),
    *(record(data=b"data") for record in APIS.values()),
    Manipulate(api=0x3199),
]

TYPES = {
    **dict.fromkeys((PrintString, GetString), PacketType.DEBUG_IO),
    **dict.fromkeys((Exception64, LoadSymbols, CommandString), PacketType.STATE_CHANGE64),
    **dict.fromkeys((CreateFile, ReadFile, WriteFile, CloseFile), PacketType.FILE_IO),
    TraceIo: PacketType.TRACE_IO,
    ControlRequest: PacketType.CONTROL_REQUEST,
}


class TestRecords:
    @pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
    def test_both_ways_truncated_and_with_garbage(self, record: Record) -> None:
        packet_type = TYPES.get(type(record), PacketType.STATE_MANIPULATE)
        wire = record.encode()
        assert decode_payload(packet_type, wire) == record
        for size in range(record.SIZE):
            with pytest.raises(ProtocolError):
                decode_payload(packet_type, wire[:size])
        # Every byte of the fixed part survives, field or not.
        for at in range(4, record.SIZE):
            changed = wire[:at] + bytes([wire[at] ^ 0xFF]) + wire[at + 1 :]
            with contextlib.suppress(ProtocolError):  # a length or count that is now impossible
                assert decode_payload(packet_type, changed).encode() == changed

    @pytest.mark.parametrize(
        "record", [Amd64Context, I386Context, Amd64SpecialRegisters, Amd64ControlReport, I386ControlReport]
    )
    def test_processor_state(self, record: type[Record]) -> None:
        data = bytes(number % 251 for number in range(record.SIZE))
        assert record.decode(data).encode() == data

    def test_known_offsets(self) -> None:
        assert Amd64Context(rip=1).encode()[0xF8] == 1
        assert Amd64Context(rcx=1).encode()[0x80] == 1
        assert I386Context(eip=1).encode()[0xB8] == 1
        assert len(I386Context().encode()) == 716
        assert Amd64SpecialRegisters(cr3=1).encode()[0x10] == 1
        assert LoadSymbols(base=1).encode()[40] == 1
        assert GetVersion64(kernel_base=1).encode()[32] == 1

    def test_views(self) -> None:
        answer = GetString.of(b"Continue? ", room=8).answered(b"a long answer")
        assert answer.answer == b"a long " and answer.length_of_string == 8
        change = RECORDS[2]
        assert isinstance(change, Exception64) and change.parameters == (1, 2)
        command = RECORDS[4]
        assert isinstance(command, CommandString)
        assert (command.name, command.command) == (b"name", b"command")
        assert LoadSymbols(base=LoadSymbols.REBOOT_BASE, unload=1).is_reboot
        assert not GetVersion64(status=0xC0000001).succeeded

    def test_a_value_out_of_range_is_refused(self) -> None:
        with pytest.raises(ProtocolError, match="cannot be encoded"):
            PrintString(processor=1 << 16).encode()

    def test_contradictions_are_refused(self) -> None:
        for record in (
            PrintString(length=5, data=b"four"),
            LoadSymbols(path_length=5, data=b"four"),
            Exception64(number_parameters=16),
            TraceIo(length=5, data=b"four"),
            TraceIo(api=1),
            ControlRequest(api=1),
        ):
            with pytest.raises(ProtocolError):
                type(record).decode(record.encode())

    @given(st.sampled_from(PacketType), st.integers(0x3030, 0x4310), st.binary(max_size=320))
    @settings(max_examples=400)
    def test_fuzz(self, packet_type: PacketType, api: int, rest: bytes) -> None:
        payload = api.to_bytes(4, "little") + rest
        with contextlib.suppress(ProtocolError):
            assert decode_payload(packet_type, payload).encode() == payload

    @given(
        st.sampled_from([decode_debug_io, decode_file_io, decode_state_change, decode_manipulate]),
        st.binary(max_size=3),
    )
    def test_shorter_than_an_api_number(self, decode: Callable[[bytes], Record], payload: bytes) -> None:
        with pytest.raises(ProtocolError):
            decode(payload)

    def test_no_two_fields_overlap_and_every_record_is_frozen(self) -> None:
        for record in RECORDS:
            assert dataclasses.is_dataclass(record)
            with pytest.raises(dataclasses.FrozenInstanceError):
                record.data = b""  # type: ignore[misc]  # that is the point


def test_every_module_exports_what_it_says() -> None:
    for info in pkgutil.iter_modules(harness.kd.__path__):
        module = importlib.import_module(f"harness.kd.{info.name}")
        assert module.__doc__
        for name in module.__all__:
            assert hasattr(module, name), f"{info.name}.{name}"
