"""Damage on a serial line, one kind at a time: what is dropped, what is asked for again, what is heard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.kd.debugio import PrintString
from harness.kd.frames import BadPacket, BreakIn, Frame, Junk
from harness.kd.kdcom import MAX_HELD, Reader, frame_packet
from harness.kd.kdcom_doubts import SURE, Doubts
from harness.kd.kdcom_link import PAUSE
from harness.kd.manipulate import GetVersion64, ReadVirtualMemory
from harness.kd.packet_ids import KDCOM_FIRST, SYNC
from harness.kd.packets import (
    BREAK_IN,
    MAX_KDCOM_PAYLOAD,
    TRAILER,
    Packet,
    PacketType,
    encode_packet,
)
from harness.kd.session import RETRANSMIT, Session
from harness.kd.session_events import (
    Acknowledged,
    BreakInReceived,
    Dropped,
    GaveUp,
    JunkReceived,
    PacketReceived,
    PacketRepeated,
    PeerReset,
    PeerRestarted,
    ResendRequested,
    SessionEvent,
)
from harness.kd.statechange import Exception64
from harness.kd.transitions import Phase

FIRST, SECOND = KDCOM_FIRST, KDCOM_FIRST | 1
RESEND = Packet(PacketType.RESEND, 0)
RESET = Packet(PacketType.RESET, 0)
PRINT = Packet(PacketType.DEBUG_IO, SECOND, PrintString.of(b"a line with b in it\n").encode())
REQUEST = Packet(PacketType.STATE_MANIPULATE, SECOND, ReadVirtualMemory(address=0xB0, count=98).encode())
FIRST_REQUEST = Packet(PacketType.STATE_MANIPULATE, FIRST, GetVersion64().encode())
BOTH_ROLES = pytest.mark.parametrize("role", ["host", "target"])


def line(text: bytes, packet_id: int) -> Packet:
    return Packet(PacketType.DEBUG_IO, packet_id, PrintString.of(text).encode())


def ack(packet_id: int) -> Packet:
    return Packet(PacketType.ACKNOWLEDGE, packet_id)


class End:
    """One session at a serial line, and the other end of the line written by hand."""

    def __init__(self, role: str = "host") -> None:
        self.session = Session.kdcom_host() if role == "host" else Session.kdcom_target()
        self.now = 0.0
        self.events: list[SessionEvent] = []
        self._heard = Reader(break_ins=True)

    @classmethod
    def connected(cls, role: str = "host") -> End:
        """The stream has begun: the peer's next id is :data:`SECOND`."""
        end = cls(role)
        first = line(b"first\n", FIRST | SYNC) if role == "host" else FIRST_REQUEST
        assert end.hear(first) == [ack(FIRST)]
        end.events.clear()
        return end

    def hear(self, *what: bytes | Packet) -> list[Frame]:
        """The line brings this; what the session answers."""
        for piece in what:
            data = frame_packet(piece) if isinstance(piece, Packet) else piece
            self.session.receive(data, self.now)
        return self.said()

    def wait(self, seconds: float) -> list[Frame]:
        """Nothing comes for this long; what the session says meanwhile."""
        end = self.now + seconds
        said: list[Frame] = []
        while (deadline := self.session.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.session.handle_timer(self.now)
            said += self.said()
        self.now = end
        return said

    def said(self) -> list[Frame]:
        data = b"".join(data for data, _ in self.session.datagrams_to_send())
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
        return self._heard.feed(data)

    def received(self) -> list[Packet]:
        return [Packet(*event) for event in self.events if isinstance(event, PacketReceived)]

    def dropped(self) -> list[str]:
        return [event.detail for event in self.events if isinstance(event, Dropped)]


def flips(wire: bytes) -> Iterator[bytes]:
    """The bytes with each single bit changed."""
    for at in range(len(wire)):
        for bit in range(8):
            yield wire[:at] + bytes([wire[at] ^ 1 << bit]) + wire[at + 1 :]


def losses(wire: bytes) -> Iterator[bytes]:
    return (wire[:at] + wire[at + 1 :] for at in range(len(wire)))


def insertions(wire: bytes) -> Iterator[bytes]:
    return (wire[:at] + byte + wire[at:] for at in range(1, len(wire)) for byte in (b"b", b"0", b"\xaa"))


class TestWholePackets:
    @pytest.mark.parametrize("damage", [flips, losses, insertions])
    @pytest.mark.parametrize(("role", "packet"), [("host", PRINT), ("target", REQUEST)])
    def test_any_one_fault_costs_a_repetition_and_nothing_else(self, role, packet, damage) -> None:
        wire = frame_packet(packet)
        for damaged in damage(wire):
            end = End.connected(role)
            answers = end.hear(damaged) + end.wait(RETRANSMIT)
            if ack(SECOND) not in answers:
                assert end.received() == [], damaged
            # Repeated until it is acknowledged, as every peer does.
            for _ in range(3):
                answers += end.hear(wire) + end.wait(RETRANSMIT)
            assert ack(SECOND) in answers, damaged
            assert [one.payload for one in end.received()] == [packet.payload], damaged
            assert end.session.phase is Phase.CONNECTED
            assert not any(isinstance(event, PeerRestarted | BreakInReceived) for event in end.events)
            # The next packet is heard at once.
            following = packet._replace(packet_id=FIRST, payload=packet.payload + b"more")
            assert end.hear(following) == [ack(FIRST)]

    @BOTH_ROLES
    def test_a_wrong_trailer_is_asked_for_again(self, role: str) -> None:
        packet = PRINT if role == "host" else REQUEST
        for byte in range(256):
            end = End.connected(role)
            if bytes([byte]) == TRAILER:
                continue
            assert end.hear(encode_packet(packet), bytes([byte])) == [RESEND]
            assert f"0x{byte:02x}, expected 0xaa" in end.dropped()[0]
            assert end.hear(packet) == [ack(SECOND)]
            assert end.received() == [packet]

    def test_a_lost_trailer_does_not_cost_the_packet_behind(self) -> None:
        end = End.connected()
        assert end.hear(encode_packet(PRINT), PRINT) == [RESEND, ack(SECOND)]

    def test_a_packet_with_a_wrong_checksum_is_thrown_away_whole_with_what_looks_like_one_inside(
        self,
    ) -> None:
        # Memory that is read, or a text, may hold the image of a packet.
        image = frame_packet(line(b"never sent\n", SECOND))
        wire = bytearray(frame_packet(line(b"text " + image + b" text\n", SECOND)))
        wire[20] ^= 1
        end = End.connected()
        assert end.hear(bytes(wire)) == [RESEND]
        assert end.received() == []

    @pytest.mark.parametrize("count", [MAX_KDCOM_PAYLOAD + 1, 0x8000, 0xFFFF])
    def test_an_absurd_length_is_refused_at_once(self, count: int) -> None:
        wire = bytearray(frame_packet(PRINT))
        wire[6:8] = count.to_bytes(2, "little")
        end = End.connected()
        assert end.hear(bytes(wire)) == [RESEND]
        assert f"announces {count} bytes, the limit is {MAX_KDCOM_PAYLOAD}" in end.dropped()[0]
        assert end.hear(PRINT) == [ack(SECOND)]

    def test_resend_is_asked_once_for_the_debris_of_one_packet(self) -> None:
        wire = bytearray(frame_packet(line(b"0000 and 0000 and 0000 again\n", SECOND)))
        wire[6:8] = (0xFFFF).to_bytes(2, "little")
        end = End.connected()
        assert end.hear(bytes(wire)) == [RESEND]
        assert len(end.dropped()) > 1
        assert end.wait(PAUSE / 2) == []
        # It may be lost itself, so that it is asked anew when nothing comes.
        assert end.wait(PAUSE) == [RESEND]
        assert end.hear(PRINT) == [ack(SECOND)]

    def test_a_control_packet_is_not_asked_for(self) -> None:
        # There is no repeating an ACK; the packet that it was for is repeated by this end.
        for damaged in flips(frame_packet(ack(FIRST))):
            end = End.connected("target")
            token = end.session.send_packet(*line(b"text\n", 0)[::2], end.now)
            end.said()
            said = end.hear(damaged)
            assert Acknowledged(token, PacketType.DEBUG_IO) not in end.events, damaged
            assert RESET not in said and RESEND not in said
            assert not any(isinstance(event, PeerReset) for event in end.events)
            assert line(b"text\n", FIRST | SYNC) in said + end.wait(RETRANSMIT + 0.1)

    @pytest.mark.parametrize("field", [slice(6, 8), slice(12, 16)], ids=["byte count", "checksum"])
    def test_what_is_reserved_in_a_control_packet_is_zero(self, field: slice) -> None:
        wire = bytearray(frame_packet(RESET))
        wire[field] = b"\1" + bytes(field.stop - field.start - 1)
        end = End.connected("target")
        assert end.hear(bytes(wire)) == []
        assert end.events and not any(isinstance(event, PeerReset) for event in end.events)


class TestCutOff:
    def test_given_up_after_a_pause_wherever_it_was_cut(self) -> None:
        # Long for a sender that goes on, short for one that waits for an answer.
        assert 0.05 <= PAUSE <= RETRANSMIT / 2
        wire = frame_packet(PRINT)
        for size in range(4, len(wire)):
            end = End.connected()
            assert end.hear(wire[:size]) == []
            assert end.session.deadline() == pytest.approx(PAUSE)
            assert end.wait(PAUSE - 0.01) == []
            assert end.wait(0.02) == [RESEND]
            assert end.dropped() == [f"packet cut off after {size} bytes"]
            assert end.session.deadline() is None
            assert end.hear(PRINT) == [ack(SECOND)]
            assert end.received() == [PRINT]

    def test_bytes_that_trickle_in_are_no_pause(self) -> None:
        end = End.connected()
        for byte in frame_packet(PRINT):
            assert end.received() == []
            end.wait(PAUSE * 0.9)
            said = end.hear(bytes([byte]))
        assert said == [ack(SECOND)]
        assert end.dropped() == []

    def test_a_late_timer_does_not_cost_a_packet_whose_rest_is_there(self) -> None:
        # The debugger was not scheduled; what it finds then decides.
        end = End.connected()
        wire = frame_packet(PRINT)
        end.hear(wire[:30])
        end.now += 5.0
        assert end.hear(wire[30:]) == [ack(SECOND)]

    @pytest.mark.parametrize("announced", [100, 3000, MAX_KDCOM_PAYLOAD])
    @pytest.mark.parametrize("again", [0.003, 0.05, 0.5])
    def test_a_target_that_is_reset_in_mid_packet_is_heard_before_it_gives_up(
        self, announced: int, again: float
    ) -> None:
        end = End.connected()
        cut = frame_packet(Packet(PacketType.STATE_CHANGE64, SECOND, b"\x30\x30\0\0" + bytes(announced - 4)))
        end.hear(cut[:26])
        end.wait(0.5 if again == 0.5 else 0.0)
        wire = frame_packet(line(b"second boot\n", FIRST | SYNC))
        tries = 0
        while line(b"second boot\n", FIRST | SYNC) not in end.received():
            tries += 1
            assert tries <= 20, "kdcom gives a print up"
            end.hear(wire)
            end.wait(again)
        assert tries <= 1 + PAUSE / again + 2
        assert PeerRestarted(False) in end.events

    def test_a_packet_that_comes_twice_ends_the_one_it_is_in_without_any_pause(self) -> None:
        end = End.connected()
        end.hear(frame_packet(line(b"x" * 3000, SECOND))[:26])
        assert end.hear(PRINT) == []
        assert end.hear(PRINT) == [RESEND, ack(SECOND), ack(SECOND)]
        assert end.dropped() == [
            "packet overtaken after 26 bytes by another one",
            "packet id 0x80800001 came again",
        ]
        assert end.received() == [PRINT]

    def test_memory_with_the_image_of_a_packet_is_memory(self) -> None:
        image = frame_packet(line(b"an old line\n", FIRST))
        reply = ReadVirtualMemory(address=0xB0, count=500, actual=500, data=image + bytes(400) + b"0000" * 9)
        packet = Packet(PacketType.STATE_MANIPULATE, SECOND, reply.encode())
        for size in (1, 7, len(image)):
            end = End.connected()
            wire = frame_packet(packet)
            said = end.hear(*(wire[at : at + size] for at in range(0, len(wire), size)))
            assert said == [ack(SECOND)]
            assert end.received() == [packet] and end.dropped() == []

    def test_a_leader_that_never_was_one_is_junk(self) -> None:
        end = End.connected()
        assert end.hear(b"Starting Windows...000") == []
        assert end.wait(1.0) == []
        junk = b"".join(event.data for event in end.events if isinstance(event, JunkReceived))
        assert junk == b"Starting Windows...000"

    def test_what_is_held_is_bounded(self) -> None:
        reader = Reader()
        wire = frame_packet(Packet(PacketType.FILE_IO, FIRST, bytes(MAX_KDCOM_PAYLOAD)))
        assert reader.feed(wire[:-1]) == [] and reader.held == MAX_HELD
        assert len(reader.feed(wire[-1:])) == 1 and reader.held == 0

    @given(st.lists(st.binary(max_size=5000) | st.just(frame_packet(PRINT)[:30]), max_size=8))
    def test_no_bytes_make_it_hold_more(self, pieces: list[bytes]) -> None:
        reader = Reader(break_ins=True)
        for piece in pieces:
            reader.feed(piece)
            assert reader.held <= MAX_HELD
        reader.give_up()
        assert reader.held == 0


class TestBreakIn:
    def test_only_outside_packets(self) -> None:
        end = End.connected("target")
        end.hear(BREAK_IN, REQUEST, BREAK_IN)
        assert [type(event) for event in end.events] == [BreakInReceived, PacketReceived, BreakInReceived]

    def test_a_damaged_packet_holds_none(self) -> None:
        # Its address is 0xb0 and its count is the letter b.
        for at in (4, 6, 17, -1):
            wire = bytearray(frame_packet(REQUEST))
            wire[at] ^= 0x40
            end = End.connected("target")
            end.hear(bytes(wire))
            end.wait(PAUSE)
            assert end.dropped()
            assert BreakInReceived() not in end.events

    def test_a_debugger_that_died_in_mid_packet_does_not_swallow_the_next_ones(self) -> None:
        end = End.connected("target")
        end.hear(frame_packet(REQUEST)[:40])
        end.wait(PAUSE)
        end.hear(BREAK_IN)
        assert end.events[-1] == BreakInReceived()

    def test_in_the_middle_of_a_packet_it_costs_the_packet_a_repetition(self) -> None:
        wire = frame_packet(REQUEST)
        reader = Reader(break_ins=True)
        frames = reader.feed(wire[:40] + BREAK_IN + wire[40:]) + reader.give_up()
        assert not any(isinstance(frame, Packet | BreakIn) for frame in frames)
        assert any(isinstance(frame, BadPacket) and frame.resend for frame in frames)


DOUBTFUL: list[tuple[str, Packet, str]] = [
    ("id", PRINT._replace(packet_id=0x80800002), "with the id 0x80800002, which cannot be"),
    ("id of KDNET", PRINT._replace(packet_id=4), "with the id 0x00000004, which cannot be"),
    ("SYNC on the other id", PRINT._replace(packet_id=SECOND | SYNC), "which cannot be"),
    ("type", PRINT._replace(packet_type=PacketType.STATE_CHANGE64), "payload begins with 30320000"),
    ("no payload", Packet(PacketType.DEBUG_IO, SECOND), "payload begins with nothing"),
    (
        "a record that does not hold",
        Packet(PacketType.DEBUG_IO, SECOND, PrintString(length=100, data=b"short\n").encode()),
        "announces 100 bytes and carries 6",
    ),
    ("the last id", PRINT._replace(packet_id=FIRST), "of another one just before"),
    ("a new stream", PRINT._replace(packet_id=FIRST | SYNC), "begins a stream of ids anew"),
]


class TestDoubts:
    @pytest.mark.parametrize(
        ("packet", "why"), [row[1:] for row in DOUBTFUL], ids=[row[0] for row in DOUBTFUL]
    )
    def test_a_doubtful_packet_is_asked_for_again_and_taken_when_it_comes_the_same_way(
        self, packet: Packet, why: str
    ) -> None:
        end = End.connected()
        for _ in range(SURE - 1):
            assert end.hear(packet) == [RESEND]
            assert end.received() == [] and why in end.dropped()[-1]
        assert end.hear(packet) == [ack(packet.packet_id & ~SYNC)]
        assert end.received() == [packet]

    @pytest.mark.parametrize(
        ("packet", "why"), [row[1:] for row in DOUBTFUL], ids=[row[0] for row in DOUBTFUL]
    )
    def test_what_comes_otherwise_was_damaged(self, packet: Packet, why: str) -> None:
        end = End.connected()
        end.hear(packet)
        assert end.hear(PRINT) == [ack(SECOND)]
        assert end.hear(packet) != [ack(packet.packet_id)] or packet.packet_id & ~SYNC == FIRST
        assert end.received()[0] == PRINT

    def test_damage_that_happens_twice_the_same_way_is_damage(self) -> None:
        end = End.connected()
        end.hear(*[PRINT._replace(packet_id=SECOND | 0x80)] * 2, PRINT)
        assert end.received() == [PRINT]

    def test_a_repetition_with_the_other_id_is_no_new_line_where_the_line_is_noisy(self) -> None:
        end = End.connected()
        end.hear(PRINT)
        end.hear(b"0000", bytes(20))
        end.wait(2 * PAUSE)
        assert end.hear(PRINT._replace(packet_id=FIRST)) == [RESEND]
        assert end.hear(PRINT) == [ack(SECOND)]
        assert end.received() == [PRINT]
        # Two equal lines: the second comes again and again, and is one.
        for _ in range(SURE - 1):
            assert end.hear(PRINT._replace(packet_id=FIRST)) == [RESEND]
        assert end.hear(PRINT._replace(packet_id=FIRST)) == [ack(FIRST)]
        assert [packet.packet_id for packet in end.received()] == [SECOND, FIRST]

    def test_equal_lines_cost_nothing_on_a_quiet_line(self) -> None:
        end = End.connected()
        for number in range(6):
            packet_id = SECOND ^ number & 1
            assert end.hear(PRINT._replace(packet_id=packet_id)) == [ack(packet_id)]
        assert len(end.received()) == 6

    def test_a_line_whose_first_copy_had_changes_that_cancel_out_is_not_doubled(self) -> None:
        changed = line(b"a line with c in ht\n", SECOND)
        assert sum(changed.payload) == sum(PRINT.payload)
        end = End.connected()
        assert end.hear(changed) == [ack(SECOND)]
        assert end.hear(PRINT) == [ack(SECOND)]
        assert end.received() == [changed]

    def test_a_changed_sync_bit_makes_no_new_line(self) -> None:
        end = End.connected()
        end.hear(PRINT, line(b"next\n", FIRST))
        assert end.hear(line(b"next\n", FIRST | SYNC)) == [ack(FIRST)]
        assert len(end.received()) == 2 and PeerRestarted(False) not in end.events

    def test_an_ack_that_became_a_reset_resets_nothing(self) -> None:
        end = End.connected("target")
        token = end.session.send_packet(*line(b"text\n", 0)[::2], end.now)
        end.said()
        assert end.hear(Packet(PacketType.RESET, FIRST)) == []
        assert end.hear(ack(FIRST)) == []
        assert end.events[-1] == Acknowledged(token, PacketType.DEBUG_IO)
        assert not any(isinstance(event, PeerReset) for event in end.events)

    def test_a_reset_that_comes_again_and_one_that_is_due_are_believed_whatever_their_id(self) -> None:
        # kdcom leaves the id of a RESET as it finds it.
        garbage = Packet(PacketType.RESET, FIRST)
        end = End.connected("target")
        assert end.hear(*[garbage] * (SURE - 1)) == []
        assert RESET in end.hear(garbage)
        due = End()
        assert due.hear(PRINT) == [RESET]
        due.hear(garbage)
        assert due.session.phase is Phase.CONNECTED

    def test_every_type_has_its_payloads(self) -> None:
        for kind in PacketType:
            packet = Packet(kind, FIRST, bytes(100))
            if kind in (PacketType.UNUSED, PacketType.POLL_BREAKIN) or packet.is_control:
                continue
            doubt = Doubts().judge(packet)
            assert doubt is not None and kind.name in doubt


class TestStreams:
    def test_a_target_that_answers_no_reset_gets_exactly_two(self) -> None:
        end = End()
        assert not end.session.connected and end.session.phase is Phase.SILENT
        assert [end.hear(PRINT) for _ in range(4)] == [[RESET], [RESET], [ack(SECOND)], [ack(SECOND)]]
        assert end.session.connected and end.received() == [PRINT]

    def test_a_reset_makes_the_peers_next_resets_due_anew(self) -> None:
        end = End()
        end.hear(PRINT)
        end.hear(RESET, PRINT._replace(packet_id=FIRST))
        assert end.received() == [PRINT._replace(packet_id=FIRST)]
        assert end.hear(line(b"next\n", SECOND)) == [ack(SECOND)]

    def test_what_was_received_before_a_reset_is_not_received_again_behind_it(self) -> None:
        end = End.connected()
        end.hear(PRINT)
        end.session.reset()
        assert end.said() == [RESET]
        # The ACK came too late: the target has begun anew and repeats.
        assert end.hear(RESET, PRINT._replace(packet_id=FIRST)) == [ack(FIRST)]
        assert end.received() == [PRINT]
        assert end.hear(line(b"next\n", SECOND)) == [ack(SECOND)]
        assert len(end.received()) == 2

    def test_ids_of_a_host_begin_anew_with_the_targets(self) -> None:
        end = End.connected()
        request = REQUEST[::2]
        for packet_id in (FIRST, SECOND):
            end.session.send_packet(*request, end.now)
            assert end.said() == [Packet(request[0], packet_id, request[1])]
            end.hear(ack(packet_id))
        end.session.send_packet(*request, end.now)
        assert end.said()[0].packet_id == FIRST
        end.hear(ack(FIRST))
        rebooted = line(b"rebooted\n", FIRST | SYNC)
        end.hear(*[rebooted] * SURE)
        assert PeerRestarted(False) in end.events
        end.session.send_packet(*request, end.now)
        assert end.said()[0].packet_id == FIRST

    def test_a_stream_that_begins_anew_with_an_exception_is_no_reset(self) -> None:
        end = End.connected()
        stop = Packet(PacketType.STATE_CHANGE64, FIRST | SYNC, Exception64().encode())
        end.hear(*[stop] * SURE)
        assert PeerRestarted(True) in end.events and end.received() == [stop]

    def test_what_was_given_up_begins_a_stream_anew(self) -> None:
        target = Session.kdcom_target(max_tries=2)
        target.send_packet(*line(b"heard by nobody\n", 0)[::2], 0.0)
        for number in range(1, 4):
            target.handle_timer(number * 1.0)
        assert target.next_event() == PacketRepeated(PacketType.DEBUG_IO, 2)
        assert target.next_event() == GaveUp(1, PacketType.DEBUG_IO)
        target.datagrams_to_send()
        target.send_packet(*line(b"next\n", 0)[::2], 5.0)
        ((data, _),) = target.datagrams_to_send()
        assert Reader().feed(data) == [line(b"next\n", FIRST | SYNC)]

    def test_a_resend_repeats_what_is_not_acknowledged_and_nothing_else(self) -> None:
        end = End.connected("target")
        assert end.hear(RESEND) == []
        end.session.send_packet(*line(b"text\n", 0)[::2], end.now)
        sent = end.said()
        assert end.hear(RESEND) == sent
        assert ResendRequested() in end.events

    def test_junk_between_packets_is_handed_on_and_costs_nothing(self) -> None:
        end = End.connected()
        assert end.hear(b"junk", PRINT, b"more", line(b"next\n", FIRST)) == [ack(SECOND), ack(FIRST)]
        assert [event.data for event in end.events if isinstance(event, JunkReceived)] == [b"junk", b"more"]
        assert Junk(b"junk") in Reader().feed(b"junk" + frame_packet(PRINT))
