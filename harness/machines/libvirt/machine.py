"""A domain of libvirt's: every run begins from one snapshot of it, and in the end it is as it was found."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from harness.connection import Connection
from harness.errors import MachineError, ProcnotifyError, TargetLost
from harness.guests.base import Guest
from harness.guests.channels.base import GuestChannel
from harness.guests.channels.qga import QgaChannel
from harness.locks import HeldElsewhere, held_alone
from harness.machines.access import GuestAccess, MachineGuest
from harness.machines.base import BootOptions, MachineStatus
from harness.machines.libvirt.agent import DomainAgent
from harness.machines.libvirt.domain import OFF, PAUSED, RUNNING, Domain
from harness.machines.libvirt.hypervisor import Hypervisor
from harness.machines.libvirt.settings import BEFORE, CLEAN, LibvirtSettings, read_settings
from harness.machines.reading import check_boot
from harness.processes.kept import read_end
from harness.resources import cache_dir
from harness.scenario.model import Pattern
from harness.yamlfile.nodes import Node, Source

__all__ = ["LibvirtMachine", "read_libvirt"]

RESUMED_SECONDS: Final = 60.0
"""How long a guest may take to answer that goes on from a snapshot."""
_FOUND: Final = "found "
"""A snapshot that we take says behind this word in its description what the domain was before."""


class LibvirtMachine:
    """See :class:`harness.machines.base.Machine`.

    The domain is suspended whenever no debugger listens, and goes back to its snapshot only then. What it was
    when it was met first (running, suspended, off) it is again at the end.
    """

    deterministic = False
    unreported: tuple[Pattern, ...] = ()
    """See :class:`harness.machines.base.LimitedMachine`; its file's key ``reports``."""

    def __init__(self, settings: LibvirtSettings) -> None:
        self.name = settings.name
        self.settings = settings
        self._held = ExitStack()
        self._hypervisor: Hypervisor | None = None
        self._domain: Domain | None = None
        """None before it is prepared."""
        self._version = ""
        self._found = OFF
        """What the domain was."""
        self._clean = False
        """The domain is where a run begins, suspended."""
        self._guest = MachineGuest(settings.name, settings.access)
        """Open while a run is under way."""
        self._console: Path | None = None
        self._console_begin = 0
        self._artifacts: dict[str, bytes] = {}

    @property
    def access(self) -> GuestAccess:
        """See :class:`harness.machines.base.ReachedMachine`."""
        return self.settings.access

    def connection(self) -> Connection:
        """See :meth:`harness.machines.base.Machine.connection`."""
        return self.settings.connection

    def prepare(self) -> None:
        """See :meth:`harness.machines.base.PreparedMachine.prepare`.

        :raises UsageError: the machine file names a domain or a snapshot that is not there.
        """
        self._artifacts = {}
        domain = self._domain or self._meet()
        if not self._clean:
            self._begin_from(domain)
            self._clean = True

    def start(self, boot: BootOptions) -> None:
        """See :meth:`harness.machines.base.Machine.start`: the guest goes on."""
        check_boot(self.name, self.settings.connection, boot)
        domain = self._met()
        self._clean = False
        self._go_on(domain)
        self._await_guest(domain, RESUMED_SECONDS)

    def guest(self) -> Guest:
        """See :meth:`harness.machines.base.Machine.guest`."""
        return self._guest.guest

    def status(self) -> MachineStatus:
        """See :meth:`harness.machines.base.Machine.status`.

        :raises MachineError: libvirt does not answer.
        """
        return MachineStatus(OFF) if self._domain is None else self._domain.status()

    def describe(self) -> dict[str, str]:
        """See :meth:`harness.machines.base.Machine.describe`."""
        facts = {"type": "libvirt", "name": self.name, "domain": self.settings.domain}
        return facts | ({"version": self._version} if self._version else {})

    def artifacts(self) -> Mapping[str, bytes]:
        """See :class:`harness.machines.base.RecordingMachine`: what the guest wrote to its console."""
        return self._artifacts

    def stop(self) -> None:
        """See :meth:`harness.machines.base.Machine.stop`: it is suspended; the next run's preparation reverts
        it."""
        self._guest.close()
        if self._domain is None or self._clean:
            return
        self._keep_console()
        # One that is off stays that: the next preparation begins anew.
        with contextlib.suppress(MachineError):
            if self._domain.status().state != OFF:
                self._domain.bring_to(PAUSED)

    def close(self) -> None:
        """See :meth:`harness.machines.base.Machine.close`: the domain is as it was found.

        :raises MachineError: it cannot be brought there.
        """
        self._guest.close()
        domain, self._domain = self._domain, None
        hypervisor, self._hypervisor = self._hypervisor, None
        try:
            if domain is not None:
                self._put_back(domain, self._found)
        finally:
            self._clean = False
            if hypervisor is not None:
                hypervisor.close()
            self._held.close()

    def _meet(self) -> Domain:
        settings = self.settings
        hypervisor = self._hypervisor = self._hypervisor or Hypervisor(settings.uri)
        domain = Domain(hypervisor, settings.domain)
        lock = cache_dir("machines") / f"{domain.identify()}.lock"
        with ExitStack() as held:
            try:
                held.enter_context(held_alone(lock))
            except HeldElsewhere:
                raise MachineError(
                    f"another call is at work on the domain {domain.name} of {settings.uri}",
                    hint="wait for its end",
                ) from None
            self._version = domain.version()
            self._recover(domain)
            self._found = domain.status().state
            if self._found not in (RUNNING, PAUSED, OFF):
                raise MachineError(
                    f"the domain {domain.name} is {self._found}", hint="start it, or switch it off"
                )
            self._held = held.pop_all()
        self._domain = domain
        return domain

    def _recover(self, domain: Domain) -> None:
        """Undo what a call has left that was killed."""
        ours = {name: text for name, text in domain.snapshots().items() if name in (BEFORE, CLEAN)}
        if ours:
            found = ours.get(BEFORE, ours.get(CLEAN, "")).removeprefix(_FOUND)
            self._put_back(domain, found if found in (RUNNING, PAUSED) else OFF)

    def _begin_from(self, domain: Domain) -> None:
        """Bring the domain to where a run begins."""
        settings = self.settings
        there = domain.snapshots() if settings.take_snapshot else {}
        name = settings.snapshot or (CLEAN if CLEAN in there else None)
        if name is not None:
            domain.revert(name)
            if domain.status().state == OFF:
                self._boot(domain)
            return
        if settings.take_snapshot and self._found == OFF:
            if BEFORE in there:
                domain.revert(BEFORE)
            else:
                domain.take_snapshot(BEFORE, _FOUND + OFF)
        elif self._found == OFF:
            domain.shut_down(settings.shutdown_seconds)
        self._boot(domain)
        if settings.take_snapshot:
            domain.take_snapshot(CLEAN, _FOUND + self._found)

    def _boot(self, domain: Domain) -> None:
        """Switch it on where it is off; suspend it once its guest answers."""
        self._go_on(domain)
        try:
            self._await_guest(domain, self.settings.boot_seconds)
        finally:
            self._guest.close()
        domain.bring_to(PAUSED)

    def _go_on(self, domain: Domain) -> None:
        """Have it run; what its console says from now on is kept."""
        self._console = domain.console()
        # A start from cold begins the file anew.
        self._console_begin = 0 if domain.status().state == OFF else _size(self._console)
        domain.bring_to(RUNNING)

    def _put_back(self, domain: Domain, found: str) -> None:
        """Have the domain be ``found`` again, without anything of ours."""
        there = domain.snapshots()
        ours = [name for name in (BEFORE, CLEAN) if name in there]
        origin = ours[0] if ours else self.settings.snapshot
        if origin == BEFORE or (origin is not None and not self._clean):
            domain.revert(origin)
        elif found == OFF:
            domain.shut_down(self.settings.shutdown_seconds)
        domain.bring_to(found)
        for name in reversed(ours):
            domain.delete_snapshot(name)

    def _await_guest(self, domain: Domain, timeout: float) -> None:
        self._guest.reach(self._own_channel())
        try:
            self._guest.await_up(timeout)
        except ProcnotifyError as error:
            self._keep_console()
            status = domain.status()
            why = status.detail or error.message
            raise MachineError(f"the guest of {self.name} is not up: {why}", hint=error.hint) from None

    def _own_channel(self) -> GuestChannel | None:
        """The agent's, which libvirt has; None where the file names a channel's place."""
        if self.settings.access.address is not None:
            return None
        assert self._hypervisor is not None
        return QgaChannel(DomainAgent(self._hypervisor, self.settings.domain))

    def _keep_console(self) -> None:
        said = b"" if self._console is None else read_end(self._console, self._console_begin)
        self._artifacts = {"console.log": said} if said else {}

    def _met(self) -> Domain:
        if self._domain is None:
            raise TargetLost(f"the machine {self.name} is not started")
        return self._domain


def _size(path: Path | None) -> int:
    """Of a file that may not be there, or not be ours to look at."""
    with contextlib.suppress(OSError):
        return 0 if path is None else path.stat().st_size
    return 0


def read_libvirt(source: Source, name: str, entries: Mapping[str, Node]) -> LibvirtMachine | None:
    """The machine of a file of type ``libvirt``; None where a mistake in it was noted."""
    settings = read_settings(source, name, entries)
    return None if settings is None else LibvirtMachine(settings)
