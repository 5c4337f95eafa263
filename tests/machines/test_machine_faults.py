"""What goes wrong with a virtual machine in the middle of a run: told by its name, and gone in the next run.

``PROCNOTIFY_MACHINE_MATRIX=1`` tries all of it; otherwise what takes a minute of waiting is left out.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from lab import Lab
from this_system import SHELL

from harness.connection import NetConnection
from harness.guests.channels import GuestChannel
from harness.machines.qemu.machine import QemuMachine
from harness.machines.qemu.monitor import Monitor
from harness.outcome import Outcome
from harness.runs.opening import open_rig, read_driver
from harness.runs.progress import Progress, StepStarted
from harness.runs.result import RunResult
from harness.runs.rig import Rig
from harness.runs.runner import run_scenario
from harness.runs.watch import Watch
from harness.scenario.load import load, parse
from harness.toolchain import Arch, build_driver

pytestmark = SHELL
SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"
CLEAN = load(SCENARIOS / "create-thread.yaml")
LAUNCH = load(SCENARIOS / "short-lived-process.yaml")
TWO_STEPS = parse(
    "scenario: two-steps\nsummary: s\nsteps:\n  - launch: {image: notepad.exe, as: a}\n  - terminate: $a\n"
    "expect:\n  order: [process_create: any]\n",
    Path("two-steps.yaml"),
)
DRIVERS = Path(__file__).parent.parent / "drivers"
SILENCE = 60.0
"""A guest that is emulated in software, on a machine that does other things too, may be silent for long."""
slow = pytest.mark.skipif(
    not os.environ.get("PROCNOTIFY_MACHINE_MATRIX"), reason="waits for a minute: PROCNOTIFY_MACHINE_MATRIX=1"
)


class Trouble:
    """Does something to the machine when the second step begins."""

    def __init__(self) -> None:
        self.do: Callable[[], None] | None = None
        self._steps = 0

    def __call__(self, progress: Progress) -> None:
        if isinstance(progress, StepStarted) and self.do is not None:
            self._steps += 1
            if self._steps == 2:
                self.do()

    def arm(self, do: Callable[[], None]) -> None:
        self.do, self._steps = do, 0


@pytest.fixture(scope="module")
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture(scope="module")
def lab(make_lab: Callable[[str], Lab]) -> Lab:
    return make_lab("qga")


@pytest.fixture(scope="module")
def rig(lab: Lab, trouble: Trouble) -> Iterator[Rig]:
    """One machine for all of these tests."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as closing:
        patch.setattr(tempfile, "tempdir", str(lab.temporary))
        yield closing.enter_context(_open(lab, trouble))


def _open(lab: Lab, trouble: Trouble) -> AbstractContextManager[Rig]:
    return open_rig(
        machine=str(lab.file),
        debugger="native",
        driver=None,
        trace_folder=lab.folder / "traces",
        watch=Watch(silence=SILENCE, lines=SILENCE, printing=300),
        subscribers=(trouble,),
    )


def machine_of(rig: Rig) -> QemuMachine:
    assert isinstance(rig.machine, QemuMachine)
    return rig.machine


def monitor_of(rig: Rig) -> Monitor:
    hardware = machine_of(rig).hardware
    assert hardware is not None
    return hardware.monitor


def channel_of(machine: QemuMachine) -> GuestChannel:
    assert machine.open_guest is not None
    return machine.open_guest.channel


def troubled(rig: Rig, trouble: Trouble, do: Callable[[], None]) -> RunResult:
    """A run in whose second step ``do`` is done; the next one is clean."""
    trouble.arm(do)
    try:
        failed = run_scenario(rig, TWO_STEPS, seed=1)
    finally:
        trouble.do = None
    assert failed.outcome is Outcome.RIG, failed
    return failed


def require_clean(rig: Rig) -> None:
    result = run_scenario(rig, CLEAN, seed=1)
    assert result.outcome is Outcome.PASSED, result


def test_a_guest_that_stands_still(rig: Rig, trouble: Trouble) -> None:
    failed = troubled(rig, trouble, lambda: monitor_of(rig).execute("stop"))
    assert "the machine says it is paused" in failed.reason
    require_clean(rig)


@slow
def test_a_guest_that_is_cut_off_the_network(rig: Rig, trouble: Trouble) -> None:
    def link(up: bool) -> None:
        monitor_of(rig).execute("set_link", {"name": "kdnet", "up": up})

    failed = troubled(rig, trouble, lambda: link(False))
    link(True)
    assert re.search(r"nothing came from the target .*the machine says it is running", failed.reason), failed
    require_clean(rig)


def test_an_agent_that_died(rig: Rig, trouble: Trouble) -> None:
    def kill_agent() -> None:
        channel_of(machine_of(rig)).run(["killall", "-9", "qemu-ga"], timeout=5)

    def do() -> None:
        with pytest.raises(Exception, match="agent"):
            kill_agent()

    failed = troubled(rig, trouble, do)
    assert "agent" in failed.reason
    require_clean(rig)


@slow
def test_a_disk_that_is_full(rig: Rig) -> None:
    machine = machine_of(rig)
    whole = machine.guest

    def filled() -> object:
        guest = whole()
        channel_of(machine).run(["dd", "if=/dev/zero", "of=/run/full", "bs=1M"], timeout=300)
        return guest

    machine.guest = filled  # type: ignore[method-assign,assignment]  # fills the disk before the first file
    try:
        failed = run_scenario(rig, CLEAN, seed=1)
    finally:
        del machine.guest
    assert failed.outcome is Outcome.RIG, failed
    assert re.search(r"No space left|to disk", failed.reason), failed
    require_clean(rig)


def test_a_port_that_somebody_else_has(rig: Rig) -> None:
    connection = rig.machine.connection()
    assert isinstance(connection, NetConnection)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", connection.port))
        failed = run_scenario(rig, CLEAN, seed=1)
    assert failed.outcome is Outcome.RIG, failed
    assert f"port {connection.port}" in failed.reason
    require_clean(rig)


def test_a_qemu_that_is_killed(rig: Rig, lab: Lab, trouble: Trouble) -> None:
    failed = troubled(rig, trouble, lambda: os.kill(lab.qemu(), signal.SIGKILL))
    assert "QEMU of linux was killed by signal 9" in failed.reason
    require_clean(rig)


def run_with(rig: Rig, name: str, folder: Path) -> RunResult:
    """One run of a faulty driver on the rig's machine."""
    built = build_driver(DRIVERS / name, Arch.X64, folder / f"{name}.sys").path
    return run_scenario(replace(rig, driver=read_driver(built)), LAUNCH, seed=1)


def test_a_driver_that_crashes_the_guest(rig: Rig, tmp_path: Path) -> None:
    crashed = run_with(rig, "touches_freed_pool", tmp_path)
    assert crashed.outcome is Outcome.BUGCHECK, crashed
    assert "touches_freed_pool.sys" in crashed.reason
    require_clean(rig)


@slow
def test_a_driver_whose_callback_hangs(rig: Rig, tmp_path: Path) -> None:
    hung = run_with(rig, "loops_forever", tmp_path)
    assert hung.outcome is Outcome.BROKEN, hung
    assert re.search(r"the driver executes at 0x\w+ \(loops_forever\.sys\+0x", hung.reason), hung
    require_clean(rig)
