"""A virtual target that hears its serial port as an NT kernel does.

While it runs it looks for a break-in alone, one byte a clock tick, and throws every other byte away.
Source: ReactOS, drivers/base/kdcom, KdpPollBreakIn.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import Final

from harness.connection import parse_connection
from harness.kd.packets import BREAK_IN
from harness.virtual.kdport import open_kd_port
from harness.virtual.served import ServedTarget

__all__ = ["PollingKernel"]

TICK: Final = 0.01


class _PolledWire:
    """The wire of a target that :attr:`listens` only now and then."""

    def __init__(self, connection: str) -> None:
        self._port = open_kd_port(parse_connection(connection), "127.0.0.1", now=monotonic)
        self.session = self._port.session()
        self.target: ServedTarget | None = None
        self.thrown_away = 0
        self._buffered = bytearray()
        self._polled_at = 0.0

    @property
    def _listens(self) -> bool:
        return self.target is None or self.target.stub.halted or not self.session.idle

    def send(self, data: bytes) -> None:
        self._port.wire.send(data)

    def receive(self) -> bytes | None:
        self._buffered += self._port.wire.receive() or b""
        if self._listens:
            data = bytes(self._buffered)
            self._buffered.clear()
            return data or None
        if not self._buffered or monotonic() < self._polled_at + TICK:
            return None
        self._polled_at = monotonic()
        byte = bytes(self._buffered[:1])
        del self._buffered[:1]
        self.thrown_away += byte != BREAK_IN
        return byte if byte == BREAK_IN else None

    def wait(self, timeout: float | None) -> None:
        self._port.wire.wait(TICK / 2 if self._buffered else timeout)

    def close(self) -> None:
        self._port.wire.close()


class PollingKernel:
    """The target, running on a thread of its own from entering to leaving."""

    def __init__(self, connection: str) -> None:
        self._wire = _PolledWire(connection)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def thrown_away(self) -> int:
        """Bytes that it did not look at."""
        return self._wire.thrown_away

    @property
    def runs(self) -> bool:
        """It does not stand still for a debugger."""
        return self._wire.target is not None and not self._wire.target.stub.halted

    def _run(self) -> None:
        target = ServedTarget(self._wire.session, self._wire, now=monotonic, seed=1)
        self._wire.target = target
        while not self._over.is_set():
            target.idle()

    def __enter__(self) -> PollingKernel:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)
        self._wire.close()
