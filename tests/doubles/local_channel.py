"""This host as a guest: a channel that really writes files and runs programs here."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.errors import GuestError
from harness.guests.channels import ProgramResult


class LocalChannel:
    """See :class:`harness.guests.channels.base.GuestChannel`."""

    def __init__(self) -> None:
        self.ran: list[list[str]] = []
        self.closed = False

    def await_up(self, timeout: float) -> None: ...

    def put(self, path: str, data: bytes) -> None:
        try:
            Path(path).write_bytes(data)
            Path(path).chmod(0o755)
        except OSError as error:
            raise GuestError(f"cannot put {path}: {error.strerror}") from error

    def get(self, path: str, *, limit: int) -> bytes:
        data = Path(path).read_bytes()
        if len(data) > limit:
            raise GuestError(f"{path} has {len(data)} bytes")
        return data

    def run(self, argv: Sequence[str], *, timeout: float) -> ProgramResult:
        self.ran.append(list(argv))
        try:
            done = subprocess.run(argv, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise GuestError(f"{argv[0]} did not end within {timeout:g} s") from None
        except OSError as error:
            raise GuestError(f"cannot run {argv[0]}: {error.strerror}") from error
        return ProgramResult(done.returncode, done.stdout, done.stderr)

    def close(self) -> None:
        self.closed = True
