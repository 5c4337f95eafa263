"""How long the target stands still for one DbgPrint, beside a bare UDP echo with the same sizes.

A child process is the target: a target-role KD session that prints and spins until the ACK's datagram is
there. The stall is from just before its ``sendto`` to the return of its ``recv``, so the target's own
encryption is not in it. The echo's answering end spins and does nothing else; an answer of the ACK's size
comes from it.
"""

from __future__ import annotations

import json
import secrets
import socket
import statistics
import subprocess
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address
from time import monotonic, perf_counter_ns

from harness.debuggers.base import PrintReceived
from harness.debuggers.native import NativeDebugger
from harness.kd.debugio import PrintString
from harness.kd.handshake import Endpoint
from harness.kd.kdnet import Key
from harness.kd.manipulate import Continue, Continue2, GetVersion64, Manipulate, ReadVirtualMemory
from harness.kd.packets import PacketType
from harness.kd.session import Session
from harness.kd.session_events import BreakInReceived, PacketReceived
from harness.kd.statechange import Exception64

__all__ = ["Stall", "measure_echo", "measure_native"]

LINE = (
    b"[procnotify] OnImageNotify PID(4242) loaded a/an "
    b"\\Device\\HarddiskVolume3\\Windows\\System32\\kernel32.dll at 0x00007ffb12340000 "
    b"{seq=123456 t=123456789012 cpu=1 by=4242.4246 size=0xb2000}\n"
)
ACK_SIZE = 54
WARM_UP = 200


@dataclass(frozen=True)
class Stall:
    """Microseconds."""

    prints: int
    median: float
    p99: float
    per_second: float
    """Prints per second of the whole exchange, the target's own work included."""

    @classmethod
    def of(cls, samples_ns: list[int], seconds: float) -> Stall:
        kept = sorted(samples_ns[WARM_UP:])
        return cls(
            len(samples_ns),
            statistics.median(kept) / 1000,
            kept[int(len(kept) * 0.99)] / 1000,
            len(samples_ns) / seconds,
        )


def measure_native(prints: int = 5000) -> Stall:
    """The native debugger against a target in a process of its own."""
    key = Key.generate(secrets.token_bytes)
    port = _free_port()
    debugger = NativeDebugger(f"net:port={port},key={key.format()}")
    debugger.listen()
    target = _child("target", port, key.format(), prints)
    try:
        debugger.attach(timeout=20)
        debugger.go()
        heard, deadline = 0, monotonic() + 60
        while heard < prints and monotonic() < deadline:
            heard += isinstance(debugger.receive(timeout=1.0), PrintReceived)
        if heard != prints:
            raise RuntimeError(f"{heard} of {prints} prints arrived")
        return _result(target)
    finally:
        target.kill()
        debugger.detach(timeout=0.2)


def measure_echo(rounds: int = 5000) -> Stall:
    """Datagrams of a print's size against a spinning process that answers with an ACK's size."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind(("127.0.0.1", 0))
        answering.setblocking(False)
        child = _child("echo", answering.getsockname()[1], "", rounds)
        answer, deadline, done = bytes(ACK_SIZE), monotonic() + 60, 0
        while done < rounds and monotonic() < deadline:
            try:
                _, address = answering.recvfrom(2048)
            except BlockingIOError:
                continue
            answering.sendto(answer, address)
            done += 1
        return _result(child)


def _child(role: str, port: int, key: str, count: int) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "benchmarks.stall", role, str(port), key, str(count)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def _result(child: subprocess.Popen[str]) -> Stall:
    out, _ = child.communicate(timeout=60)
    answer = json.loads(out)
    return Stall.of(answer["samples"], answer["seconds"])


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


# --- the child ---


class _Target:
    """Halts on a break-in, answers GetVersion, and prints when it is let go."""

    def __init__(self, port: int, key: Key) -> None:
        self._address = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        here = Endpoint(IPv4Address("127.0.0.1"), port)
        self._session = Session.kdnet_target(
            key, client_key=secrets.token_bytes(32), own=here, host=here, now=monotonic()
        )
        self._running = True
        self._stopped = False

    def run(self, prints: int) -> list[int]:
        while not self._stopped or not self._running:
            self._exchange()
        payload = PrintString.of(LINE).encode()
        samples = []
        for _ in range(prints):
            self._session.send_packet(PacketType.DEBUG_IO, payload, monotonic())
            outgoing = self._session.datagrams_to_send()
            begin = perf_counter_ns()
            for data, _ in outgoing:
                self._socket.sendto(data, self._address)
            received = self._spin()
            samples.append(perf_counter_ns() - begin)
            self._take(received)
            while not self._session.idle:
                self._exchange()
        return samples

    def _spin(self) -> bytes:
        while True:
            try:
                return self._socket.recv(2048)
            except BlockingIOError:
                continue

    def _exchange(self) -> None:
        now = monotonic()
        deadline = self._session.deadline()
        if deadline is not None and now >= deadline:
            self._session.handle_timer(now)
        for data, _ in self._session.datagrams_to_send():
            self._socket.sendto(data, self._address)
        try:
            self._take(self._socket.recv(2048))
        except BlockingIOError:
            return

    def _take(self, data: bytes) -> None:
        session = self._session
        session.receive(data, monotonic(), self._address)
        while (event := session.next_event()) is not None:
            match event:
                case BreakInReceived() if self._running:
                    self._running, self._stopped = False, True
                    session.send_packet(PacketType.STATE_CHANGE64, Exception64().encode(), monotonic())
                case PacketReceived(PacketType.STATE_MANIPULATE):
                    self._manipulate(event.record())

    def _manipulate(self, request: object) -> None:
        match request:
            case GetVersion64():
                reply: Manipulate = GetVersion64(status=0, minor_version=18362, machine_type=0x8664)
            case Continue() | Continue2():
                self._running = True
                return
            case ReadVirtualMemory(address=address, count=count):
                reply = ReadVirtualMemory(status=0xC0000001, address=address, count=count)
            case _:
                return
        self._session.send_packet(PacketType.STATE_MANIPULATE, reply.encode(), monotonic())


def _echo(port: int, rounds: int) -> list[int]:
    datagram = bytes(14 + 8 + 32 + len(LINE) + 16)
    samples = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        for _ in range(rounds):
            begin = perf_counter_ns()
            sock.sendto(datagram, ("127.0.0.1", port))
            while True:
                try:
                    sock.recv(2048)
                    break
                except BlockingIOError:
                    continue
            samples.append(perf_counter_ns() - begin)
    return samples


def main() -> None:
    """Run as the child that :func:`_child` starts, or alone: print both figures."""
    if len(sys.argv) == 1:
        for name, stall in (("echo", measure_echo()), ("native", measure_native())):
            print(
                f"{name:8} median {stall.median:6.1f} us  p99 {stall.p99:7.1f} us  "
                f"{stall.per_second:8.0f} prints/s"
            )
        return
    role, port, key, count = sys.argv[1:]
    begin = monotonic()
    if role == "target":
        samples = _Target(int(port), Key.parse(key)).run(int(count))
    else:
        samples = _echo(int(port), int(count))
    json.dump({"samples": samples, "seconds": monotonic() - begin}, sys.stdout)


if __name__ == "__main__":
    main()
