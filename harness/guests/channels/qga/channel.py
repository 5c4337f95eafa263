"""Files and programs of a guest by its QEMU guest agent."""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

from harness.errors import GuestError, TargetLost
from harness.guests.channels.base import ProgramResult
from harness.guests.channels.qga.link import Agent, AgentAddress, AgentLink
from harness.guests.paths import is_windows_path
from harness.waiting import wait_in_slices

__all__ = ["PIECE", "QgaChannel"]

PIECE: Final = 256 * 1024
"""Bytes of a file in one question or answer; an agent's own limit is 48 MiB."""
UP_SECONDS: Final = 3.0
"""How long an agent that may not be there yet is waited for before it is asked anew, in seconds."""
PAUSES: Final = (0.005, 0.01, 0.02, 0.05, 0.1)
"""Seconds between two looks at whether a program has ended; the last one again and again."""
KILL_SECONDS: Final = 10.0
"""How long the end of a program that overran its deadline may take, in seconds."""
GRACE_SECONDS: Final = 5.0
"""How long after a program's deadline the agent may take to say how it stands, in seconds."""
SIGNALS: Final = 128
"""A program that ended by signal N has exit code 128 + N, as a POSIX shell says it."""
COMMANDS: Final = (
    "guest-exec",
    "guest-exec-status",
    "guest-file-open",
    "guest-file-read",
    "guest-file-write",
    "guest-file-flush",
    "guest-file-close",
)
"""What an agent must allow; distributions are known to forbid the first (``block-rpcs``)."""


class QgaChannel:
    """See :class:`harness.guests.channels.base.GuestChannel`.

    :param agent: the agent; or path of a Unix socket, or host and port, where QEMU's chardev of the agent's
        port listens.
    :param timeout: seconds that the agent may take for one answer; a program's own time does not count.
    """

    def __init__(self, agent: Agent | AgentAddress, *, timeout: float = 60.0) -> None:
        self._agent: Agent = AgentLink(agent) if isinstance(agent, str | tuple) else agent
        self._where = self._agent.where
        self._timeout = timeout

    def await_up(self, timeout: float) -> None:
        """See :meth:`harness.guests.channels.base.GuestChannel.await_up`.

        :raises GuestError: it is up, and does not allow what is needed.
        """
        deadline = monotonic() + timeout
        while True:
            try:
                self._agent.synchronise(min(max(deadline - monotonic(), 0.1), UP_SECONDS))
                break
            except TargetLost as error:
                if deadline - monotonic() <= PAUSES[-1]:
                    raise TargetLost(
                        f"no guest agent answered at {self._where} within {timeout:g} s: {error}",
                        hint="is qemu-guest-agent installed and started in the guest, and its port wired?",
                    ) from error
                self._pause(PAUSES[-1])
        self._require_commands()

    def put(self, path: str, data: bytes) -> None:
        """See :meth:`harness.guests.channels.base.GuestChannel.put`.

        The agent cannot rename; the guest's own ``mv`` or ``move`` does.
        """
        _require_plain(path)
        partial = f"{path}.part"
        handle = self._open(partial, "wb")
        try:
            rest = memoryview(data)
            while rest:
                written = self._write(handle, partial, bytes(rest[:PIECE]))
                rest = rest[written:]
            self._call("guest-file-flush", handle=handle)
            self._call("guest-file-close", handle=handle)
        except GuestError:
            self._close_quietly(handle)
            self._remove_quietly(partial)
            raise
        move = ["cmd.exe", "/d", "/c", "move", "/y"] if is_windows_path(path) else ["mv", "-f", "-T", "--"]
        moved = self.run([*move, partial, path], timeout=self._timeout)
        if moved.exit_code:
            words = (moved.stderr or moved.stdout).decode("utf-8", "replace").strip()
            self._remove_quietly(partial)
            raise GuestError(f"cannot store {path} in the guest: {words:.400}")

    def get(self, path: str, *, limit: int) -> bytes:
        """See :meth:`harness.guests.channels.base.GuestChannel.get`."""
        handle = self._open(path, "rb")
        try:
            data = bytearray()
            while True:
                answer = self._call("guest-file-read", handle=handle, count=min(PIECE, limit + 1 - len(data)))
                piece = _bytes_of(answer, "buf-b64", "guest-file-read")
                data += piece
                if len(data) > limit:
                    raise GuestError(f"{path} in the guest has more than {limit} bytes")
                if not piece or answer.get("eof"):
                    return bytes(data)
        finally:
            self._close_quietly(handle)

    def run(self, argv: Sequence[str], *, timeout: float) -> ProgramResult:
        """See :meth:`harness.guests.channels.base.GuestChannel.run`."""
        deadline = monotonic() + timeout
        pid = self._start(argv)
        pauses = iter(PAUSES)
        pause = next(pauses)
        while True:
            status = self._status(pid, max(deadline - monotonic(), 0) + GRACE_SECONDS)
            if status["exited"]:
                return _result(status, argv[0])
            if monotonic() >= deadline:
                killed = self._kill(pid, argv[0])
                raise GuestError(f"{argv[0]} did not end in the guest within {timeout:g} s; {killed}")
            self._pause(min(pause, max(deadline - monotonic(), 0.001)))
            pause = next(pauses, PAUSES[-1])

    def close(self) -> None:
        """See :meth:`harness.guests.channels.base.GuestChannel.close`."""
        self._agent.close()

    def _require_commands(self) -> None:
        info = self._call("guest-info")
        listed = info.get("supported_commands")
        allowed = {
            command.get("name")
            for command in (listed if isinstance(listed, list) else [])
            if isinstance(command, dict) and command.get("enabled") is True
        }
        missing = [command for command in COMMANDS if command not in allowed]
        if missing:
            raise GuestError(
                f"the guest agent at {self._where} does not allow {', '.join(missing)}",
                hint="take them off block-rpcs (blacklist) in its configuration, or add them to allow-rpcs",
            )

    def _call(self, command: str, timeout: float | None = None, /, **arguments: Any) -> dict[str, Any]:
        """An answer that is an object; one that is not is taken for an empty one."""
        answer = self._agent.call(command, arguments, timeout=timeout or self._timeout)
        return answer if isinstance(answer, dict) else {}

    def _open(self, path: str, mode: str) -> int:
        handle = self._agent.call("guest-file-open", {"path": path, "mode": mode}, timeout=self._timeout)
        return _number(handle, "guest-file-open")

    def _write(self, handle: int, path: str, piece: bytes) -> int:
        text = base64.b64encode(piece).decode("ascii")
        answer = self._call("guest-file-write", **{"handle": handle, "buf-b64": text})
        written = _number(answer.get("count"), "guest-file-write")
        if not 0 < written <= len(piece):
            raise GuestError(f"the guest wrote {written} of {len(piece)} bytes to {path}")
        return written

    def _close_quietly(self, handle: int) -> None:
        """A file that was read, or whose error is on its way already."""
        with contextlib.suppress(GuestError, TargetLost):
            self._call("guest-file-close", handle=handle)

    def _remove_quietly(self, path: str) -> None:
        """A file that is not whole; why it is not is an error on its way already."""
        remove = ["cmd.exe", "/d", "/c", "del", "/f"] if is_windows_path(path) else ["rm", "-f", "--"]
        with contextlib.suppress(GuestError, TargetLost):
            self.run([*remove, path], timeout=self._timeout)

    def _start(self, argv: Sequence[str]) -> int:
        words = {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}
        return _number(self._call("guest-exec", **words).get("pid"), "guest-exec")

    def _status(self, pid: int, timeout: float) -> dict[str, Any]:
        status = self._call("guest-exec-status", min(timeout, self._timeout), pid=pid)
        if not isinstance(status.get("exited"), bool):
            raise GuestError(f"the guest agent answered guest-exec-status with {status!r:.200}")
        return status

    def _kill(self, pid: int, program: str) -> str:
        """End a program; what came of it, in words."""
        windows = is_windows_path(program) or program.lower().endswith(".exe")
        kill = ["taskkill.exe", "/f", "/t", "/pid"] if windows else ["kill", "-9"]

        def ended(_: float) -> bool:
            self._pause(PAUSES[-1])
            return bool(self._status(pid, GRACE_SECONDS)["exited"])

        try:
            killer = self._start([*kill, str(pid)])
            gone = wait_in_slices(ended, KILL_SECONDS)
            self._status(killer, GRACE_SECONDS)  # the agent remembers what ended until somebody has asked
        except GuestError as error:
            return f"it could not be ended: {error}"
        return "it was ended" if gone else f"it still runs as PID {pid}"

    def _pause(self, seconds: float) -> None:
        if self._agent.closed.wait(seconds):
            raise TargetLost(f"the channel to the guest agent at {self._where} was closed")


def _result(status: dict[str, Any], program: str) -> ProgramResult:
    for output in ("out", "err"):
        if status.get(f"{output}-truncated"):
            raise GuestError(
                f"{program} printed more than the guest agent keeps (16 MiB)", hint="have it write a file"
            )
    if "signal" in status:
        signal = _number(status["signal"], "guest-exec-status")
        # On Windows it is the code of the exception that nobody handled.
        code = SIGNALS + signal if 0 < signal < SIGNALS else signal & 0xFFFF_FFFF
    else:
        code = _number(status.get("exitcode"), "guest-exec-status") & 0xFFFF_FFFF
    outputs = (_bytes_of(status, key, "guest-exec-status") for key in ("out-data", "err-data"))
    return ProgramResult(code, *outputs)


def _number(value: object, command: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise GuestError(f"the guest agent answered {command} with {value!r:.200} for a number")
    return value


def _bytes_of(answer: dict[str, Any], key: str, command: str) -> bytes:
    text = answer.get(key, "")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise GuestError(
            f"the guest agent answered {command} with {text!r:.80}, which is no base64"
        ) from None


def _require_plain(path: str) -> None:
    """cmd.exe reads these in a word that has no blank, and so is not quoted."""
    if is_windows_path(path) and (bad := sorted(set('&|<>^%!",;=\r\n') & set(path))):
        raise GuestError(f"the guest's path {path!r} has {' '.join(bad)} in it, which its cmd.exe would read")
