"""Real servers of a guest on this host: what a guest channel talks to."""

from __future__ import annotations

import getpass
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import asyncssh

from harness.connection import PipeConnection
from harness.guests.channels import GuestChannel
from harness.guests.channels.qga import QgaChannel
from harness.guests.channels.serial import SerialChannel
from harness.guests.channels.ssh import SshChannel

UP_SECONDS = 30.0


def is_listening(path: Path) -> bool:
    """Whether a Unix socket takes connections: it is there a moment before. Source: Linux, proc(5)."""
    lines = Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()
    return any(line.endswith(f" {path}") and line.split()[3] == "00010000" for line in lines)


class GuestServer(Protocol):
    """A server that can be started, and killed in the middle of anything."""

    where: str
    """How a message names it."""

    def start(self, *, largest_file: int | None = None) -> None:
        """Start it anew.

        :param largest_file: bytes of a file after which its disk is full, so to say.
        """

    def kill(self) -> None:
        """End it and all that it has started, at once. Idempotent."""

    def channel(self) -> GuestChannel:
        """A way to it that was not used yet."""


def limited(argv: list[str], largest_file: int | None, log: Path) -> subprocess.Popen[bytes]:
    """A server in a process group of its own, whose writes behind a place in a file fail with EFBIG: Python
    ignores SIGXFSZ, and so does what inherits that."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    with log.open("ab") as out:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            restore_signals=False,
            preexec_fn=limit,
        )


def wait_until(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + UP_SECONDS
    while not ready():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class SocketServer:
    """A program that serves a Unix socket."""

    def __init__(self, socket: Path) -> None:
        self.where = str(socket)
        self._socket = socket
        self._process: subprocess.Popen[bytes] | None = None

    def serve(self, argv: list[str], log: Path, largest_file: int | None) -> None:
        self.kill()
        self._socket.unlink(missing_ok=True)
        self._process = limited(argv, largest_file, log)
        wait_until(lambda: is_listening(self._socket), f"{argv[0]} does not listen")

    def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class AgentServer(SocketServer):
    """The QEMU guest agent itself, on a Unix socket as QEMU would offer it."""

    def __init__(self, program: str, folder: Path) -> None:
        super().__init__(folder / "agent.sock")
        self._folder = folder
        self._program = program

    def start(self, *, largest_file: int | None = None, options: tuple[str, ...] = ()) -> None:
        argv = [self._program, "-m", "unix-listen", "-p", self.where, "-t", str(self._folder)]
        argv += ["-f", str(self._folder / "agent.pid"), *options]
        self.serve(argv, self._folder / "agent.log", largest_file)

    def freeze(self) -> None:
        """It stands still; killing it still works."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def channel(self) -> QgaChannel:
        return QgaChannel(self.where, timeout=20)


class SerialServer(SocketServer):
    """The helper of the Linux guest at its serial port, which is a Unix socket."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "serial.sock")
        self._folder = folder / "helper"
        self._folder.mkdir()

    def start(self, *, largest_file: int | None = None) -> None:
        doubles = Path(__file__).resolve().parent
        found = [str(doubles), str(doubles.parent / "machines" / "guest")]
        main = f"serial_server.main({self.where!r}, {str(self._folder)!r})"
        argv = [sys.executable, "-c", f"import sys; sys.path[:0] = {found!r}; import serial_server; {main}"]
        self.serve(argv, self._folder / "log", largest_file)

    def channel(self) -> SerialChannel:
        return SerialChannel(PipeConnection(self.where), patience=2)


def descendants(pid: int) -> list[int]:
    """What a process has started, and what that has, as far as it was not left an orphan."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            text = stat.read_text(encoding="utf-8", errors="replace")
            parents[int(text.split(" ", 1)[0])] = int(text.rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found[1:]


SSHD_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
"""


class SshServer:
    """OpenSSH's server itself, on a loopback port, with keys of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        self.folder = folder
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.where = f"127.0.0.1:{self.port}"
        self.new_host_key()
        self._key("user_key")
        config = SSHD_CONFIG.format(port=self.port, folder=folder)
        (folder / "sshd_config").write_text(config, encoding="utf-8")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where a server of root does not start without

    def new_host_key(self) -> None:
        """For the next start."""
        self._key("host_key")

    @property
    def host_key(self) -> str:
        return (self.folder / "host_key.pub").read_text(encoding="utf-8")

    def start(self, *, largest_file: int | None = None) -> None:
        self.kill()
        argv = [self._program, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        self._process = limited(argv, largest_file, self.folder / "sshd.log")
        wait_until(self._listens, "sshd does not listen")

    def kill(self) -> None:
        if self._process is not None:
            started = descendants(self._process.pid)
            self._process.kill()
            self._process.wait()
            self._process = None
            for pid in started:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """It and all that it has started stand still; killing it still works."""
        assert self._process is not None
        for pid in [self._process.pid, *descendants(self._process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def freeze_once_it_runs(self, program: str) -> None:
        """The same, once one of the programs that it has started is ``program``."""
        assert self._process is not None
        server = self._process.pid

        def is_program(pid: int) -> bool:
            # It may end at any moment.
            with suppress(FileNotFoundError, ProcessLookupError):
                return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == program
            return False

        def runs() -> bool:
            return any(is_program(pid) for pid in descendants(server))

        wait_until(runs, f"{program} does not run")
        self.freeze()

    def reconfigure(self, old: str, new: str) -> None:
        """For the next start."""
        config = self.folder / "sshd_config"
        text = config.read_text(encoding="utf-8")
        assert old in text
        config.write_text(text.replace(old, new), encoding="utf-8")

    def channel(self, **options: Any) -> SshChannel:
        chosen = {
            "port": self.port,
            "user": getpass.getuser(),
            "host_key": self.host_key,
            "key_file": self.folder / "user_key",
            "timeout": 20,
        }
        return SshChannel("127.0.0.1", **(chosen | options))

    def _key(self, name: str) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(self.folder / name)
        (self.folder / name).chmod(0o600)
        key.write_public_key(self.folder / f"{name}.pub")

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False
