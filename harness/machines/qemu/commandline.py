"""QEMU's command line for a machine.

Source: QEMU's "Invocation", "Hyper-V Enlightenments" and "Disk Images"; the Hyper-V vendor id that keeps
Windows from taking the synthetic debug device: the virtio-win project's issue 1325.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from harness.connection import Connection, NetConnection, PipeConnection, TcpConnection
from harness.machines.qemu.settings import HV_SYNDBG, QemuSettings

__all__ = ["AGENT_PORT", "Places", "command_line"]

AGENT_PORT: Final = "org.qemu.guest_agent.0"
"""Name of the virtio-serial port that the guest agent opens."""
HOST_ADDRESS: Final = "127.0.0.1"
_HYPER_V: Final = "hv-relaxed,hv-vapic,hv-spinlocks=0x1fff,hv-time"
_VENDOR: Final = "hv-vendor-id=KVMKVMKVM"
"""Says to Windows that this is no Hyper-V, whose virtual machines have another debug transport."""
_SYNDBG: Final = "hv-relaxed,hv-time,hv-vapic,hv-vpindex,hv-synic,hv-runtime,hv-stimer,hv-syndbg"
_COMMAND_NET: Final = "10.0.3.0/24"
"""QEMU's first user network is 10.0.2.0/24."""


class Places(NamedTuple):
    """Where a machine and the host meet."""

    folder: Path
    """Fresh, for everything below."""
    connection: Connection
    command_port: int | None = None
    """TCP port of the host behind which the guest's port 22 is; None where nobody needs it."""

    @property
    def overlay(self) -> Path:
        """The disk that is written."""
        return self.folder / "disk.qcow2"

    @property
    def monitor(self) -> Path:
        """Unix socket of QMP."""
        return self.folder / "qmp"

    @property
    def agent(self) -> Path:
        """Unix socket of the guest agent's port."""
        return self.folder / "qga"

    @property
    def serial_channel(self) -> Path:
        """Unix socket of the second serial port."""
        return self.folder / "com2"

    @property
    def console(self) -> Path:
        """What the guest writes to its first serial port that nobody else has."""
        return self.folder / "console.log"


def command_line(settings: QemuSettings, places: Places, *, kvm: bool) -> list[str]:
    """The words that start the machine.

    :param kvm: run in KVM; otherwise in software emulation.
    """
    return [
        *(settings.program, "-name", settings.name, "-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "q35", "-accel", "kvm" if kvm else "tcg", "-cpu", _cpu(settings, kvm=kvm)),
        *("-m", str(settings.memory), "-smp", str(settings.processors), "-vga", "std"),
        *(("-bios", str(settings.firmware)) if settings.firmware is not None else ()),
        *("-chardev", f"socket,id=qmp,path={places.monitor},server=on,wait=off"),
        *("-mon", "chardev=qmp,mode=control"),
        # A guest that switches itself off or crashes stays to be looked at.
        *("-action", "shutdown=pause,panic=none"),
        *_disk(settings, places),
        *_serial_ports(settings, places),
        *_kdnet(settings, places),
        *_command_channel(settings, places),
        *settings.arguments,
    ]


def _cpu(settings: QemuSettings, *, kvm: bool) -> str:
    if not kvm:
        return "max"
    if isinstance(settings.connection, NetConnection) and settings.kdnet == HV_SYNDBG:
        return f"host,{_SYNDBG}"
    return f"host,{_HYPER_V},{_VENDOR}"


def _disk(settings: QemuSettings, places: Places) -> list[str]:
    drive = f"if=none,id=disk,file={places.overlay},format=qcow2,cache=unsafe,discard=unmap"
    device = {"sata": "ide-hd", "virtio": "virtio-blk-pci", "nvme": "nvme,serial=procnotify", "ide": "ide-hd"}
    bus = ["-device", "piix3-ide,id=pata"] if settings.disk == "ide" else []
    where = ",bus=pata.0" if settings.disk == "ide" else ""
    return ["-drive", drive, *bus, "-device", f"{device[settings.disk]},drive=disk{where}"]


def _serial_ports(settings: QemuSettings, places: Places) -> list[str]:
    """The debugger's first, where it has one; then the guest channel's; the first that is free is the
    console."""
    match places.connection:
        case TcpConnection(host=host, port=port):
            debug = [f"socket,host={host},port={port},server=on,wait=off"]
        case PipeConnection(path=path):
            debug = [f"socket,path={path},server=on,wait=off"]
        case _:
            debug = []
    channel = []
    if settings.access.channel == "serial":
        channel = [f"socket,path={places.serial_channel},server=on,wait=off"]
    console = [f"file,path={places.console}"]
    ports = [*debug, *channel, *console] if debug else [*console, *channel]
    words = []
    for number, chardev in enumerate(ports, 1):
        backend, _, rest = chardev.partition(",")
        words += ["-chardev", f"{backend},id=com{number},{rest}", "-serial", f"chardev:com{number}"]
    return words


def _kdnet(settings: QemuSettings, places: Places) -> list[str]:
    if not isinstance(places.connection, NetConnection) or settings.kdnet == "none":
        return []
    if settings.kdnet == HV_SYNDBG:
        where = f"host_ip={HOST_ADDRESS},host_port={places.connection.port},use_hcalls=on"
        return ["-device", "vmbus-bridge,irq=15", "-device", f"hv-syndbg,{where}"]
    return ["-netdev", "user,id=kdnet", "-device", f"{settings.kdnet},netdev=kdnet"]


def _command_channel(settings: QemuSettings, places: Places) -> list[str]:
    if settings.access.channel == "qga":
        return [
            *("-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=qga,path={places.agent},server=on,wait=off"),
            *("-device", f"virtserialport,chardev=qga,name={AGENT_PORT}"),
        ]
    if places.command_port is None:
        return []
    forward = f"hostfwd=tcp:{HOST_ADDRESS}:{places.command_port}-:22"
    return [
        *("-netdev", f"user,id=commands,net={_COMMAND_NET},restrict=on,{forward}"),
        *("-device", f"{settings.command_network},netdev=commands"),
    ]
