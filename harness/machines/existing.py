"""A machine that somebody else started: a connection and a guest channel are all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping

from harness.connection import Connection
from harness.guests.base import Guest
from harness.machines.access import GuestAccess, MachineGuest, read_guest
from harness.machines.base import BootOptions, MachineStatus
from harness.machines.reading import COMMON_KEYS, check_boot, read_connection, read_seconds
from harness.scenario.model import Pattern
from harness.yamlfile.nodes import Node, Source

__all__ = ["UP_SECONDS", "ExistingMachine", "read_existing"]

UP_SECONDS = 30.0
"""How long a guest that runs already may take to answer, where its file says nothing."""


class ExistingMachine:
    """Is never started, stopped or reverted: what a run leaves in it the next one finds.

    :param name: as its file calls it.
    :param connection: where the debugger meets it.
    :param access: how commands reach it.
    :param up_seconds: how long its guest may take to answer.
    """

    deterministic = False
    unreported: tuple[Pattern, ...] = ()
    """See :class:`harness.machines.base.LimitedMachine`; its file's key ``reports``."""

    def __init__(
        self, name: str, connection: Connection, access: GuestAccess, *, up_seconds: float = UP_SECONDS
    ) -> None:
        self.name = name
        self._connection = connection
        self.access = access
        self._up_seconds = up_seconds
        self._guest = MachineGuest(name, access)

    def connection(self) -> Connection:
        """See :meth:`harness.machines.base.Machine.connection`."""
        return self._connection

    def prepare(self) -> None:
        """See :meth:`harness.machines.base.PreparedMachine.prepare`: its guest answers."""
        self.stop()
        self._guest.reach()
        self._guest.await_up(self._up_seconds)

    def start(self, boot: BootOptions) -> None:
        """See :meth:`harness.machines.base.Machine.start`."""
        check_boot(self.name, self._connection, boot)

    def guest(self) -> Guest:
        """See :meth:`harness.machines.base.Machine.guest`."""
        return self._guest.guest

    def status(self) -> MachineStatus:
        """See :meth:`harness.machines.base.Machine.status`."""
        return MachineStatus("unknown", detail="somebody else runs it")

    def describe(self) -> dict[str, str]:
        """See :meth:`harness.machines.base.Machine.describe`."""
        return {"type": "existing", "name": self.name}

    def stop(self) -> None:
        """See :meth:`harness.machines.base.Machine.stop`: it runs on; the guest channel is freed."""
        self._guest.close()

    def close(self) -> None:
        """See :meth:`harness.machines.base.Machine.close`."""
        self.stop()


def read_existing(source: Source, name: str, entries: Mapping[str, Node]) -> ExistingMachine | None:
    """The machine of a file of type ``existing``; None where a mistake in it was noted."""
    connection = source.entry(entries, "connection", lambda node: read_connection(source, node), None)
    access = source.entry(entries, "guest", lambda node: read_guest(source, node), None)
    up_seconds = read_seconds(source, entries, "boot_timeout", UP_SECONDS)
    if connection is None or access is None:
        return None
    return ExistingMachine(name, connection, access, up_seconds=up_seconds)


EXISTING_KEYS = ((*COMMON_KEYS,), ("boot_timeout",))
"""Required and optional."""
