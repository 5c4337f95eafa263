"""What the file of a machine of type ``qemu`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.connection import Connection, NetConnection, PipeConnection, SerialConnection, TcpConnection
from harness.machines.access import CHANNELS, GuestAccess, read_guest
from harness.machines.reading import read_connection, read_seconds, read_words
from harness.yamlfile.nodes import Node, ScalarNode, Source

__all__ = [
    "ACCELERATORS",
    "DEBUG_DEVICES",
    "DISKS",
    "HV_SYNDBG",
    "MAX_MEMORY",
    "MAX_PROCESSORS",
    "MIN_MEMORY",
    "NETWORK_CARDS",
    "QEMU_KEYS",
    "QemuSettings",
    "read_settings",
]

NETWORK_CARDS: Final = ("e1000e", "e1000", "virtio-net-pci", "rtl8139", "pcnet", "none")
"""Of QEMU's. KDNET knows the first two (Microsoft, Supported Ethernet NICs for network kernel debugging)."""
HV_SYNDBG: Final = "hv-syndbg"
"""Hyper-V's synthetic debug device: KDNET without a network card (QEMU, Hyper-V Enlightenments)."""
DEBUG_DEVICES: Final = (*NETWORK_CARDS[:-1], HV_SYNDBG, NETWORK_CARDS[-1])
"""What KDNET may own."""
DISKS: Final = ("sata", "virtio", "nvme", "ide")
"""How the disk is attached; Windows knows all but virtio by itself."""
SERIAL_PORT: Final = "serial"
"""The connection of a machine whose first serial port is a socket that QEMU makes."""
ACCELERATORS: Final = ("auto", "kvm", "tcg")
DEFAULT_PROGRAM: Final = "qemu-system-x86_64"
DEFAULT_MEMORY: Final = 4096
DEFAULT_PROCESSORS: Final = 2
BOOT_SECONDS: Final = 600.0
"""How long a machine may take from cold until its guest answers, where its file says nothing."""
MIN_MEMORY: Final = 16
"""In MiB, as the largest."""
MAX_MEMORY: Final = 1 << 20
MAX_PROCESSORS: Final = 255

QEMU_KEYS: Final = (
    ("connection", "guest", "image"),
    (
        *(
            "accelerator",
            "arguments",
            "boot_timeout",
            "command_network",
            "disk",
            "firmware",
            "kdnet",
            "memory",
        ),
        *("processors", "program", "snapshot"),
    ),
)
"""Required and optional."""


@dataclass(frozen=True)
class QemuSettings:
    """A machine of type ``qemu``."""

    name: str
    folder: Path
    """Of the machine file: QEMU's current folder, so that relative paths begin there."""
    image: Path
    """The disk, which is never written."""
    connection: Connection | None
    """None: a socket of QEMU's at the first serial port."""
    access: GuestAccess
    kdnet: str = NETWORK_CARDS[0]
    """The debug device of a KDNET connection: one of :data:`NETWORK_CARDS`, or :data:`HV_SYNDBG`."""
    command_network: str = NETWORK_CARDS[0]
    """The card of the network that a guest channel over TCP uses; KDNET owns the other."""
    disk: str = DISKS[0]
    memory: int = DEFAULT_MEMORY
    """In MiB."""
    processors: int = DEFAULT_PROCESSORS
    program: str = DEFAULT_PROGRAM
    accelerator: str = ACCELERATORS[0]
    firmware: Path | None = None
    """Instead of SeaBIOS, as for ``-bios``."""
    snapshot: bool = True
    """Every run begins from one snapshot; else from a cold start."""
    boot_seconds: float = BOOT_SECONDS
    arguments: tuple[str, ...] = ()
    """For QEMU, behind all others."""


def read_settings(source: Source, name: str, entries: Mapping[str, Node]) -> QemuSettings | None:
    """The settings in the entries of a machine file; None where a mistake in them was noted."""

    def text(key: str, default: str) -> str:
        return source.entry(entries, key, lambda node: source.text(node, key), default)

    def choice(key: str, known: tuple[str, ...]) -> str:
        return source.entry(entries, key, lambda node: _choice(source, node, key, known), known[0])

    def number(key: str, default: int, maximum: int, minimum: int = 1) -> int:
        return source.entry(
            entries,
            key,
            lambda node: source.integer(node, key, minimum=minimum, maximum=maximum),
            default,
        )

    connection = source.entry(entries, "connection", lambda node: _connection(source, node), None)
    access = source.entry(entries, "guest", lambda node: read_guest(source, node, own_places=CHANNELS), None)
    image = source.entry(entries, "image", lambda node: _file(source, node, "image"), None)
    if "kdnet" in entries and not isinstance(connection, NetConnection):
        source.note(entries["kdnet"], "kdnet has a meaning for a connection by net: alone")
    if access is None or image is None:
        return None
    return QemuSettings(
        name=name,
        folder=source.path.parent.resolve(),
        image=image,
        connection=connection,
        access=access,
        kdnet=choice("kdnet", DEBUG_DEVICES),
        command_network=choice("command_network", NETWORK_CARDS),
        disk=choice("disk", DISKS),
        memory=number("memory", DEFAULT_MEMORY, MAX_MEMORY, minimum=MIN_MEMORY),
        processors=number("processors", DEFAULT_PROCESSORS, MAX_PROCESSORS),
        program=text("program", DEFAULT_PROGRAM),
        accelerator=choice("accelerator", ACCELERATORS),
        firmware=source.entry(entries, "firmware", lambda node: _file(source, node, "firmware"), None),
        snapshot=source.entry(entries, "snapshot", lambda node: source.boolean(node, "snapshot"), True),
        boot_seconds=read_seconds(source, entries, "boot_timeout", BOOT_SECONDS),
        arguments=read_words(source, entries, "arguments"),
    )


def _connection(source: Source, node: Node) -> Connection | None:
    if isinstance(node, ScalarNode) and node.value == SERIAL_PORT:
        return None
    connection = read_connection(source, node)
    if isinstance(connection, SerialConnection):
        source.fail(node, "a machine of QEMU has no serial port of the host", hint="write connection: serial")
    if isinstance(connection, TcpConnection | PipeConnection) and connection.server:
        source.fail(
            node, "QEMU listens at its serial port, so the debugger cannot", hint="leave out 'server'"
        )
    return connection


def _choice(source: Source, node: Node, key: str, known: tuple[str, ...]) -> str:
    text = source.text(node, key)
    if text not in known:
        source.fail(node, f"{key} cannot be '{text}'", hint=source.suggest(text, known))
    return text


def _file(source: Source, node: Node, key: str) -> Path:
    path = source.path.parent / Path(source.text(node, key)).expanduser()
    if not path.is_file():
        source.fail(
            node, f"there is no file {path}", hint=f"{key} is a path, relative to the machine file's folder"
        )
    return path.resolve()
