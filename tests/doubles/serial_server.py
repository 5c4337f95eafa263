"""A Linux guest's serial port, at a Unix socket as QEMU offers it, with the guest's own helper behind it."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from serial_guest import SerialGuest
from serialhelper import LinuxPerformer

__all__ = ["main"]


def main(path: str, folder: str) -> None:
    """Serve one host after the other, for ever."""
    guest = SerialGuest(LinuxPerformer(Path(folder)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen(1)
        while True:
            host, _ = server.accept()
            with host, suppress(ConnectionError):
                while data := host.recv(4096):
                    host.sendall(guest.receive(data))
