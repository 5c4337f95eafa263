"""A virtual machine of QEMU's: started from cold once, and every run begins from one snapshot of it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.connection import Connection, NetConnection, PipeConnection
from harness.errors import MachineError, ProcnotifyError, TargetLost
from harness.guests.base import Guest
from harness.machines.access import Address, GuestAccess, MachineGuest
from harness.machines.base import BootOptions, MachineStatus
from harness.machines.qemu.accelerator import kvm_works
from harness.machines.qemu.commandline import HOST_ADDRESS, Places
from harness.machines.qemu.settings import HV_SYNDBG, QemuSettings, read_settings
from harness.machines.qemu.vm import VirtualHardware
from harness.machines.reading import check_boot
from harness.scenario.model import Pattern
from harness.yamlfile.nodes import Node, Source

__all__ = ["CLEAN", "UP_SECONDS", "QemuMachine", "read_qemu"]

CLEAN: Final = "procnotify-clean"
"""Name of the snapshot."""
REVERTED: Final = "it went back to its clean state in the middle of the run"
UP_SECONDS: Final = 60.0
"""How long a guest may take to answer that goes on from the snapshot."""
FIRST_UP_SECONDS: Final = 20.0
"""The same, the first time of a run: seldom one wakes up deaf (once in about a thousand, emulated in software
on a busy host), and is as good as new when it goes back once more."""


class QemuMachine:
    """See :class:`harness.machines.base.Machine`; its image is never written.

    One QEMU serves all runs. It is paused whenever no debugger listens, so the guest cannot meet one that a
    run has left, and it goes back to the snapshot only then. A QEMU that does not obey is ended, and the next
    run begins from cold.
    """

    deterministic = False
    unreported: tuple[Pattern, ...] = ()
    """See :class:`harness.machines.base.LimitedMachine`; its file's key ``reports``."""

    def __init__(self, settings: QemuSettings) -> None:
        self.name = settings.name
        self.settings = settings
        self.hardware: VirtualHardware | None = None
        """None while it is off."""
        self._clean = False
        """The hardware is in the snapshot's state, paused."""
        self._reverted = False
        """It went back to that state while a run was under way."""
        self.reached = MachineGuest(settings.name, settings.access)
        """Open while a run is under way."""
        self._artifacts: dict[str, bytes] = {}

    @property
    def access(self) -> GuestAccess:
        """See :class:`harness.machines.base.ReachedMachine`."""
        return self.settings.access

    def connection(self) -> Connection:
        """See :meth:`harness.machines.base.Machine.connection`. A serial port of QEMU's own is there once the
        machine is prepared."""
        if self.settings.connection is not None:
            return self.settings.connection
        if self.hardware is None:
            raise MachineError(f"the machine {self.name} has no serial port before it is prepared")
        return self.hardware.places.connection

    def prepare(self) -> None:
        """See :meth:`harness.machines.base.PreparedMachine.prepare`: back to the snapshot, or from cold.
        In the middle of a run that ends it: the machine is paused, and its status says why."""
        self._artifacts = {}
        self._reverted = self.reached.is_reached
        if self.hardware is not None and not self._revert(self.hardware):
            self._switch_off()
        if self.hardware is None:
            self._start_cold()

    def start(self, boot: BootOptions) -> None:
        """See :meth:`harness.machines.base.Machine.start`: the guest goes on."""
        check_boot(self.name, self.connection(), boot)
        hardware = self._running()
        try:
            self._go_on(hardware, FIRST_UP_SECONDS)
        except MachineError:
            self.reached.close()
            if not self._revert(hardware):
                raise
            self._go_on(hardware, UP_SECONDS)

    def guest(self) -> Guest:
        """See :meth:`harness.machines.base.Machine.guest`."""
        return self.reached.guest

    def status(self) -> MachineStatus:
        """See :meth:`harness.machines.base.Machine.status`.

        :raises MachineError: QEMU does not answer.
        """
        if self.hardware is None:
            return MachineStatus("off")
        if (end := self.hardware.ended()) is not None:
            return MachineStatus("off", detail=end)
        state = self.hardware.state()
        if self._reverted:
            return MachineStatus(state, detail=REVERTED)
        interference = self.hardware.interference(state)
        return MachineStatus(state, detail=interference, disturbed=bool(interference))

    def describe(self) -> dict[str, str]:
        """See :meth:`harness.machines.base.Machine.describe`."""
        facts = {"type": "qemu", "name": self.name, "image": self.settings.image.name}
        if self.hardware is not None:
            facts |= {"accelerator": self.hardware.accelerator, "version": self.hardware.version}
        return facts

    def artifacts(self) -> Mapping[str, bytes]:
        """See :class:`harness.machines.base.RecordingMachine`."""
        if self.hardware is not None and not self._clean:
            self._artifacts |= self.hardware.screenshot()
        return self._artifacts

    def stop(self) -> None:
        """See :meth:`harness.machines.base.Machine.stop`: it is paused; the next run's preparation reverts
        it."""
        self.reached.close()
        hardware = self.hardware
        if hardware is None or self._clean:
            return
        self._artifacts = hardware.artifacts()
        try:
            hardware.monitor.execute("stop")
        except MachineError:
            self._switch_off()

    def close(self) -> None:
        """See :meth:`harness.machines.base.Machine.close`."""
        self.reached.close()
        self._switch_off()

    def _revert(self, hardware: VirtualHardware) -> bool:
        """Whether the hardware is in its clean state."""
        if self._clean:
            return True
        if not self.settings.snapshot or hardware.ended() is not None:
            return False
        try:
            hardware.monitor.execute("stop")
            hardware.monitor.load_snapshot(CLEAN)
        except MachineError:
            return False
        self._clean = True
        return True

    def _go_on(self, hardware: VirtualHardware, timeout: float) -> None:
        self._clean = self._reverted = False
        hardware.begin_run()
        hardware.monitor.execute("cont")
        self._await_guest(hardware, timeout)

    def _start_cold(self) -> None:
        settings = self.settings
        hardware = self.hardware = VirtualHardware(settings, self._free_places, kvm=self._kvm())
        try:
            try:
                self._await_guest(hardware, settings.boot_seconds)
            finally:
                self.reached.close()
            hardware.monitor.execute("stop")
            if settings.snapshot:
                hardware.monitor.save_snapshot(CLEAN)
            self._clean = True
        except BaseException:
            self._switch_off()
            raise

    def _await_guest(self, hardware: VirtualHardware, timeout: float) -> None:
        access = self.settings.access
        self.reached.reach(access.open_channel(self._address(hardware.places)))
        try:
            self.reached.await_up(timeout)
        except ProcnotifyError as error:
            self._artifacts = hardware.artifacts()
            if (end := hardware.ended()) is not None:
                raise MachineError(end) from None
            raise MachineError(
                f"the guest of {self.name} is not up: {error.message}", hint=error.hint
            ) from None

    def _kvm(self) -> bool:
        settings = self.settings
        wanted = settings.accelerator != "tcg"
        works = wanted and kvm_works(settings.program)
        if settings.accelerator == "kvm" and not works:
            raise MachineError(
                f"the machine {self.name} needs KVM, and a tiny guest did not run to its end in it",
                hint="is /dev/kvm there, and may you open it? accelerator: tcg does without, slowly",
            )
        if isinstance(settings.connection, NetConnection) and settings.kdnet == HV_SYNDBG and not works:
            raise MachineError(
                f"kdnet: {HV_SYNDBG} of {self.name} needs KVM", hint="use another debug device"
            )
        return works

    def _free_places(self, folder: Path) -> Places:
        connection = self.settings.connection or PipeConnection(str(folder / "com1"))
        return Places(folder, connection, _free_tcp_port() if self.settings.access.channel == "ssh" else None)

    def _address(self, places: Places) -> Address:
        match self.settings.access.channel:
            case "qga":
                return str(places.agent)
            case "serial":
                return str(places.serial_channel)
        assert places.command_port is not None
        return HOST_ADDRESS, places.command_port

    def _running(self) -> VirtualHardware:
        if self.hardware is None:
            raise TargetLost(f"the machine {self.name} is not started")
        return self.hardware

    def _switch_off(self) -> None:
        hardware, self.hardware = self.hardware, None
        self._clean = False
        if hardware is not None:
            hardware.close()


def _free_tcp_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST_ADDRESS, 0))
        port: int = probe.getsockname()[1]
    return port


def read_qemu(source: Source, name: str, entries: Mapping[str, Node]) -> QemuMachine | None:
    """The machine of a file of type ``qemu``; None where a mistake in it was noted."""
    settings = read_settings(source, name, entries)
    return None if settings is None else QemuMachine(settings)
