"""One of libvirt's domains: switched on and off, suspended, and taken back to its snapshots.

Source: libvirt's API reference (``libvirt-domain``, ``libvirt-domain-snapshot``), "Domain XML format".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree

from harness.errors import MachineError, UsageError
from harness.machines.base import MachineStatus
from harness.machines.libvirt.hypervisor import ANSWER_SECONDS, Hypervisor, LibvirtRefusal

__all__ = ["OFF", "PAUSED", "RUNNING", "Domain"]

RUNNING: Final = "running"
PAUSED: Final = "paused"
OFF: Final = "off"
_STATES: Final = (
    *("unknown", RUNNING, RUNNING, PAUSED, "shutting down", OFF, "bugchecked", "suspended to memory"),
)
"""``virDomainState`` → a machine's word."""
_WHY_OFF: Final = (
    *("is off", "was shut down", "was destroyed", "crashed", "was migrated", "was saved"),
    *("could not be started", "is off, as in its snapshot", "was ended by libvirt's daemon"),
)
"""``virDomainShutoffReason``, in words."""
SNAPSHOT_SECONDS: Final = 300.0
"""What taking or loading a snapshot, or starting, may take: all the guest's memory goes through the disk."""
LOOK_PAUSE: Final = 0.2
"""Seconds between two looks at whether a domain has shut down."""
T = TypeVar("T")


class Domain:
    """Every call may raise :class:`harness.errors.MachineError`.

    :param name: as libvirt knows it.
    """

    def __init__(self, hypervisor: Hypervisor, name: str) -> None:
        self.name = name
        self._hypervisor = hypervisor
        self._library: Any = hypervisor.library

    def identify(self) -> str:
        """Its UUID.

        :raises UsageError: there is no such domain.
        :raises MachineError: it is transient.
        """
        try:
            uuid, persistent = self._do(
                "finding", lambda domain: (domain.UUIDString(), domain.isPersistent())
            )
        except LibvirtRefusal as refusal:
            if refusal.code != self._library.VIR_ERR_NO_DOMAIN:
                raise
            names = self._hypervisor.call(
                "listing the domains",
                lambda connection: [each.name() for each in connection.listAllDomains()],
            )
            raise UsageError(
                f"{self._hypervisor.uri} has no domain {self.name!r}",
                hint=_known(names, "virsh define makes one"),
            ) from None
        if not persistent:
            raise MachineError(
                f"the domain {self.name} is gone once it is switched off", hint="define it: virsh define"
            )
        return str(uuid)

    def version(self) -> str:
        """Of the hypervisor: ``7.2.22``."""
        number = int(
            self._hypervisor.call("asking for the version", lambda connection: connection.getVersion())
        )
        return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"

    def status(self) -> MachineStatus:
        """What it does, and why it does not where it is off."""
        state, reason = self._do("asking for the state of", lambda domain: domain.state())
        word = _STATES[state] if state < len(_STATES) else "unknown"
        if word != OFF:
            return MachineStatus(word)
        why = _WHY_OFF[reason] if reason < len(_WHY_OFF) else _WHY_OFF[0]
        return MachineStatus(OFF, detail=f"the domain {self.name} {why}")

    def bring_to(self, state: str) -> None:
        """Switch it on, off, or suspend it.

        :param state: :data:`RUNNING`, :data:`PAUSED` or :data:`OFF`; what is on is switched off at once.
        """
        now = self.status().state
        if state == OFF:
            if now != OFF:
                self._do("destroying", lambda domain: domain.destroy())
            return
        if now == OFF:
            flags = self._library.VIR_DOMAIN_START_PAUSED if state == PAUSED else 0
            self._do("starting", lambda domain: domain.createWithFlags(flags), SNAPSHOT_SECONDS)
        elif state == RUNNING and now != RUNNING:
            self._do("resuming", lambda domain: domain.resume())
        elif state == PAUSED and now != PAUSED:
            self._do("suspending", lambda domain: domain.suspend())

    def shut_down(self, seconds: float) -> None:
        """Have its guest shut down; one that has not within ``seconds`` is switched off."""
        if self.status().state == OFF:
            return
        self.bring_to(RUNNING)
        deadline = monotonic() + seconds
        with contextlib.suppress(LibvirtRefusal):  # it has no ACPI, or is off meanwhile
            self._do("shutting down", lambda domain: domain.shutdown())
            while monotonic() < deadline and self.status().state != OFF:
                sleep(LOOK_PAUSE)
        self.bring_to(OFF)

    def snapshots(self) -> dict[str, str]:
        """Name of every snapshot → its description."""

        def read(domain: Any) -> dict[str, str]:
            found = {}
            for snapshot in domain.listAllSnapshots():
                described = ElementTree.fromstring(snapshot.getXMLDesc()).findtext("description")
                found[snapshot.getName()] = described or ""
            return found

        return self._do("listing the snapshots of", read)

    def take_snapshot(self, name: str, description: str) -> None:
        """Save its disks, and its memory where it is on; it goes on as it was."""
        root = ElementTree.Element("domainsnapshot")
        ElementTree.SubElement(root, "name").text = name
        ElementTree.SubElement(root, "description").text = description
        text = ElementTree.tostring(root, encoding="unicode")
        self._do("taking a snapshot of", lambda domain: domain.snapshotCreateXML(text), SNAPSHOT_SECONDS)

    def revert(self, name: str) -> None:
        """Go back to a snapshot: off where it was taken of a domain that was, else suspended.

        :raises UsageError: there is no such snapshot.
        """
        library = self._library

        def go_back(domain: Any) -> None:
            snapshot = domain.snapshotLookupByName(name)
            state = ElementTree.fromstring(snapshot.getXMLDesc()).findtext("state")
            active = state in ("running", "paused")
            domain.revertToSnapshot(snapshot, library.VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED if active else 0)

        try:
            self._do("reverting", go_back, SNAPSHOT_SECONDS)
        except LibvirtRefusal as refusal:
            if refusal.code != library.VIR_ERR_NO_DOMAIN_SNAPSHOT:
                raise
            hint = _known(self.snapshots(), "take_snapshot: true has one taken")
            raise UsageError(f"the domain {self.name} has no snapshot {name!r}", hint=hint) from None

    def delete_snapshot(self, name: str) -> None:
        """Forget a snapshot; the domain stays as it is."""
        self._do(
            "deleting a snapshot of",
            lambda domain: domain.snapshotLookupByName(name).delete(),
            SNAPSHOT_SECONDS,
        )

    def console(self) -> Path | None:
        """The file of this host that its first serial port with one is written to."""
        if urlsplit(self._hypervisor.uri).hostname is not None:
            return None
        devices = ElementTree.fromstring(self._do("describing", lambda domain: domain.XMLDesc()))
        for port in (*devices.iterfind("./devices/serial"), *devices.iterfind("./devices/console")):
            for place in (port.find("./log[@file]"), port.find("./source[@path]")):
                if place is not None and (place.tag == "log" or port.get("type") == "file"):
                    return Path(place.get("file") or place.get("path") or "")
        return None

    def _do(self, what: str, work: Callable[[Any], T], timeout: float = ANSWER_SECONDS) -> T:
        return self._hypervisor.call(
            f"{what} the domain {self.name}",
            lambda connection: work(connection.lookupByName(self.name)),
            timeout=timeout,
        )


def _known(names: Collection[str], otherwise: str) -> str:
    return f"known are {', '.join(sorted(names))}" if names else otherwise
