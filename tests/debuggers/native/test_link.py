"""The native debugger's link to a KDNET target: who dials, over what, and how much may wait to be read."""

from __future__ import annotations

import errno
import inspect
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from random import Random
from time import monotonic

import pytest
from kd_peer import KEY, ThinTarget, free_udp_port

from harness.debuggers.base import PrintReceived
from harness.debuggers.native import attaching, conversation, inbox, linkthread
from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import ConnectionFailed, ProcnotifyError, TargetLost
from harness.kd.debugio import PrintString
from harness.kd.handshake import Endpoint, Poke
from harness.kd.kdnet import Channel, Direction, Drop, Key, Sealer
from harness.kd.packets import PacketType
from harness.ports import transport
from harness.ports.transport import UdpTransport
from harness.virtual.process import TargetProcess

OTHER_KEY = Key.parse("9.9.9.9")
HERE = Endpoint(IPv4Address("127.0.0.1"), 50000)
NO_IPV6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


def poke(nonce: bytes = bytes(32)) -> bytes:
    return Poke.of(client_key=nonce, target=HERE, host=HERE).encode()


def control(body: bytes, *, key: Key = KEY, version: int = 4, sequence: int = 3) -> bytes:
    return Sealer(Channel.CONTROL, key.secret, key.hmac_key).seal(version, Direction.TO_HOST, sequence, body)


@contextmanager
def debugger_on(port: int, **options: object) -> Iterator[NativeDebugger]:
    debugger = NativeDebugger(f"net:port={port},key={KEY.format()}", **options)  # type: ignore[arg-type]
    try:
        debugger.listen()
        yield debugger
    finally:
        debugger.detach(timeout=0.5)


@contextmanager
def noise(port: int, datagrams: list[bytes]) -> Iterator[None]:
    """Somebody sends these to the port again and again."""
    over = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not over.wait(0.02):
                for data in datagrams:
                    sock.sendto(data, ("127.0.0.1", port))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def lines(debugger: NativeDebugger, count: int) -> list[str]:
    found: list[str] = []
    deadline = monotonic() + 30
    while len(found) < count and monotonic() < deadline:
        if isinstance(event := debugger.receive(timeout=1.0), PrintReceived):
            found.append(event.text)
    return found


_DATA = Sealer(Channel.DATA, OTHER_KEY.secret, OTHER_KEY.hmac_key)
NOISES = {
    "no datagrams": [b"", b"x", b"MDBG", b"MDBG\4\0" + b"A" * 48, b"MDBG\4\2" + b"A" * 48, b"A" * 1400],
    "a random control datagram": [b"MDBG\4\1" + bytes(range(48))],
    "pokes with another key": [control(poke(), key=OTHER_KEY)],
    "data with another key": [
        Sealer(Channel.DATA, OTHER_KEY.secret, OTHER_KEY.hmac_key).seal(
            4, Direction.TO_HOST, 10**9, bytes(12)
        )
    ],
    "old pokes of many boots": [control(poke(bytes([boot]) * 32), sequence=boot) for boot in range(10)],
    "a poke of version 1": [control(poke(), version=1)],
    "a poke of another shape": [control(poke() + bytes(16), version=6)],
    "an answer of our own": [
        Sealer(Channel.CONTROL, KEY.secret, KEY.hmac_key).seal(4, Direction.TO_TARGET, 3, bytes(322))
    ],
}


class TestNoise:
    @pytest.mark.parametrize("datagrams", NOISES.values(), ids=NOISES)
    def test_a_target_with_the_right_key_is_attached_to_all_the_same(self, datagrams: list[bytes]) -> None:
        """Before it dials, while it dials and in the session."""
        port = free_udp_port()
        with debugger_on(port) as debugger, noise(port, datagrams):
            assert debugger._link is not None
            link = debugger._link
            heard = link.heard_at
            while link.heard_at == heard:  # the noise came first
                threading.Event().wait(0.01)
            with ThinTarget.kdnet(port, nonce=secrets.token_bytes(32)) as target:
                debugger.attach(timeout=30)
                debugger.go()
                texts = [f"line {number}\n" for number in range(100)]
                for text in texts:
                    target.print(text)
                assert lines(debugger, len(texts)) == texts
                assert debugger.detach(timeout=10).running is True


class TestNothingBetterCame:
    """What an attach says at its deadline."""

    @pytest.mark.parametrize(
        ("datagrams", "words"),
        [
            ([], "no target dialled UDP port"),
            (NOISES["pokes with another key"], "the KDNET key is wrong"),
            (NOISES["a random control datagram"], "the KDNET key is wrong"),
            (NOISES["a poke of version 1"], "older than Windows 8.1: .*1, at least 2 is due"),
            (
                NOISES["a poke of another shape"],
                "right key dials UDP port .* not understood: KDNET version 6, 360 bytes",
            ),
            ([control(b"\1\3" + poke()[2:], version=5)], "not understood: KDNET version 5, 344 bytes"),
            (NOISES["old pokes of many boots"], "right key dials .* nothing came back to the"),
            (
                NOISES["pokes with another key"] + NOISES["a poke of another shape"],
                "right key dials UDP port .* not understood",
            ),
        ],
    )
    def test_words(self, datagrams: list[bytes], words: str) -> None:
        port = free_udp_port()
        with debugger_on(port) as debugger, noise(port, datagrams):
            with pytest.raises(ConnectionFailed, match=words) as raised:
                debugger.attach(timeout=1.0)
            assert raised.value.exit_code == 3
            assert debugger.detach(timeout=1).running is None


class TestAddresses:
    @NO_IPV6
    def test_a_target_dials_over_ipv6(self) -> None:
        port = free_udp_port()
        with debugger_on(port) as debugger, ThinTarget.kdnet(port, host="::1") as target:
            debugger.attach(timeout=10)
            debugger.go()
            target.print("over IPv6\n")
            assert lines(debugger, 1) == ["over IPv6\n"]
            assert debugger.detach(timeout=10).running is True

    def test_without_ipv6_there_is_ipv4(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
        port = free_udp_port()
        with debugger_on(port) as debugger, ThinTarget.kdnet(port):
            debugger.attach(timeout=10)
            assert debugger._link is not None
            assert debugger._link.transport._socket.family is socket.AF_INET  # type: ignore[attr-defined]

    def test_a_target_is_called_at_its_ipv4_address(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waiting:
            waiting.bind(("127.0.0.1", 0))
            waiting.settimeout(10)
            port = waiting.getsockname()[1]
            debugger = NativeDebugger(f"net:port={free_udp_port()},key={KEY.format()}")
            debugger.listen()
            try:
                link = debugger._link
                assert link is not None
                address = link.transport.address("127.0.0.1", port)  # type: ignore[attr-defined]
                link.post(lambda now: link.session.call_target(address))
                data, _ = waiting.recvfrom(2048)
            finally:
                debugger.detach(timeout=0.5)
        assert data[:6] == b"MDBG\x04\x01"

    def test_a_target_that_moves_is_followed(self) -> None:
        """DHCP gives it another address, or NAT another port."""
        port = free_udp_port()
        with debugger_on(port) as debugger, ThinTarget.kdnet(port) as target:
            debugger.attach(timeout=10)
            debugger.go()
            target.print("before\n")

            target.move()
            target.print("after\n")
            assert lines(debugger, 2) == ["before\n", "after\n"]
            debugger.break_in(timeout=10)
            assert debugger.detach(timeout=10).running is True

    def test_two_targets_with_one_key(self) -> None:
        """Named, and the first one is left running; nothing of the second is mixed in."""
        port = free_udp_port()
        with debugger_on(port) as debugger, ThinTarget.kdnet(port) as first:
            debugger.attach(timeout=10)
            debugger.go()
            first.print("first\n")
            assert lines(debugger, 1) == ["first\n"]
            with ThinTarget.kdnet(port, nonce=secrets.token_bytes(32)) as second:
                second.print("second\n")
                heard: list[str] = []
                with pytest.raises(
                    ConnectionFailed, match="two targets dial this port with one key"
                ) as raised:
                    for _ in range(200):
                        first.print("more\n")
                        heard += lines(debugger, 1)
                        threading.Event().wait(0.05)
                assert set(heard) == {"more\n"}
                assert f"127.0.0.1 port {second.own_port}" in str(raised.value)
                assert raised.value.exit_code == 3
                assert debugger.detach(timeout=10).running is True


class _Failing:
    """A socket whose next reads fail, each in another way."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        if self.numbers:
            number = self.numbers.pop(0)
            raise OSError(number, os.strerror(number))
        return b"a datagram", ("127.0.0.1", 50000)


class TestErrorsOfThePort:
    """A datagram of ours that found nobody (a target that was switched off) ends nothing."""

    def failing(self, *numbers: int) -> UdpTransport:
        port = UdpTransport(0)
        port.close()
        port._socket = _Failing(*numbers)  # type: ignore[assignment]
        return port

    def test_what_became_of_one_datagram_does_not_end_the_receiver(self) -> None:
        numbers = (errno.ECONNRESET, errno.ENETRESET, errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EMSGSIZE)
        port = self.failing(*numbers)
        assert [port.receive() for _ in numbers] == [None] * len(numbers)
        assert port.receive() == (b"a datagram", ("127.0.0.1", 50000))

    def test_a_dead_socket_does(self) -> None:
        with pytest.raises(TargetLost, match="UDP port 0 failed"):
            self.failing(errno.ENETDOWN).receive()

    def test_a_port_is_had_by_one_debugger_alone(self) -> None:
        first = UdpTransport(0)
        try:
            with pytest.raises(ConnectionFailed, match=f"UDP port {first.port} is in use") as raised:
                UdpTransport(first.port)
        finally:
            first.close()
        assert "another port" in raised.value.hint


def test_the_link_counts_with_a_clock_of_fine_grain() -> None:
    """``time.monotonic`` moves in steps of 15.6 ms on Windows before Python 3.13, and the end of a burst is
    counted in fractions of one."""
    assert time.get_clock_info("perf_counter").resolution < linkthread.QUIET
    for module in (linkthread, conversation, attaching, transport):
        assert "monotonic" not in vars(module)
    assert inspect.signature(TargetProcess.__init__).parameters["now"].default is time.perf_counter


class TestUnread:
    """Memory for what has arrived is bounded in bytes."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inbox, "MAX_UNREAD_BYTES", 100_000)
        monkeypatch.setattr(inbox, "STOP_BYTES", 50_000)

    def test_a_target_that_nobody_reads_stands_still_and_loses_nothing(self) -> None:
        port = free_udp_port()
        with debugger_on(port) as debugger, ThinTarget.kdnet(port) as target:
            debugger.attach(timeout=10)
            debugger.go()
            texts = [f"{number:04d} " + "x" * 200 for number in range(1000)]
            for text in texts:
                target.print(text)
            wait_for(lambda: debugger._talk.full)
            acknowledged = target.acknowledged
            unread = len(debugger._talk.unread())
            assert unread < 250
            repeated = target.repeated
            target.wait(lambda: target.repeated > repeated + 1, timeout=30)
            assert target.acknowledged <= acknowledged + 2
            assert lines(debugger, len(texts)) == texts

    def test_a_target_that_prints_for_ever_and_never_stops(self) -> None:
        port = free_udp_port()
        with debugger_on(port) as debugger, ThinTarget.kdnet(port) as target:
            target.halted = True  # it takes break-ins for old news
            payload = PrintString.of(b"\xff" * 1380).encode()
            target.do(lambda: [target._send(PacketType.DEBUG_IO, payload) for _ in range(300)] and None)
            with pytest.raises(TargetLost, match="prints without end"):
                debugger.attach(timeout=60)
            assert debugger._talk._inbox._bytes < 200_000
            assert debugger.detach(timeout=1).running is None


def wait_for(done: Callable[[], bool]) -> None:
    deadline = monotonic() + 30
    while not done():
        assert monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.01)


class TestLog:
    def test_what_the_log_tells(self, caplog: pytest.LogCaptureFixture) -> None:
        """Drops with their reason, phases, resets, resends."""
        caplog.set_level(logging.DEBUG, logger="harness.debuggers.native")
        port = free_udp_port()
        datagrams = NOISES["a random control datagram"]
        target = ThinTarget.kdnet(port, first_id=0x926)
        with debugger_on(port) as debugger, noise(port, datagrams), target:
            debugger.attach(timeout=10)
            assert debugger._link is not None
            log = debugger._link.log
            wait_for(lambda: log.drops(Drop.BAD_MAC, control=True) > 1)
            debugger.detach(timeout=10)
        told = [(record.levelno, record.getMessage()) for record in caplog.records]
        name = f"UDP port {port}: "
        phases = [text for _, text in told if text.startswith(f"{name}the session is ")]
        assert phases[:2] == [f"{name}the session is offered", f"{name}the session is resyncing"]
        assert f"{name}the session is connected" in phases
        assert (logging.INFO, f"{name}the target sent RESET with packet id 0x926") in told
        wrong = [level for level, text in told if "another key" in text]
        assert wrong[0] == logging.WARNING  # once: the user should know
        assert set(wrong[1:]) <= {logging.DEBUG}
        assert any(f"{name}answered a poke of 127.0.0.1 port" in text for _, text in told)

    def test_silent_until_asked(self, capfd: pytest.CaptureFixture[str]) -> None:
        port = free_udp_port()
        datagrams = NOISES["pokes with another key"]
        with debugger_on(port) as debugger, noise(port, datagrams), pytest.raises(ProcnotifyError):
            debugger.attach(timeout=0.5)
        assert capfd.readouterr() == ("", "")


class _Deaf:
    """A transport that loses what a list of numbers says, counted over both ways."""

    def __init__(self, inner: object, loses: Callable[[], bool]) -> None:
        self._inner = inner
        self._loses = loses

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def receive(self) -> object:
        found = self._inner.receive()  # type: ignore[attr-defined]
        return None if found is not None and self._loses() else found

    def send(self, data: bytes, address: object) -> None:
        if not self._loses():
            self._inner.send(data, address)  # type: ignore[attr-defined]


class TestPatience:
    def test_the_proof_of_a_release_takes_as_long_as_the_link_needs(self) -> None:
        """Every fourth datagram is lost, on both ways."""
        random = Random(5)
        port = free_udp_port()
        debugger = NativeDebugger(f"net:port={port},key={KEY.format()}")
        debugger.listen()
        link = debugger._link
        assert link is not None
        link.transport = _Deaf(link.transport, lambda: random.random() < 1 / 4)  # type: ignore[assignment]
        with ThinTarget.kdnet(port) as target:
            assert link.patience == 1.0
            debugger.attach(timeout=120)
            debugger.go()
            texts = [f"{number}\n" for number in range(5)]
            for text in texts:
                target.print(text)
            assert lines(debugger, len(texts)) == texts
            assert link.patience > 1.2
            release = debugger.detach(timeout=10)
            assert release.running is True, release
