"""A serial port for DbgEng: a TCP port of loopback, behind which any serial port of a machine's may be.

DbgEng under Wine has no Unix sockets and no devices, it serves no port anywhere, and it is kept from opening
files (:mod:`harness.debuggers.workers.worker.seal`). What it sends and gets passes unchanged; what
:mod:`.resync` adds lets it come to a target that runs.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
from time import monotonic
from typing import Final

from harness.connection import PipeConnection, SerialConnection, TcpConnection
from harness.debuggers.pykd.resync import Resynchroniser
from harness.errors import ConnectionFailed, TargetLost
from harness.ports.opening import Opener, PortRefused, opener_of
from harness.ports.transport import StreamTransport, Transport

__all__ = ["SerialRelay"]

_log = logging.getLogger(__name__)

_AGAIN: Final = 0.2
"""Seconds between two tries of a port that is not there yet."""
_OPEN_SECONDS: Final = 1.0
"""For one try."""
_CLOSE_SECONDS: Final = 10.0
"""For the thread to end; longer than one try, and than a write that nobody takes."""


class SerialRelay:
    """Use as a context manager: what it gives is the connection for DbgEng, and leaving it frees the port.

    The machine's port is opened once DbgEng is there: what the target says before would be lost.

    :raises ConnectionFailed: on entry, when the debugger was to serve a port that it cannot have.
    """

    def __init__(self, connection: TcpConnection | PipeConnection | SerialConnection) -> None:
        self._connection = connection

    def __enter__(self) -> str:
        self._opener: Opener = opener_of(self._connection)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._listener.setblocking(False)
        self._ring, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="serial relay", daemon=True)
        self._thread.start()
        return f"com:ipport={self._listener.getsockname()[1]},port=127.0.0.1"

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # it has ended already
            self._ring.send(b"!")
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_SECONDS)
        self._ring.close()

    def _run(self) -> None:
        with contextlib.ExitStack() as closing:
            for held in (self._wake, self._listener, self._opener):
                closing.callback(held.close)
            debugger = self._accept()
            if debugger is None:
                return
            closing.callback(debugger.close)
            target = self._open()
            if target is None:
                return
            closing.callback(target.close)
            _log.debug("DbgEng is joined to %s", target.name)
            try:
                self._relay(debugger, target)
            except TargetLost as lost:
                _log.debug("%s", lost.message)

    def _is_over(self, seconds: float) -> bool:
        """Whether the relay is left within ``seconds``."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def _accept(self) -> Transport | None:
        """DbgEng; None: it never came."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._wake in ready:
                    return None
                with contextlib.suppress(BlockingIOError, ConnectionError):  # it has gone again
                    stream, _ = self._listener.accept()
                    self._listener.close()  # nobody else is let in
                    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    return StreamTransport(stream, "DbgEng")

    def _open(self) -> Transport | None:
        """The machine's port; None: it cannot be had, which who looks why DbgEng heard nothing finds out."""
        while not self._is_over(0.0):
            try:
                return self._opener.open(_OPEN_SECONDS)
            except PortRefused:
                if self._is_over(_AGAIN):
                    break
            except ConnectionFailed as error:
                _log.debug("%s", error.message)
                break
        return None

    def _relay(self, debugger: Transport, target: Transport) -> None:
        resync = Resynchroniser()
        with selectors.DefaultSelector() as selector:
            for source in (self._wake, debugger, target):
                selector.register(source, selectors.EVENT_READ)
            while True:
                deadline = resync.deadline
                ready = selector.select(None if deadline is None else max(deadline - monotonic(), 0.0))
                sources = [key.fileobj for key, _ in ready]
                if self._wake in sources:
                    return
                if debugger in sources and (received := debugger.receive()) is not None:
                    resync.from_debugger(received[0], monotonic())
                    target.send(received[0], None)
                if target in sources and (received := target.receive()) is not None:
                    added = resync.from_target(received[0], monotonic())
                    debugger.send(received[0], None)
                    target.send(added, None)
                target.send(resync.handle_timer(monotonic()), None)
