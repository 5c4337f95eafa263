"""A machine that the user's own commands start, stop and revert, whatever hypervisor they talk to."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.connection import Connection
from harness.errors import MachineError, ProcnotifyError
from harness.guests.base import Guest
from harness.machines.access import GuestAccess, MachineGuest, read_guest
from harness.machines.base import BootOptions, MachineStatus
from harness.machines.reading import COMMON_KEYS, check_boot, read_connection, read_seconds, read_words
from harness.processes import run_child
from harness.processes.kept import read_end
from harness.scenario.model import Pattern
from harness.yamlfile.nodes import Node, Source

__all__ = ["COMMANDS", "COMMAND_KEYS", "CommandMachine", "read_command"]

COMMANDS: Final = ("start", "stop", "snapshot", "revert")
"""What a machine's commands are for."""
BOOT_SECONDS: Final = 600.0
"""How long a guest may take until it answers, where the file says nothing."""
COMMAND_SECONDS: Final = 300.0
"""How long a command may take, where the file says nothing."""
COMMAND_KEYS: Final = (COMMON_KEYS, (*COMMANDS, "boot_timeout", "command_timeout"))
"""Required and optional."""


class CommandMachine:
    """See :class:`harness.machines.base.Machine`.

    A run begins with ``revert``, once there is a snapshot, then ``start``, then the guest answers; it ends
    with ``stop``. ``snapshot`` follows the first start. A command that the file does not have is left out.

    :param name: as its file calls it.
    :param folder: where the commands are run.
    :param commands: name of :data:`COMMANDS` → command line.
    :param boot_seconds: how long the guest may take until it answers.
    :param command_seconds: how long one command may take.
    """

    deterministic = False
    unreported: tuple[Pattern, ...] = ()
    """See :class:`harness.machines.base.LimitedMachine`; its file's key ``reports``."""

    def __init__(
        self,
        name: str,
        folder: Path,
        connection: Connection,
        access: GuestAccess,
        commands: Mapping[str, tuple[str, ...]],
        *,
        boot_seconds: float = BOOT_SECONDS,
        command_seconds: float = COMMAND_SECONDS,
    ) -> None:
        self.name = name
        self._folder = folder
        self._connection = connection
        self.access = access
        self._commands = commands
        self._boot_seconds = boot_seconds
        self._command_seconds = command_seconds
        self._guest = MachineGuest(name, access)
        self._has_snapshot = "revert" in commands and "snapshot" not in commands
        """One without a command to take it was taken by the user."""
        self._started = False

    def connection(self) -> Connection:
        """See :meth:`harness.machines.base.Machine.connection`."""
        return self._connection

    def prepare(self) -> None:
        """See :meth:`harness.machines.base.PreparedMachine.prepare`."""
        self.stop()
        if self._has_snapshot:
            self._do("revert")
        self._started = True
        self._do("start")
        self._guest.reach()
        try:
            self._guest.await_up(self._boot_seconds)
        except ProcnotifyError as error:
            raise MachineError(
                f"the guest of {self.name} is not up: {error.message}", hint=error.hint
            ) from None
        if not self._has_snapshot and "snapshot" in self._commands:
            self._do("snapshot")
            self._has_snapshot = "revert" in self._commands

    def start(self, boot: BootOptions) -> None:
        """See :meth:`harness.machines.base.Machine.start`."""
        check_boot(self.name, self._connection, boot)

    def guest(self) -> Guest:
        """See :meth:`harness.machines.base.Machine.guest`."""
        return self._guest.guest

    def status(self) -> MachineStatus:
        """See :meth:`harness.machines.base.Machine.status`."""
        return MachineStatus("unknown" if self._started else "off", detail="its commands do not tell")

    def describe(self) -> dict[str, str]:
        """See :meth:`harness.machines.base.Machine.describe`."""
        return {"type": "command", "name": self.name}

    def stop(self) -> None:
        """See :meth:`harness.machines.base.Machine.stop`.

        :raises MachineError: the command failed.
        """
        self._guest.close()
        started, self._started = self._started, False
        if started:
            self._do("stop")

    def close(self) -> None:
        """See :meth:`harness.machines.base.Machine.close`."""
        self.stop()

    def _do(self, what: str) -> None:
        argv = self._commands.get(what)
        if argv is None:
            return
        with tempfile.TemporaryDirectory(prefix="procnotify-") as folder:
            log = Path(folder) / "output.log"
            try:
                with log.open("wb") as output:
                    code, _ = run_child(
                        argv,
                        timeout=self._command_seconds,
                        cwd=self._folder,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                    )
            except OSError as error:
                raise MachineError(
                    f"{self.name}: {what}: {argv[0]} cannot be run: {error.strerror}"
                ) from None
            except subprocess.TimeoutExpired:
                raise MachineError(
                    f"{self.name}: {what}: {argv[0]} did not end within {self._command_seconds:g} s",
                    hint="command_timeout in the machine file allows more",
                ) from None
            said = " ".join(read_end(log).decode("utf-8", "replace").split())
        if code != 0:
            words = said[-300:] or "it said nothing"
            raise MachineError(f"{self.name}: {what}: {argv[0]} ended with exit code {code}: {words}")


def read_command(source: Source, name: str, entries: Mapping[str, Node]) -> CommandMachine | None:
    """The machine of a file of type ``command``; None where a mistake in it was noted."""
    connection = source.entry(entries, "connection", lambda node: read_connection(source, node), None)
    access = source.entry(entries, "guest", lambda node: read_guest(source, node), None)
    commands = {key: read_words(source, entries, key) for key in COMMANDS if key in entries}
    if "snapshot" in commands and "revert" not in commands:
        source.note(entries["snapshot"], "a snapshot without 'revert' is of no use")
    boot_seconds = read_seconds(source, entries, "boot_timeout", BOOT_SECONDS)
    command_seconds = read_seconds(source, entries, "command_timeout", COMMAND_SECONDS)
    if connection is None or access is None:
        return None
    return CommandMachine(
        name,
        source.path.parent.resolve(),
        connection,
        access,
        commands,
        boot_seconds=boot_seconds,
        command_seconds=command_seconds,
    )
