"""The ends of the stall measurement that stand still: the virtual target, and one end of a bare UDP echo.

Both take the time from just before ``send`` to the return of the ``recv`` that brought the answer, and both
spin in between. So what is measured is the way to the debugger, its work, and the way back: not this
process's encryption, and not its own wake-up.
"""

from __future__ import annotations

import gc
import secrets
import socket
from collections.abc import Callable
from ipaddress import IPv4Address
from time import monotonic, perf_counter_ns
from typing import Any, NamedTuple

from harness.kd.kdnet import MAX_DATAGRAM, Key
from harness.virtual.kdport import net_session
from harness.virtual.served import ServedTarget
from harness.virtual.stub.stub import TargetEnded
from harness.virtual.stub.wire import UdpWire

__all__ = ["ACK_SIZE", "MAX_LINES", "PRINT_SIZE", "Series", "TimedTarget", "echo", "line"]

PRINT_SIZE = 262
"""Bytes of a datagram with one of these prints (KDNET version 5)."""
ACK_SIZE = 54
"""Bytes of a datagram with an ACKNOWLEDGE."""
MAX_LINES = 1_000_000
"""So many numbers keep the line's length."""
_LOOK_NS = 10_000_000
"""How long to spin before the link may see to its timers (nanoseconds)."""


class Series(NamedTuple):
    """Prints in a row."""

    prints: int
    pause: int = 0
    """Microseconds of the target's own work (a driver's, say) after each of them."""

    @classmethod
    def parse(cls, text: str) -> Series:
        """``PRINTS`` or ``PRINTS:PAUSE``, as :meth:`__str__` gives it."""
        return cls(*map(int, text.split(":")))

    def __str__(self) -> str:
        return f"{self.prints}:{self.pause}"


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
        self._wire = wire = _TimedWire(IPv4Address("127.0.0.1"), port)
        session = net_session(
            Key.parse(key), own=wire.own, host=wire.host, now=monotonic(), nonce=secrets.token_bytes(32)
        )
        self._served = ServedTarget(session, wire, now=monotonic, seed=1)

    def print_lines(self, *series: Series) -> dict[str, Any]:
        """Wait until the debugger has let the target go, then print, one series after the other; the
        numbers of the lines run on.

        :return: ``samples``, the stall of each print in nanoseconds, and ``seconds``, the target's own work
            included, a list of a series each; ``sizes`` of the last print's datagram and its answer in bytes.
        """
        served, wire = self._served, self._wire
        while not served.stops:
            served.idle()
        lines = iter([line(number) for number in range(sum(one.prints for one in series))])
        gc.disable()  # a collection in the middle of a print would be counted as the debugger's
        found = [_repeat(one, lambda: self._print(next(lines))) for one in series]
        gc.enable()
        return _answer(found, wire.sizes)

    def _print(self, text: bytes) -> int:
        stub, wire = self._served.stub, self._wire
        stub.poll()  # as between two instructions of a driver: a break-in is obeyed here
        wire.arm()
        stub.print_string(text, 0)
        return wire.stall()

    def serve(self) -> None:
        """Go on as a target with nothing to do, so that the debugger can let it go in order."""
        while True:
            self._served.idle()


def echo(port: int, *series: Series) -> dict[str, Any]:
    """The same as :meth:`TimedTarget.print_lines` with a peer that only answers."""
    datagram, answer = bytes(PRINT_SIZE), b""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.setblocking(False)
        send, receive = sock.send, sock.recv

        def exchange() -> int:
            nonlocal answer
            sent_at = perf_counter_ns()
            send(datagram)
            while True:
                try:
                    answer = receive(MAX_DATAGRAM + 1)
                    return perf_counter_ns() - sent_at
                except BlockingIOError:
                    continue

        found = [_repeat(one, exchange) for one in series]
    return _answer(found, (len(datagram), len(answer)))


def _repeat(series: Series, once: Callable[[], int]) -> tuple[list[int], float]:
    """What ``once`` gave each time, and the seconds that it all took."""
    samples, pause_ns = [], series.pause * 1000
    begin = monotonic()
    for _ in range(series.prints):
        samples.append(once())
        go_on_at = perf_counter_ns() + pause_ns
        while perf_counter_ns() < go_on_at:
            pass
    return samples, monotonic() - begin


def _answer(found: list[tuple[list[int], float]], sizes: tuple[int, int]) -> dict[str, Any]:
    return {
        "samples": [samples for samples, _ in found],
        "seconds": [seconds for _, seconds in found],
        "sizes": sizes,
    }
