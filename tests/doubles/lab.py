"""A virtual machine of the tests: its file, calls of ``procnotify run`` on it, and what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from guest_servers import wait_until

__all__ = ["CALL_SECONDS", "KEY", "Lab", "LinuxGuest", "free_udp_port", "machine_file"]

KEY = "1.2.3.4"
CALL_SECONDS = 3600.0
"""How long a call may take; the guest is emulated in software, and the machine has other things to do."""
SLOW = ("--timeout", "120", "--step-timeout", "900")


class LinuxGuest(Protocol):
    """See ``tests/machines/guest/build.py``."""

    @property
    def kernel(self) -> Path: ...
    @property
    def initrd(self) -> Path: ...
    @property
    def disk(self) -> Path: ...
    @property
    def ssh_key(self) -> Path: ...
    @property
    def ssh_host_key(self) -> Path: ...


def machine_file(guest: LinuxGuest, channel: str, port: int, link: str = "kdnet") -> str:
    """The machine file of the Linux guest.

    :param channel: how it is reached.
    :param port: of this host, where the debugger listens, or QEMU with the first serial port.
    :param link: ``kdnet``, or ``socket`` or ``tcp`` for KDCOM on the first serial port.
    """
    host_key = guest.ssh_host_key.read_text(encoding="utf-8").strip()
    ssh = f", user: root, key_file: {guest.ssh_key}, host_key: {host_key}"
    net = f"net:port={port},key={KEY}"
    connection = {"kdnet": net, "socket": "serial", "tcp": f"com:ipport={port},port=127.0.0.1"}[link]
    serial_ports = [*(["kd"] if link != "kdnet" else []), *(["helper"] if channel == "serial" else [])]
    console = len(serial_ports) if link != "kdnet" else 0
    words = f"console=ttyS{console} quiet"
    words += f" kd={net}" if link == "kdnet" else " kd=com:port=/dev/ttyS0,baud=115200"
    if channel == "serial":
        words += " helper=/dev/ttyS1"
    return (
        f"machine: linux\ntype: qemu\nimage: {guest.disk}\ndisk: virtio\nmemory: 256\nprocessors: 1\n"
        f"connection: {connection}\n"
        + ("kdnet: virtio-net-pci\n" if link == "kdnet" else "")
        + "command_network: virtio-net-pci\naccelerator: tcg\nboot_timeout: 10m\n"
        f"guest: {{channel: {channel}, folder: /run/procnotify, helper: /opt/guest/helper"
        f"{ssh if channel == 'ssh' else ''}}}\n"
        f"arguments: [-kernel, {guest.kernel}, -initrd, {guest.initrd}, -append, '{words}']\n"
    )


class Lab:
    """A machine file, and what calls of ``procnotify run`` leave behind."""

    def __init__(self, folder: Path, text: Callable[[int], str]) -> None:
        self.folder = folder
        self.file = folder / "lab.yaml"
        self.temporary = folder / "t"
        self.temporary.mkdir()
        self.port = free_udp_port()
        self.file.write_text(text(self.port), encoding="utf-8", newline="\n")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """``procnotify run`` under way."""
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "harness", "run", "--machine", str(self.file), "--json", *SLOW),
                *("--trace-dir", str(self.folder / "traces"), *words),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(self.temporary)},
            start_new_session=True,
        )

    def run(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, JSON document and what went to standard error."""
        with self.start(*words) as done:
            try:
                document, said = done.communicate(timeout=CALL_SECONDS)
            except BaseException:
                done.send_signal(signal.SIGTERM)
                raise
        self.require_nothing_left()
        return done.returncode, json.loads(document or "{}"), said

    def require_nothing_left(self) -> None:
        """No process, no file, no port, at the latest when the program's keeper has done its work."""
        # Wine's server, which every program in a prefix shares, has a folder of its own there.
        wait_until(
            lambda: all(path.name.startswith("wine-") for path in self.temporary.iterdir()), "a file is left"
        )
        wait_until(lambda: not self.processes(), "a process is left")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
            port.bind(("127.0.0.1", self.port))

    def processes(self) -> list[int]:
        """Everything that runs with something of this lab on its command line."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes()
                except OSError:
                    continue  # it has ended meanwhile
                if os.fsencode(self.temporary) in words:
                    found.append(int(entry.name))
        return found

    def qemu(self) -> int:
        """Process id of the machine's QEMU."""
        (pid,) = (pid for pid in self.processes() if _program(pid).startswith("qemu-system"))
        return pid


def _program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()


def free_udp_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
