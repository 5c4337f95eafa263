"""Whom a KDNET host listens to: replays, forgeries, a target that moves, and two targets on one port."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from kd_pair import HOST, KEY, NONCE, OWN, PEER, Pair, make_target, random_bytes

from harness.kd.handshake import Poke, Response, next_nonce
from harness.kd.kdnet import Channel, Direction, Drop, Key, Sealer
from harness.kd.kdnet_host import MAX_OFFERS, SILENT_AFTER
from harness.kd.packets import PacketType
from harness.kd.session import Session
from harness.kd.session_events import (
    Connected,
    Dropped,
    PacketReceived,
    PokeAnswered,
    SecondTarget,
    SessionEvent,
    TargetMoved,
)
from harness.kd.transitions import Phase

A = ("10.0.0.5", 50000)
B = ("10.0.0.6", 50000)
ELSEWHERE = ("10.0.0.99", 4242)


def control(body: bytes, *, version: int = 4, sequence: int = 3, key: Key = KEY) -> bytes:
    return Sealer(Channel.CONTROL, key.secret, key.hmac_key).seal(version, Direction.TO_HOST, sequence, body)


def poke(nonce: bytes, *, in_session: bool = False) -> bytes:
    return Poke.of(client_key=nonce, target=OWN, host=HOST, session=HOST if in_session else None).encode()


def nonce(boot: int, count: int = 0) -> bytes:
    return count.to_bytes(8, "little") + bytes([boot]) * 24


def drops(events: list[SessionEvent]) -> list[Drop]:
    return [event.reason for event in events if isinstance(event, Dropped)]


def events_of(session: Session) -> list[SessionEvent]:
    events = []
    while (event := session.next_event()) is not None:
        events.append(event)
    return events


@dataclass
class Machine:
    """One of several targets that a host hears."""

    session: Session
    address: tuple[str, int]
    said: int = 0


@dataclass
class Net:
    """A host and machines at addresses, in simulated time."""

    host: Session = field(default_factory=lambda: Session.kdnet_host(KEY, random_bytes()))
    machines: list[Machine] = field(default_factory=list)
    now: float = 0.0
    events: list[SessionEvent] = field(default_factory=list)

    def start(self, boot: int, address: tuple[str, int]) -> Machine:
        machine = Machine(make_target(client_key=nonce(boot), now=self.now, max_tries=20), address)
        self.machines.append(machine)
        self.settle()
        return machine

    def settle(self) -> None:
        for _ in range(30):
            busy = False
            for machine in self.machines:
                machine.session.handle_timer(self.now)
                for data, _ in machine.session.datagrams_to_send():
                    self.host.receive(data, self.now, machine.address)
                    busy = True
            self.host.handle_timer(self.now)
            for data, address in self.host.datagrams_to_send():
                busy = True
                for machine in self.machines:
                    if machine.address == address:
                        machine.session.receive(data, self.now, PEER)
            self.events += events_of(self.host)
            if not busy:
                return

    def run(self, seconds: float, *talking: Machine) -> None:
        """Let time pass; who talks prints four lines a second."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.25
            for machine in talking:
                if machine.session.idle:
                    machine.said += 1
                    text = b"%s %d" % (machine.address[0].encode(), machine.said)
                    machine.session.send_packet(PacketType.DEBUG_IO, text, self.now)
            self.settle()

    def heard(self) -> list[bytes]:
        return [event.payload for event in self.events if isinstance(event, PacketReceived)]

    def of(self, kind: type) -> list[SessionEvent]:
        return [event for event in self.events if isinstance(event, kind)]


class TestOffers:
    def answers(self, host: Session) -> list[bytes]:
        return [data for data, _ in host.datagrams_to_send()]

    def test_a_poke_that_comes_again_gets_the_same_answer(self) -> None:
        """So that whoever replays pokes cannot push the target's own out."""
        host = Session.kdnet_host(KEY, secrets.token_bytes)
        host.receive(control(poke(NONCE)), 0.0, A)
        host.receive(control(poke(NONCE)), 0.0, ELSEWHERE)
        first, second = self.answers(host)
        assert first == second

    def test_a_target_is_heard_among_replayed_pokes_of_others(self) -> None:
        pair = Pair.kdnet()
        replays = [control(poke(nonce(boot)), sequence=boot) for boot in range(10)]
        pair.tick(0.0)
        for _ in range(3):
            pair.to_host(lambda sent: sent)
            for data in replays * 20:
                pair.host.receive(data, pair.now, ELSEWHERE)
            answers = [data for data, address in pair.host.datagrams_to_send() if address == PEER]
            for data in answers:
                pair.target.receive(data, pair.now, PEER)
            pair.tick(0.1)
        pair.settle()
        pair.print(b"heard")
        pair.settle()
        assert pair.received() == [b"heard"]

    @pytest.mark.parametrize(("others", "kept"), [(MAX_OFFERS - 1, True), (MAX_OFFERS, False)])
    def test_so_many_answered_pokes_are_remembered(self, others: int, kept: bool) -> None:
        pair = Pair(Session.kdnet_host(KEY, secrets.token_bytes), make_target())
        pair.tick(0.0)
        pair.to_host()
        for boot in range(others):
            pair.host.receive(control(poke(nonce(boot))), pair.now, ELSEWHERE)
        for data, address in pair.host.datagrams_to_send():
            if address == PEER:
                pair.target.receive(data, pair.now, PEER)
        pair.to_host()  # the hello, under the key of the oldest offer
        assert pair.host.connected is kept
        assert (Drop.BAD_MAC in drops(pair.host_events)) is not kept

    def test_offers_end_when_one_of_them_becomes_a_session(self) -> None:
        """A key that was offered before the session began must not end it later."""
        pair = Pair(Session.kdnet_host(KEY, secrets.token_bytes), make_target())
        early = make_target(client_key=nonce(7))
        early.handle_timer(0.0)
        for data, _ in early.datagrams_to_send():
            pair.host.receive(data, 0.0, PEER)
        for data, _ in pair.host.datagrams_to_send():
            early.receive(data, 0.0, PEER)
        hello = [data for data, _ in early.datagrams_to_send()]
        pair.connect()
        for data in hello:
            pair.host.receive(data, 0.0, PEER)
        assert drops(events_of(pair.host)) == [Drop.BAD_MAC]


class TestForgeries:
    def test_replayed_pokes_leave_a_live_session_alone(self) -> None:
        """Of this boot and of others, from the target's own address and from elsewhere."""
        pair = Pair.kdnet()
        recorded: list[bytes] = []
        pair.tick(0.0)
        pair.to_host(lambda sent: [recorded.extend(sent) or data for data in sent])
        pair.settle()
        for _ in range(3):
            pair.tick(3.0)
            pair.to_host(lambda sent: [recorded.extend(sent) or data for data in sent])
        recorded += [control(poke(nonce(boot))) for boot in range(3)]
        texts = []
        for number in range(20):
            for data in recorded:
                pair.host.receive(data, pair.now, PEER if number % 2 else ELSEWHERE)
            texts.append(b"%d" % number)
            pair.print(texts[-1])
            pair.settle(rounds=60)
        assert pair.received() == texts
        assert [event.fresh for event in pair.host_events if isinstance(event, Connected)] == [True]
        assert not [event for event in pair.host_events if isinstance(event, TargetMoved)]

    def test_what_the_session_said_before_is_stale_from_anywhere(self) -> None:
        pair = Pair.kdnet()
        pair.connect()
        pair.print(b"one")
        (data,) = [data for data, _ in pair.target.datagrams_to_send()]
        pair.host.receive(data, pair.now, PEER)
        pair.host.receive(data, pair.now, ELSEWHERE)
        events = events_of(pair.host)
        assert [type(event) for event in events] == [PacketReceived, Dropped]
        assert drops(events) == [Drop.STALE_SEQUENCE]

    def test_reserved_bits_of_the_header_are_zero(self) -> None:
        """Bits 6 to 4: whoever sets them means something that is not known here."""
        for bits in (0x10, 0x20, 0x40):
            host = Session.kdnet_host(KEY, random_bytes())
            host.receive(seal_plaintext((3 << 8 | bits).to_bytes(8, "big") + poke(NONCE)), 0.0, A)
            assert drops(events_of(host)) == [Drop.BAD_PADDING]
        host = Session.kdnet_host(KEY, random_bytes())
        host.receive(seal_plaintext((3 << 8).to_bytes(8, "big") + poke(NONCE)), 0.0, A)
        assert events_of(host) == [PokeAnswered(A, 4)]


def seal_plaintext(plaintext: bytes) -> bytes:
    """A datagram with this plaintext, header quadword included."""
    clear = b"MDBG\x04\x01"
    tag = hmac.digest(KEY.hmac_key, clear + plaintext, "sha256")[:16]
    encryptor = Cipher(algorithms.AES256(KEY.secret), modes.CBC(tag)).encryptor()
    return clear + encryptor.update(plaintext) + tag


class TestStrangePokes:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (poke(NONCE) + bytes(16), "KDNET version 6, 360 bytes"),
            (poke(NONCE)[:300], "KDNET version 6, 300 bytes"),
            (b"\x01\x03" + poke(NONCE)[2:], "KDNET version 6, 344 bytes, control body begins with 0103"),
            (b"", "KDNET version 6, 0 bytes"),
        ],
    )
    def test_named_with_version_and_length(self, body: bytes, words: str) -> None:
        host = Session.kdnet_host(KEY, random_bytes())
        host.receive(control(body, version=6), 0.0, A)
        (event,) = events_of(host)
        assert isinstance(event, Dropped) and event.control
        assert event.reason is Drop.STRANGE_POKE
        assert words in event.detail
        assert host.phase is Phase.LISTENING

    @pytest.mark.parametrize("version", [0, 1])
    def test_versions_before_windows_8_1(self, version: int) -> None:
        host = Session.kdnet_host(KEY, random_bytes())
        host.receive(control(poke(NONCE), version=version), 0.0, A)
        assert drops(events_of(host)) == [Drop.BAD_VERSION]

    def test_a_newer_version_with_the_known_shape_is_answered_in_its_version(self) -> None:
        host = Session.kdnet_host(KEY, random_bytes())
        host.receive(control(poke(NONCE), version=7), 0.0, A)
        assert events_of(host) == [PokeAnswered(A, 7)]
        ((answer, address),) = host.datagrams_to_send()
        assert (answer[4], address) == (7, A)

    def test_a_response_is_no_poke(self) -> None:
        host = Session.kdnet_host(KEY, random_bytes())
        host.receive(control(Response(client_key=NONCE, host_key=NONCE).encode()), 0.0, A)
        assert drops(events_of(host)) == [Drop.NOT_EXPECTED]


class TestMoving:
    def test_a_target_whose_address_changes_is_followed(self) -> None:
        """By its data, and answered where it is now; ids and keys go on."""
        net = Net()
        machine = net.start(1, A)
        net.run(1.0, machine)
        machine.address = B
        net.run(5.0, machine)
        assert net.of(TargetMoved) == [TargetMoved(A, B)]
        assert len(net.of(Connected)) == 1
        assert net.heard() == [b"10.0.0.5 %d" % number for number in range(1, 5)] + [
            b"10.0.0.6 %d" % number for number in range(5, machine.said + 1)
        ]

    def test_a_silent_target_is_followed_by_its_poke(self) -> None:
        """A halted target says nothing else, and the host's requests must find it."""
        net = Net()
        machine = net.start(1, A)
        net.run(1.0)
        machine.address = B
        net.run(4.0)
        assert net.of(TargetMoved) == [TargetMoved(A, B)]
        net.host.send_packet(PacketType.STATE_MANIPULATE, b"request", net.now)
        net.settle()
        assert net.host.idle

    def test_an_older_poke_from_elsewhere_moves_nobody(self) -> None:
        net = Net()
        machine = net.start(1, A)
        machine.session.handle_timer(3.0)
        (keep_alive, _), *_ = machine.session.datagrams_to_send()
        net.host.receive(keep_alive, 3.0, A)
        net.host.receive(keep_alive, 3.1, ELSEWHERE)
        assert not [event for event in events_of(net.host) if isinstance(event, TargetMoved)]

    def test_a_machine_put_back_to_a_snapshot_finds_its_debugger_again(self) -> None:
        """Its sequence numbers and its pokes go back; it believes that its session goes on."""
        host = Session.kdnet_host(KEY, random_bytes())
        pair = Pair(host, make_target(client_key=nonce(1, 500)))
        pair.connect()
        for _ in range(4):
            pair.tick(3.0)
            pair.settle()
        back = nonce(1, 502)
        for expected in ([], [PokeAnswered(PEER, 4)]):
            host.receive(control(poke(back, in_session=True)), pair.now, PEER)
            assert events_of(host) == expected
            back = next_nonce(back)
        assert len(host.datagrams_to_send()) == 1


class TestTwoTargets:
    def test_both_speak(self) -> None:
        """They are named, and nothing of the second is taken."""
        net = Net()
        first = net.start(1, A)
        net.run(2.0, first)
        second = net.start(2, B)
        net.run(4.0, first, second)
        assert net.of(SecondTarget)[0] == SecondTarget(A, B)
        assert {text.split()[0] for text in net.heard()} == {b"10.0.0.5"}
        assert len(net.heard()) == first.said
        assert [event.fresh for event in net.of(Connected)] == [True]

    def test_both_are_silent(self) -> None:
        """Their pokes alone are enough."""
        net = Net()
        net.start(1, A)
        net.run(1.0)
        net.start(2, B)
        net.run(6.0)
        assert SecondTarget(A, B) in net.events

    def test_from_the_first_moment(self) -> None:
        net = Net()
        machines = [net.start(1, A), net.start(2, B)]
        net.run(4.0, *machines)
        assert net.of(SecondTarget) == [SecondTarget(A, B)] * len(net.of(SecondTarget)) != []

    @pytest.mark.parametrize("address", [A, B])
    def test_a_rebooted_target_is_none(self, address: tuple[str, int]) -> None:
        """At its own address it is heard at once, at another when the old one has fallen silent; its lines
        wait meanwhile."""
        net = Net()
        first = net.start(1, A)
        net.run(2.0, first)
        net.machines.remove(first)
        heard = len(net.heard())
        second = net.start(2, address)
        net.run(0.5, second)
        assert (len(net.heard()) > heard) is (address == A)
        net.run(SILENT_AFTER + 1, second)
        assert net.of(SecondTarget) == []
        assert [event.fresh for event in net.of(Connected)] == [True, True]
        assert len(net.heard()) == heard + second.said

    def test_one_that_said_that_it_reboots_may_come_back_from_anywhere(self) -> None:
        net = Net()
        first = net.start(1, A)
        net.run(2.0, first)
        net.host.expect_reboot()
        net.machines.remove(first)
        second = net.start(2, B)
        net.run(0.5, second)
        assert net.heard()[-1].startswith(b"10.0.0.6")

    def test_what_was_only_late_makes_no_second_target(self) -> None:
        """Datagrams of the old boot that the network held back."""
        net = Net()
        first = net.start(1, A)
        net.run(2.0, first)
        first.session.send_packet(PacketType.DEBUG_IO, b"late", net.now)
        late = [data for data, _ in first.session.datagrams_to_send()]
        net.machines.remove(first)
        second = net.start(2, B)
        net.now += 0.5
        for data in late:
            net.host.receive(data, net.now, A)
        net.run(SILENT_AFTER + 2, second)
        assert net.of(SecondTarget) == []
        assert net.heard()[-1].startswith(b"10.0.0.6")


@pytest.mark.parametrize("sessions", [1, 2])
def test_a_new_session_forgets_what_the_last_one_received(sessions: int) -> None:
    """A rebooted target counts its packets from 0 again: its first is no repetition of the last."""
    net = Net()
    texts: list[bytes] = []
    for boot in range(sessions + 1):
        net.machines.clear()
        machine = net.start(boot, A)
        machine.session.send_packet(PacketType.DEBUG_IO, b"first of boot %d" % boot, net.now)
        texts.append(b"first of boot %d" % boot)
        net.settle()
    assert net.heard() == texts


def check_tries(mangle: Callable[[list[bytes]], list[bytes]]) -> float:
    pair = Pair.kdnet()
    pair.connect()
    for number in range(100):
        pair.print(b"%d" % number)
    pair.run_until(lambda: len(pair.acknowledged()) == 100, mangle=mangle, rounds=4000)
    return pair.host.tries


def test_how_often_packets_had_to_be_sent() -> None:
    assert check_tries(list) == 1.0
    random = Random(1)
    assert 1.8 < check_tries(lambda sent: [data for data in sent if random.random() > 1 / 3]) < 3.0
