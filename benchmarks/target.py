"""The ends of the stall measurement that stand still: the virtual target, and one end of a bare UDP echo.

Both take the time from just before ``send`` to the return of the ``recv`` that brought the answer, and both
spin in between. So what is measured is the way to the debugger, its work, and the way back: not this
process's encryption, and not its own wake-up.
"""

from __future__ import annotations

import gc
import secrets
import socket
from ipaddress import IPv4Address
from time import monotonic, perf_counter_ns
from typing import Any

from harness.kd.kdnet import MAX_DATAGRAM
from harness.virtual.kdstub import TargetEnded
from harness.virtual.kdwire import UdpWire
from harness.virtual.served import Dialling, ServedTarget

__all__ = ["ACK_SIZE", "MAX_PRINTS", "PRINT_SIZE", "TimedTarget", "echo", "line"]

PRINT_SIZE = 262
"""Bytes of a datagram with one of these prints (KDNET version 5)."""
ACK_SIZE = 54
"""Bytes of a datagram with an ACKNOWLEDGE."""
MAX_PRINTS = 1_000_000
"""So many numbers keep the line's length."""
_LOOK_NS = 10_000_000
"""How long to spin before the link may see to its timers (nanoseconds)."""


def line(number: int) -> bytes:
    """The print with this number, 0 and up; all have the same length."""
    return (
        b"[procnotify] OnImageNotify PID(4242) loaded a/an "
        b"\\Device\\HarddiskVolume3\\Windows\\System32\\kernel32.dll at 0x00007ffb12340000 "
        b"{seq=%06d t=123456789012 cpu=1 by=4242.4246 size=0xb2000}\n" % number
    )


class _TimedWire(UdpWire):
    """The target's socket, with a stopwatch that is started by :meth:`arm`."""

    def __init__(self, address: IPv4Address, port: int) -> None:
        super().__init__(address, port)
        self.sizes = (0, 0)
        """Bytes of the last print's datagram and of its answer."""
        self._armed = False
        self._sent_at = 0
        self._heard_at = 0

    def arm(self) -> None:
        """The next datagram out is a print's: measure it, and spin until its answer is there."""
        self._armed = True
        self._sent_at = self._heard_at = 0

    def stall(self) -> int:
        """Nanoseconds from the print's first sending to its ACK; disarms.

        :raises TargetEnded: nobody listens any more.
        """
        self._armed = False
        if not self._sent_at or not self._heard_at:
            raise TargetEnded("the debugger went away while the target printed")
        return self._heard_at - self._sent_at

    def send(self, data: bytes) -> None:
        """See :class:`UdpWire`."""
        if not self._armed or self._sent_at:  # a print that has to be sent again stalls from its first time
            super().send(data)
            return
        self.sizes = (len(data), 0)
        self._sent_at = perf_counter_ns()
        try:
            self._socket.send(data)
        except OSError:
            return  # as in UdpWire

    def receive(self) -> bytes | None:
        """See :class:`UdpWire`; while a print is out: spins for it."""
        if not self._sent_at or not self._armed:
            return super().receive()
        # After the first answer, probably the ACK: whoever drains the socket must not wait for more.
        data = super().receive() if self._heard_at else self._spin()
        if data is not None:
            self._heard_at = perf_counter_ns()
            self.sizes = (self.sizes[0], len(data))
        return data

    def _spin(self) -> bytes | None:
        receive, give_up = self._socket.recv, perf_counter_ns() + _LOOK_NS
        while True:
            try:
                return receive(MAX_DATAGRAM + 1)
            except OSError:
                if perf_counter_ns() >= give_up:
                    return None

    def wait(self, timeout: float | None) -> None:
        """See :class:`UdpWire`; while a print is out :meth:`receive` is the wait."""
        if not self._armed:
            super().wait(timeout)


class TimedTarget:
    """The project's virtual target, dialling a debugger on this machine.

    :param port, key: where the debugger listens.
    """

    def __init__(self, port: int, key: str) -> None:
        dialling = Dialling.of("127.0.0.1", port, key)
        self._wire = _TimedWire(IPv4Address("127.0.0.1"), port)
        self._served = ServedTarget(
            dialling, self._wire, now=monotonic, nonce=secrets.token_bytes(32), seed=1
        )

    def print_lines(self, prints: int, pause: int) -> dict[str, Any]:
        """Wait until the debugger has let the target go, then print ``prints`` lines.

        :param pause: microseconds of work (of the driver, say) between a print and the next.
        :return: ``samples``, the stall of each print in nanoseconds; ``seconds`` for all of them, the
            target's own work included; ``sizes`` of the last print's datagram and of its answer in bytes.
        """
        served, stub, wire = self._served, self._served.stub, self._wire
        while not served.stops:
            served.idle()
        lines = [line(number) for number in range(prints)]
        samples, pause_ns = [], pause * 1000
        gc.disable()  # a collection in the middle of a print would be counted as the debugger's
        begin = monotonic()
        for text in lines:
            wire.arm()
            stub.print_string(text, 0)
            samples.append(wire.stall())
            stub.poll()
            go_on_at = perf_counter_ns() + pause_ns
            while perf_counter_ns() < go_on_at:
                pass
        seconds = monotonic() - begin
        gc.enable()
        return {"samples": samples, "seconds": seconds, "sizes": wire.sizes}

    def serve(self) -> None:
        """Go on as a target with nothing to do, so that the debugger can let it go in order."""
        while True:
            self._served.idle()


def echo(port: int, count: int) -> dict[str, Any]:
    """The same as :meth:`TimedTarget.print_lines` with a peer that only answers."""
    datagram = bytes(PRINT_SIZE)
    samples = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.setblocking(False)
        send, receive = sock.send, sock.recv
        begin = monotonic()
        for _ in range(count):
            sent_at = perf_counter_ns()
            send(datagram)
            while True:
                try:
                    answer = receive(MAX_DATAGRAM + 1)
                    break
                except BlockingIOError:
                    continue
            samples.append(perf_counter_ns() - sent_at)
        seconds = monotonic() - begin
    return {"samples": samples, "seconds": seconds, "sizes": (len(datagram), len(answer))}
