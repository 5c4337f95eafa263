"""The session, both ends joined in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kd_pair import KEY, NONCE, PEER, Pair, make_target, random_bytes

from harness.kd.debugio import PrintString
from harness.kd.kdnet import Drop, Key
from harness.kd.manipulate import Continue, SetContext
from harness.kd.packets import Packet, PacketType
from harness.kd.session import Session
from harness.kd.session_events import (
    Acknowledged,
    BreakInReceived,
    Connected,
    Dropped,
    GaveUp,
    PacketReceived,
    PacketRepeated,
    PeerReset,
    PokeAnswered,
    ResendRequested,
)
from harness.kd.transitions import TRANSITIONS, Phase, Role

HARMLESS = (Acknowledged, Connected, ResendRequested, PacketReceived, PacketRepeated, Dropped)
LINKS = pytest.mark.parametrize("link", ["kdnet", "kdcom"])


def make_pair(link: str) -> Pair:
    return Pair.kdnet() if link == "kdnet" else Pair.kdcom()


def kinds(events: list) -> list[type]:
    return [type(event) for event in events]


class TestHandshake:
    def test_poke_response_hello_resend(self) -> None:
        pair = Pair.kdnet()
        pair.tick(0.0)
        assert pair.to_host() == 1
        assert kinds(pair.host_events) == [PokeAnswered]
        assert pair.host.phase is Phase.OFFERED
        assert pair.to_target() == 1
        assert kinds(pair.target_events) == [Connected]
        assert pair.to_host() == 1  # the hello
        assert kinds(pair.host_events) == [PokeAnswered, Connected]
        assert pair.to_target() == 1  # RESEND
        assert kinds(pair.target_events) == [Connected, ResendRequested]
        assert pair.host.connected and pair.target.connected

    def test_poke_every_three_seconds_and_no_answer_in_a_session(self) -> None:
        pair = Pair.kdnet()
        pair.connect()
        for _ in range(5):
            pair.tick(3.0)
            assert pair.to_host() == 1
            assert pair.to_target() == 0

    def test_lost_hello_is_made_good_by_the_next_poke(self) -> None:
        pair = Pair.kdnet()
        pair.tick(0.0)
        pair.to_host()
        pair.to_target()
        pair.drop_to_host()
        assert pair.host.phase is Phase.OFFERED
        pair.tick(3.0)
        pair.settle()
        assert pair.host.phase is Phase.RESYNCING

    def test_lost_response(self) -> None:
        pair = Pair.kdnet()
        pair.tick(0.0)
        pair.to_host()
        pair.drop_to_target()
        pair.tick(3.0)
        pair.settle()
        assert pair.host.connected and pair.target.connected

    def test_wrong_key_is_a_named_drop_on_the_control_channel(self) -> None:
        pair = Pair.kdnet(host_key=Key.parse("1.2.3.5"))
        pair.tick(0.0)
        pair.to_host()
        (event,) = pair.host_events
        assert isinstance(event, Dropped)
        assert event.reason is Drop.BAD_MAC and event.control
        assert pair.to_target() == 0

    def test_replayed_poke_does_not_break_a_session(self) -> None:
        pair = Pair.kdnet()
        pair.tick(0.0)
        (poke,) = [data for data, _ in pair.target.datagrams_to_send()]
        pair.host.receive(poke, pair.now, PEER)
        pair.settle()
        pair.print(b"x" * 20)
        pair.settle()
        pair.host.receive(poke, pair.now, PEER)
        pair.drop_to_target()
        pair.print(b"y" * 20)
        pair.settle()
        assert pair.received() == [b"x" * 20, b"y" * 20]

    def test_restarted_debugger(self) -> None:
        pair = Pair.kdnet()
        pair.connect()
        pair.print(b"one")
        pair.settle()
        pair.print(b"two")
        pair.drop_to_host()
        pair.host, pair.host_events = Session.kdnet_host(KEY, random_bytes()), []
        pair.run_until(lambda: pair.received() == [b"two"])
        assert pair.host.phase is Phase.CONNECTED

    def test_a_restarted_debugger_s_first_request_is_new_although_its_id_is_not(self) -> None:
        """Every debugger begins at the same id; here neither has been sent anything it would RESET for."""
        pair = Pair.kdnet()
        for word in (b"first", b"second"):
            pair.host = Session.kdnet_host(KEY, random_bytes())
            pair.tick(3.0)
            pair.settle()
            pair.request(word)
            pair.settle()
        assert pair.requests() == [b"first", b"second"]

    def test_rebooted_target(self) -> None:
        pair = Pair.kdnet()
        pair.connect()
        pair.print(b"before")
        pair.settle()
        pair.host.send_packet(PacketType.STATE_MANIPULATE, b"lost", pair.now)
        pair.drop_to_target()
        pair.target = make_target(client_key=NONCE[::-1], now=pair.now)
        pair.print(b"after")
        pair.run_until(lambda: pair.received() == [b"before", b"after"])
        fresh = [event.fresh for event in pair.host_events if isinstance(event, Connected)]
        assert fresh == [True, True]
        assert GaveUp in kinds(pair.host_events)


class TestPackets:
    @LINKS
    def test_ack_precedes_the_event(self, link: str) -> None:
        pair = make_pair(link)
        pair.connect()
        token = pair.print(b"hello")
        pair.to_host()
        assert pair.received() == [b"hello"]
        pair.to_target()
        assert pair.acknowledged() == [token]

    @LINKS
    def test_lost_packet_is_sent_again_and_lost_ack_is_given_again(self, link: str) -> None:
        pair = make_pair(link)
        pair.connect()
        pair.print(b"one")
        pair.drop_to_host()
        pair.tick(0.5)
        pair.to_host()
        pair.drop_to_target()
        pair.tick(0.5)
        pair.settle()
        assert pair.received() == [b"one"]
        assert len(pair.acknowledged()) == 1

    @LINKS
    def test_packets_are_sent_one_at_a_time_in_order(self, link: str) -> None:
        pair = make_pair(link)
        pair.connect()
        texts = [b"%d" % number for number in range(8)]
        for text in texts:
            pair.print(text)
        pair.settle(rounds=60)
        assert pair.received() == texts

    @LINKS
    def test_a_packet_of_the_peer_proves_arrival(self, link: str) -> None:
        pair = make_pair(link)
        pair.connect()
        pair.target.send_packet(PacketType.STATE_CHANGE64, b"stop", pair.now)
        pair.to_host()
        pair.request(b"request")
        pair.to_target(lambda sent: sent[1:])
        assert pair.acknowledged() == [1]
        assert pair.requests() == [b"request"]

    def test_the_answer_to_another_request_proves_nothing(self) -> None:
        """A Continue was sent behind that request, and is lost: it has to be sent again."""
        pair = Pair.kdnet()
        pair.connect()
        pair.target.send_packet(PacketType.STATE_CHANGE64, b"stop", pair.now)
        pair.settle()
        context, go_on = SetContext().encode(), Continue().encode()
        for payload in (context, go_on):
            pair.host.send_packet(PacketType.STATE_MANIPULATE, payload, pair.now)
        pair.to_target()
        pair.target.send_packet(PacketType.STATE_MANIPULATE, context, pair.now)
        pair.to_host()  # the ACK, on which the Continue goes out, and the answer
        pair.drop_to_target()
        assert not pair.host.idle
        pair.tick(0.5)
        pair.settle()
        received = [event.payload for event in pair.target_events if isinstance(event, PacketReceived)]
        assert received == [context, go_on]
        assert pair.host.idle

    def test_every_retransmission_is_a_new_datagram(self) -> None:
        pair = Pair.kdnet()
        pair.connect()
        pair.print(b"one")
        seen = set()
        for _ in range(5):
            seen.update(data for data, _ in pair.target.datagrams_to_send())
            pair.tick(0.5)
        assert len(seen) >= 5

    def test_replayed_datagram_is_stale(self) -> None:
        pair = Pair.kdnet()
        pair.connect()
        pair.print(b"one")
        pair.to_host(lambda sent: sent * 2)
        assert pair.received() == [b"one"]
        last = pair.host_events[-1]
        assert isinstance(last, Dropped) and last.reason is Drop.STALE_SEQUENCE

    def test_give_up(self) -> None:
        target = make_target(max_tries=3)
        pair = Pair(Session.kdnet_host(KEY, random_bytes()), target)
        pair.connect()
        pair.print(b"one")
        for _ in range(4):
            pair.drop_to_host()
            pair.tick(0.5)
        pair.collect()
        assert pair.target_events[-1] == GaveUp(1, PacketType.DEBUG_IO)
        pair.print(b"two")
        pair.settle()
        assert pair.received() == [b"two"]

    @LINKS
    def test_break_in(self, link: str) -> None:
        pair = make_pair(link)
        pair.connect()
        pair.host.break_in()
        pair.to_target()
        assert BreakInReceived in kinds(pair.target_events)

    def test_target_that_counted_before_this_debugger_is_resynchronised(self) -> None:
        # The dance of a debugger attaching to a running Windows 8.1 (target id 0x926).
        pair = Pair.kdnet(first_id=0x926)
        pair.connect()
        pair.print(b"state change")
        pair.to_host()
        assert pair.received() == []
        pair.to_target()
        assert PeerReset(0x80000000) in pair.target_events
        pair.settle()
        assert PeerReset(0x926) in pair.host_events
        assert pair.received() == [b"state change"]

    def test_target_that_never_answers_reset_is_taken_as_it_is(self) -> None:
        pair = Pair.kdnet(first_id=0x926)
        pair.connect()
        pair.print(b"text")
        for _ in range(4):
            pair.to_host()
            pair.drop_to_target() if not pair.received() else pair.to_target()
            pair.tick(0.5)
        assert pair.received() == [b"text"]

    def test_reset_announces_the_packet_in_flight(self) -> None:
        pair = Pair.kdnet()
        pair.connect()
        pair.print(b"one")
        pair.settle()
        pair.print(b"two")
        pair.drop_to_host()
        pair.host.reset()
        pair.settle()
        assert PeerReset(2) in pair.host_events
        assert pair.received() == [b"one", b"two"]

    def test_host_ids_of_a_kdcom_style_client_are_accepted(self) -> None:
        # rizin toggles 0x80800000/1 over KDNET too, and acknowledges everything.
        pair = Pair.kdnet()
        pair.connect()
        link = pair.host._link
        for packet_id, payload in ((0x80800000, b"a"), (0x80800001, b"b"), (0x80800000, b"c")):
            link.send_packet(Packet(PacketType.ACKNOWLEDGE, packet_id))
            link.send_packet(Packet(PacketType.STATE_MANIPULATE, packet_id, payload))
            pair.to_target()
        assert pair.requests() == [b"a", b"b", b"c"]

    def test_damaged_packet_gets_resend(self) -> None:
        pair = Pair.kdnet()
        pair.connect()
        pair.print(b"one")
        pair.drop_to_host()
        channel = pair.target._link._channel
        pair.host.receive(channel.seal(b"0000 no packet at all"), pair.now, PEER)
        last = pair.host.next_event()
        assert isinstance(last, Dropped) and last.reason is Drop.BAD_BODY
        pair.to_target()
        assert kinds(pair.target_events)[-2:] == [ResendRequested, PacketRepeated]
        pair.to_host()
        assert pair.received() == [b"one"]

    def test_own_datagram_reflected(self) -> None:
        pair = Pair.kdnet()
        pair.connect()
        pair.print(b"one")
        (data,) = [data for data, _ in pair.target.datagrams_to_send()]
        pair.target.receive(data, pair.now)
        event = pair.target.next_event()
        assert isinstance(event, Dropped) and event.reason is Drop.WRONG_DIRECTION

    def test_prepared_ack_is_the_same_datagram(self) -> None:
        prepared, plain = Pair.kdnet(), Pair.kdnet()
        for pair in (prepared, plain):
            pair.connect()
        plain.host.prepare = lambda: None  # type: ignore[method-assign]  # the slow path on purpose
        for number in range(5):
            answers = []
            for pair in (prepared, plain):
                pair.print(PrintString.of(b"%d\n" % number).encode())
                pair.to_host()
                answers.append(pair.host.datagrams_to_send())
                for data, _ in answers[-1]:
                    pair.target.receive(data, pair.now)
            assert answers[0] == answers[1]

    def test_illegal_input_is_dropped_with_its_name(self) -> None:
        session = Session.kdcom_host()
        assert session.phase is Phase.SILENT and not session.connected
        pair = Pair.kdnet()
        pair.connect()
        pair.target._link.send_packet(Packet(PacketType.RESET, 0))
        pair.to_host()
        assert pair.host.phase is Phase.CONNECTED


class TestKdcom:
    def test_attach_to_a_running_target(self) -> None:
        pair = Pair.kdcom()
        for number in range(3):
            pair.print(b"%d" % number)
            pair.settle()
        pair.host, pair.host_events = Session.kdcom_host(), []
        pair.host.break_in()
        pair.to_target()
        pair.print(b"state change")
        pair.to_host()
        assert pair.received() == []
        pair.settle()
        assert pair.received() == [b"state change"]
        pair.request(b"request")
        pair.settle()
        assert pair.requests() == [b"request"]
        assert pair.host.idle

    def test_rebooted_target_begins_with_sync(self) -> None:
        pair = Pair.kdcom()
        pair.print(b"one")
        pair.print(b"two")
        pair.settle()
        pair.target = Session.kdcom_target()
        pair.print(b"one")
        pair.settle()
        assert pair.received() == [b"one", b"two", b"one"]
        pair.request(b"request")
        pair.settle()
        assert pair.requests() == [b"request"]

    def test_bytes_in_any_pieces(self) -> None:
        pair = Pair.kdcom()
        pair.print(b"one")
        pair.to_host(lambda sent: [bytes([byte]) for data in sent for byte in b"boot text " + data])
        assert pair.received() == [b"one"]


LOSS = st.lists(st.sampled_from(["pass", "drop", "twice", "swap"]), min_size=1, max_size=60)


def mangler(plan: list[str]) -> Callable[[list[bytes]], list[bytes]]:
    steps = iter(plan)

    def mangle(sent: list[bytes]) -> list[bytes]:
        out: list[bytes] = []
        for data in sent:
            match next(steps, "pass"):
                case "pass":
                    out.append(data)
                case "twice":
                    out += [data, data]
                case "swap":
                    out.insert(0, data)
        return out

    return mangle


@given(LOSS, st.sampled_from([0, 0x926]))
@settings(max_examples=150)
def test_every_print_arrives_once_and_in_order_whatever_is_lost(plan: list[str], first_id: int) -> None:
    pair = Pair.kdnet(first_id=first_id)
    pair.tick(0.0)
    texts = [b"line %d" % number for number in range(6)]
    for text in texts:
        pair.print(text)
    pair.run_until(lambda: len(pair.acknowledged()) == 6, mangle=mangler(plan))
    assert pair.received() == texts


@given(st.lists(st.sampled_from(["pass", "drop"]), min_size=1, max_size=60))
@settings(max_examples=100)
def test_every_print_arrives_once_over_a_lossy_serial_line(plan: list[str]) -> None:
    pair = Pair.kdcom()
    texts = [b"line %d" % number for number in range(6)]
    for text in texts:
        pair.print(text)
    pair.run_until(lambda: len(pair.acknowledged()) == 6, mangle=mangler(plan))
    assert pair.received() == texts


def test_both_ends_ask_and_answer_under_loss() -> None:
    pair = Pair.kdnet()
    pair.connect()
    drops = iter([True, False, False, True, True, False] * 30)

    def lossy(sent: list[bytes]) -> list[bytes]:
        return [data for data in sent if not next(drops, False)]

    for number in range(5):
        request, reply = b"request %d" % number, b"reply %d" % number
        pair.request(request)
        pair.run_until(lambda request=request: pair.requests()[-1:] == [request], mangle=lossy)
        pair.reply(reply)
        pair.run_until(lambda reply=reply: pair.received()[-1:] == [reply], mangle=lossy)
    assert pair.requests() == [b"request %d" % number for number in range(5)]
    assert pair.received() == [b"reply %d" % number for number in range(5)]
    assert all(isinstance(event, HARMLESS) for event in pair.target_events)


def test_the_table_names_only_its_own_phases() -> None:
    reachable = {
        Role.HOST: {Phase.LISTENING, Phase.SILENT},
        Role.TARGET: {Phase.POKING, Phase.SILENT},
    }
    for role, phases in TRANSITIONS.items():
        seen = set(reachable[role])
        for row in phases.values():
            seen |= set(row.values())
        assert seen == set(phases)


@given(
    st.lists(st.binary(max_size=120), max_size=6),
    st.sampled_from(["host", "target", "serial host", "serial target"]),
)
@settings(max_examples=300)
def test_no_bytes_make_a_session_raise(chunks: list[bytes], which: str) -> None:
    session = {
        "host": lambda: Session.kdnet_host(KEY, random_bytes()),
        "target": make_target,
        "serial host": Session.kdcom_host,
        "serial target": Session.kdcom_target,
    }[which]()
    for chunk in chunks:
        session.receive(chunk, 0.0)
        session.receive(b"MDBG\x04\x00" + chunk, 0.0)
        session.receive(b"0000" + chunk, 0.0)
