"""Real servers of a guest on this host: what a guest channel talks to."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from harness.guests.channels import GuestChannel
from harness.guests.channels.qga import QgaChannel

UP_SECONDS = 30.0


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


class AgentServer:
    """The QEMU guest agent itself, on a Unix socket as QEMU would offer it."""

    def __init__(self, program: str, folder: Path) -> None:
        self.socket = folder / "agent.sock"
        self.where = str(self.socket)
        self._folder = folder
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, largest_file: int | None = None, options: tuple[str, ...] = ()) -> None:
        self.kill()
        self.socket.unlink(missing_ok=True)
        argv = [self._program, "-m", "unix-listen", "-p", self.where, "-t", str(self._folder)]
        argv += ["-f", str(self._folder / "agent.pid"), *options]
        self._process = limited(argv, largest_file, self._folder / "agent.log")
        wait_until(self.socket.exists, "the agent does not listen")

    def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It stands still; killing it still works."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def channel(self) -> QgaChannel:
        return QgaChannel(self.where, timeout=20)
