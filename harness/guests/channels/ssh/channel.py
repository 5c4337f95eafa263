"""Files and programs of a guest by OpenSSH's server, on Linux and on Windows."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final, Literal, TypeVar, cast

import asyncssh

from harness.errors import GuestError, TargetLost
from harness.guests.channels.base import ProgramResult
from harness.guests.channels.commandline import windows_command_line
from harness.guests.channels.eventloop import EventLoopThread, LoopEndedError
from harness.guests.channels.ssh.keys import (
    ANY_HOST_KEY,
    host_key_algorithms,
    key_words,
    private_key,
    public_key,
)
from harness.guests.channels.ssh.program import MAX_OUTPUT, RemoteProgram, announced, set_within
from harness.guests.paths import is_windows_path

__all__ = ["SshChannel"]

PIECE: Final = 256 * 1024
"""Bytes of a file in one go."""
CONNECT_SECONDS: Final = 15.0
"""How long a server may take to connect and to authenticate, in seconds."""
UP_SECONDS: Final = 5.0
"""The same of a guest that may not be there yet, before it is tried anew."""
PAUSE: Final = 0.2
"""Seconds between two tries."""
KILL_SECONDS: Final = 5.0
"""How long the end of a program that overran its deadline may take, in seconds."""
_KEEPALIVES: Final = 4
T = TypeVar("T")


class SshChannel:
    """See :class:`harness.guests.channels.base.GuestChannel`.

    :param host: name or address; ``port`` its TCP port.
    :param user: of the guest; an administrator where drivers are to be loaded.
    :param host_key: the server's public key, ``ssh-ed25519 AAAA...`` as in its ``ssh_host_ed25519_key.pub``,
        or :data:`ANY_HOST_KEY`.
    :param key_file: the user's private key, without a passphrase; None: the keys of the running SSH agent,
        and those in the user's ``.ssh`` folder.
    :param shell: what the server runs commands with: ``cmd`` on Windows (its default there), else ``sh``.
    :param timeout: seconds that a guest may stay silent while a file is under way.
    :raises UsageError: one of the keys cannot be read.
    """

    def __init__(
        self,
        host: str,
        *,
        user: str,
        host_key: str,
        key_file: Path | None = None,
        port: int = 22,
        shell: Literal["sh", "cmd"] = "sh",
        timeout: float = 60.0,
    ) -> None:
        self._where = f"{host}:{port}"
        self._shell = shell
        self._timeout = timeout
        self._pinned = None if host_key == ANY_HOST_KEY else public_key(host_key)
        self._options: dict[str, Any] = {
            "host": host,
            "port": port,
            "username": user,
            "client_keys": () if key_file is None else [private_key(key_file)],
            "agent_path": () if key_file is None else None,
            "known_hosts": None if self._pinned is None else ([self._pinned], [], []),
            "server_host_key_algs": () if self._pinned is None else host_key_algorithms(self._pinned),
            # Nothing of the user's own configuration decides what a machine file says.
            "config": [],
            "preferred_auth": "publickey",
            "keepalive_interval": timeout / _KEEPALIVES,
            "keepalive_count_max": _KEEPALIVES,
        }
        self._thread: EventLoopThread | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._closed = False

    def await_up(self, timeout: float) -> None:
        """See :meth:`harness.guests.channels.base.GuestChannel.await_up`.

        :raises GuestError: it is up, and its host key or ours is not accepted.
        """
        self._call(self._await_up(timeout))

    def put(self, path: str, data: bytes) -> None:
        """See :meth:`harness.guests.channels.base.GuestChannel.put`."""
        self._call(self._put(path, data))

    def get(self, path: str, *, limit: int) -> bytes:
        """See :meth:`harness.guests.channels.base.GuestChannel.get`."""
        return self._call(self._get(path, limit))

    def run(self, argv: Sequence[str], *, timeout: float) -> ProgramResult:
        """See :meth:`harness.guests.channels.base.GuestChannel.run`."""
        return self._call(self._run(argv, timeout))

    def close(self) -> None:
        """See :meth:`harness.guests.channels.base.GuestChannel.close`. A call that waits gets TargetLost."""
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.call(self._disconnect())
            thread.end()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self._thread is None and not self._closed:
            self._thread = EventLoopThread(f"ssh {self._where}")
        thread = self._thread
        try:
            if thread is None:
                work.close()
                raise LoopEndedError
            return thread.call(self._guarded(work))
        except LoopEndedError:
            raise TargetLost(f"the SSH channel to {self._where} was closed") from None

    async def _guarded(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        except asyncssh.SFTPError as error:
            raise GuestError(f"the guest at {self._where} refused: {error.reason}") from error
        except asyncssh.ChannelOpenError as error:
            if self._connection is None or self._connection.is_closed():
                raise TargetLost(f"the SSH connection to {self._where} was lost: {error.reason}") from error
            raise GuestError(
                f"the SSH server at {self._where} refused a session: {error.reason}",
                hint="it must have an SFTP subsystem, and let the user run commands",
            ) from error
        except TimeoutError:
            await self._disconnect()
            raise TargetLost(
                f"the guest at {self._where} did not answer within {self._timeout:g} s"
            ) from None
        except (asyncssh.Error, OSError) as error:
            await self._disconnect()
            raise TargetLost(f"the SSH connection to {self._where} was lost: {_words(error)}") from error

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            await connection.wait_closed()

    async def _connected(self, within: float = CONNECT_SECONDS) -> asyncssh.SSHClientConnection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        seen = _PresentedKey()
        try:
            async with asyncio.timeout(within):
                self._connection, _ = await asyncssh.create_connection(lambda: seen, **self._options)
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            raise self._wrong_host_key(seen.key, error) from error
        except asyncssh.PermissionDenied as error:
            raise GuestError(
                f"{self._options['username']} may not log in at {self._where}: {error.reason}",
                hint="is the key one of the user's authorized_keys (of an administrator on Windows:"
                " administrators_authorized_keys)?",
            ) from error
        except TimeoutError:
            raise TargetLost(f"no SSH server answered at {self._where} within {within:.3g} s") from None
        except (asyncssh.Error, OSError) as error:
            raise TargetLost(f"the SSH server at {self._where} cannot be reached: {_words(error)}") from error
        return self._connection

    def _wrong_host_key(self, key: asyncssh.SSHKey | None, error: asyncssh.DisconnectError) -> GuestError:
        if key is None or self._pinned is None:
            return GuestError(f"{self._where} speaks no SSH that is spoken here: {error.reason}")
        return GuestError(
            f"the host key of {self._where} is {key_words(key)}, not the pinned {key_words(self._pinned)}",
            hint="where the guest was installed anew, pin its new key",
        )

    async def _await_up(self, timeout: float) -> None:
        deadline = monotonic() + timeout
        while True:
            try:
                await self._connected(min(max(deadline - monotonic(), 0.1), UP_SECONDS))
                return
            except TargetLost as error:
                if deadline - monotonic() <= PAUSE:
                    raise TargetLost(
                        f"no guest answered at {self._where} within {timeout:g} s: {error}",
                        hint="does OpenSSH's server run in the guest, and does its firewall let us in?",
                    ) from error
            await asyncio.sleep(PAUSE)

    async def _put(self, path: str, data: bytes) -> None:
        place, partial = _sftp_path(path), _sftp_path(f"{path}.part")
        connection = await self._connected()
        async with connection.start_sftp_client() as sftp:
            try:
                async with sftp.open(partial, "wb", encoding=None) as file:
                    for start in range(0, len(data), PIECE):
                        async with asyncio.timeout(self._timeout):
                            await file.write(data[start : start + PIECE])
                await sftp.posix_rename(partial, place)
            except asyncssh.SFTPError as error:
                with contextlib.suppress(asyncssh.SFTPError):
                    await sftp.remove(partial)
                raise GuestError(f"cannot store {path} in the guest: {error.reason}") from error

    async def _get(self, path: str, limit: int) -> bytes:
        connection = await self._connected()
        data = bytearray()
        try:
            async with (
                connection.start_sftp_client() as sftp,
                sftp.open(_sftp_path(path), "rb", encoding=None) as file,
            ):
                while True:
                    async with asyncio.timeout(self._timeout):
                        # Typed as text, which it is only with an encoding.
                        piece = cast(bytes, await file.read(min(PIECE, limit + 1 - len(data))))
                    data += piece
                    if len(data) > limit:
                        raise GuestError(f"{path} in the guest has more than {limit} bytes")
                    if not piece:
                        return bytes(data)
        except asyncssh.SFTPError as error:
            raise GuestError(f"cannot read {path} in the guest: {error.reason}") from error

    async def _run(self, argv: Sequence[str], timeout: float) -> ProgramResult:
        program = RemoteProgram()
        line = windows_command_line(argv) if self._shell == "cmd" else announced(argv)
        ended = await self._ran(program, line, timeout)
        if self._shell == "sh":
            if not ended:
                await set_within(KILL_SECONDS, program.spoke)
            program.take_announcement(argv[0])
        if program.overflowed or not ended:
            killed = "it was ended" if await self._kill(program) else "it may still run"
            what = (
                f"printed more than {MAX_OUTPUT} bytes"
                if program.overflowed
                else f"did not end in the guest within {timeout:g} s"
            )
            raise GuestError(f"{argv[0]} {what}; {killed}")
        return program.result(argv[0])

    async def _ran(self, program: RemoteProgram, line: str, within: float) -> bool:
        """Start a program; whether it has ended in so many seconds from then on."""
        connection = await self._connected()
        program.channel, _ = await connection.create_session(lambda: program, line, encoding=None)
        program.channel.write_eof()
        return await set_within(within, program.ended)

    async def _kill(self, program: RemoteProgram) -> bool:
        """Whether a program that was started has ended now, with what it has started.

        By its PID, for a server takes signals only from some users (of root it does not); cmd.exe tells none.
        """
        if program.pid is not None:
            # A guest that stands still lets no session begin.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KILL_SECONDS):
                    await self._ran(RemoteProgram(), f"kill -s KILL -- -{program.pid}", KILL_SECONDS)
        elif program.channel is not None:
            with contextlib.suppress(OSError):  # it has just ended by itself
                program.channel.send_signal("KILL")
        if await set_within(KILL_SECONDS, program.gone):
            return True
        if program.channel is not None:
            program.channel.abort()
        return False


class _PresentedKey(asyncssh.SSHClient):
    """Remembers the host key that was not the pinned one."""

    key: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.key = key
        return False


def _sftp_path(path: str) -> str:
    """A path as an SFTP server has it: ``/C:/folder/file`` on Windows."""
    if not is_windows_path(path):
        return path
    turned = path.replace("\\", "/")
    return turned if turned.startswith("/") else f"/{turned}"


def _words(error: asyncssh.Error | OSError) -> str:
    if isinstance(error, asyncssh.Error):
        return error.reason
    return os.strerror(error.errno) if error.errno else str(error)
