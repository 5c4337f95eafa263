"""A running QEMU without a system: what it tells of itself, and what its screen shows."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from this_system import SHELL

from harness.connection import PipeConnection
from harness.errors import MachineError
from harness.machines.file import parse_machine
from harness.machines.qemu.commandline import Places
from harness.machines.qemu.machine import QemuMachine
from harness.machines.qemu.monitor import Monitor
from harness.machines.qemu.vm import VirtualHardware

pytestmark = SHELL
TEXT = """\
machine: bare
type: qemu
image: disk.qcow2
memory: 16
processors: 1
connection: serial
guest: {channel: qga}
"""


@pytest.fixture
def folder(program: Callable[[str], str], tmp_path: Path) -> Path:
    """With an empty disk."""
    program("qemu-system-x86_64")
    disk = str(tmp_path / "disk.qcow2")
    subprocess.run([program("qemu-img"), "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    return tmp_path


@contextmanager
def switched_on(folder: Path, more: str = "") -> Iterator[VirtualHardware]:
    machine = parse_machine(TEXT + more, folder / "bare.yaml")
    assert isinstance(machine, QemuMachine)
    hardware = VirtualHardware(
        machine.settings, lambda made: Places(made, PipeConnection(str(made / "com1"))), kvm=False
    )
    try:
        yield hardware
    finally:
        hardware.close()


def test_what_is_done_to_it_behind_our_back_is_told(folder: Path) -> None:
    with switched_on(folder) as hardware:
        monitor = hardware.monitor
        monitor.save_snapshot("before")
        hardware.begin_run()
        assert hardware.interference("running") == ""
        monitor.load_snapshot("before")
        assert "as when it goes back to a snapshot" in hardware.interference(hardware.state())
        hardware.begin_run()
        assert hardware.interference("running") == "", "a run is told what happened in it alone"
        monitor.execute("stop")
        assert hardware.interference(hardware.state()) == "", "that it is paused says enough"
        monitor.execute("cont")
        assert "it was stopped and went on" in hardware.interference(hardware.state())
        monitor.execute("system_reset")
        monitor.execute("query-status")
        assert hardware.interference(hardware.state()) == "it was reset in the middle of the run"


def test_its_screen_is_shown_also_while_it_is_paused(folder: Path) -> None:
    with switched_on(folder) as hardware:
        hardware.monitor.execute("stop")
        ((name, picture),) = hardware.screenshot().items()
        assert name in ("screen.png", "screen.ppm")
        assert picture.startswith(b"\x89PNG" if name == "screen.png" else b"P6")


def test_a_qemu_that_knows_no_png_writes_the_other_format(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Monitor.screenshot

    def without_png(monitor: Monitor, path: Path, form: str) -> None:
        if form == "png":
            raise MachineError("QEMU refused the command screendump: Enable PNG support")
        whole(monitor, path, form)

    monkeypatch.setattr(Monitor, "screenshot", without_png)
    with switched_on(folder) as hardware:
        ((name, picture),) = hardware.screenshot().items()
    assert (name, picture[:2]) == ("screen.ppm", b"P6")


def test_a_machine_without_a_screen_shows_none(folder: Path) -> None:
    with switched_on(folder, "arguments: [-vga, none]\n") as hardware:
        assert hardware.screenshot() == {}
        assert hardware.state() == "running", "the monitor is of use still"


def test_a_qemu_that_has_ended_shows_none(folder: Path) -> None:
    with switched_on(folder) as hardware:
        hardware.monitor.execute("quit")
        assert hardware.screenshot() == {}
