"""What the file of a machine of type ``libvirt`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from harness.connection import Connection
from harness.machines.access import GuestAccess, read_guest
from harness.machines.reading import COMMON_KEYS, read_connection, read_seconds
from harness.yamlfile.nodes import Node, Source

__all__ = ["BEFORE", "CLEAN", "LIBVIRT_KEYS", "LibvirtSettings", "read_settings"]

DEFAULT_URI: Final = "qemu:///system"
BEFORE: Final = "procnotify-before"
"""Name of the snapshot of a domain that was off, taken before it is started."""
CLEAN: Final = "procnotify-clean"
"""Name of the snapshot that every run begins from, where we take it."""
BOOT_SECONDS: Final = 600.0
"""How long a guest may take until it answers, where the file says nothing."""
SHUTDOWN_SECONDS: Final = 60.0
"""How long a guest may take to shut down, where the file says nothing."""
LIBVIRT_KEYS: Final = (
    (*COMMON_KEYS, "domain"),
    ("boot_timeout", "shutdown_timeout", "snapshot", "take_snapshot", "uri"),
)
"""Required and optional."""


@dataclass(frozen=True)
class LibvirtSettings:
    """A machine of type ``libvirt``."""

    name: str
    domain: str
    connection: Connection
    access: GuestAccess
    uri: str = DEFAULT_URI
    snapshot: str | None = None
    """The user's, which every run begins from."""
    take_snapshot: bool = False
    """Every run begins from one that is taken of the booted guest, and deleted at the end."""
    boot_seconds: float = BOOT_SECONDS
    shutdown_seconds: float = SHUTDOWN_SECONDS
    """How long a guest may take to shut down whose disk is not put back; then it is switched off."""


def read_settings(source: Source, name: str, entries: Mapping[str, Node]) -> LibvirtSettings | None:
    """The settings in the entries of a machine file; None where a mistake in them was noted."""
    connection = source.entry(entries, "connection", lambda node: read_connection(source, node), None)
    # libvirt itself connects to the agent's socket.
    access = source.entry(entries, "guest", lambda node: read_guest(source, node, own_places=("qga",)), None)
    domain = source.entry(entries, "domain", lambda node: source.text(node, "domain"), "")
    snapshot = source.entry(entries, "snapshot", lambda node: _snapshot(source, node), None)
    take = source.entry(entries, "take_snapshot", lambda node: source.boolean(node, "take_snapshot"), False)
    if take and "snapshot" in entries:
        source.note(entries["take_snapshot"], "one of snapshot and take_snapshot says where a run begins")
    if connection is None or access is None:
        return None
    return LibvirtSettings(
        name=name,
        domain=domain,
        connection=connection,
        access=access,
        uri=source.entry(entries, "uri", lambda node: source.text(node, "uri"), DEFAULT_URI),
        snapshot=snapshot,
        take_snapshot=take,
        boot_seconds=read_seconds(source, entries, "boot_timeout", BOOT_SECONDS),
        shutdown_seconds=read_seconds(source, entries, "shutdown_timeout", SHUTDOWN_SECONDS),
    )


def _snapshot(source: Source, node: Node) -> str:
    name = source.text(node, "snapshot")
    if name in (BEFORE, CLEAN):
        source.fail(node, f"{name} is deleted where it is found", hint="write take_snapshot: true")
    return name
