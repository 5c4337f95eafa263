"""A serial port of the prefix, and the socket at which a host finds its other end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from harness.connection import PipeConnection

if sys.platform != "win32":
    import pty
    import tty

PORT = "COM7"

Passing = Callable[[bytes], bytes]


class SerialCable:
    """A pseudo-terminal whose one end is the prefix's :data:`PORT`. Bytes that nobody takes are lost, as on
    a serial line; hosts come and go, one at a time."""

    def __init__(self, prefix, folder: Path) -> None:
        self._prefix = prefix
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._port = prefix.work.parent.parent / "dosdevices" / PORT.lower()
        self._port.unlink(missing_ok=True)
        self._port.symlink_to(os.ttyname(self._slave))
        path = folder / "cable"
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen(1)
        self.connection = PipeConnection(str(path))
        """The host's end."""
        self.out: Passing = bytes
        """What arrives in the guest of what the host says; ConnectionError: the host goes away."""
        self.back: Passing = bytes
        """What arrives at the host."""
        self._helper: subprocess.Popen[bytes] | None = None
        self._ended, self._end = socket.socketpair()
        self._thread = threading.Thread(target=self._carry, name="serial cable")
        self._thread.start()

    def serve(self) -> None:
        """Start the helper on the port."""
        self._helper = self._prefix.start(r"C:\procnotify\actor.exe", "serve", PORT)

    def kill_helper(self) -> None:
        if self._helper is not None:
            self._helper.kill()
            self._helper.wait(60)
            self._helper = None

    def freeze_helper(self, frozen: bool) -> None:
        assert self._helper is not None
        self._helper.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def say_to_guest(self, data: bytes) -> None:
        """Bytes of nobody's."""
        for start in range(0, len(data), 1000):
            select.select([], [self._master], [])
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, data[start : start + 1000])

    def close(self) -> None:
        self.kill_helper()
        self._end.close()
        self._thread.join(60)
        self._port.unlink(missing_ok=True)
        for held in (self._server, self._ended):
            held.close()
        for end in (self._master, self._slave):
            os.close(end)

    def _carry(self) -> None:
        host: socket.socket | None = None
        while True:
            at_host = [self._server] if host is None else [host]
            readable = select.select([self._ended, self._master, *at_host], [], [])[0]
            try:
                if self._ended in readable:
                    break
                if self._master in readable:
                    data = os.read(self._master, 4096)
                    if host is not None:
                        host.sendall(self.back(data))
                if self._server in readable:
                    host, _ = self._server.accept()
                elif host is not None and host in readable:
                    data = host.recv(65536)
                    if not data:
                        raise ConnectionError
                    with contextlib.suppress(BlockingIOError):
                        os.write(self._master, self.out(data))
            except ConnectionError:
                assert host is not None
                host.close()
                host = None
        if host is not None:
            host.close()
