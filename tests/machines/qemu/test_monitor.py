"""QEMU's monitor, of a real QEMU that has no system to run."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from this_system import SHELL

from harness.errors import MachineError
from harness.machines.qemu.monitor import Monitor
from harness.processes import KeptProcess

pytestmark = SHELL
SECONDS = 60.0


@pytest.fixture
def bare(program: Callable[[str], str], tmp_path: Path) -> Iterator[KeptProcess]:
    """A QEMU that is halted at its first instruction."""
    disk = tmp_path / "disk.qcow2"
    subprocess.run([program("qemu-img"), "create", "-q", "-f", "qcow2", str(disk), "1M"], check=True)
    kept = KeptProcess(
        lambda folder: [
            *(program("qemu-system-x86_64"), "-S", "-nodefaults", "-display", "none", "-m", "16"),
            *("-qmp", f"unix:{folder}/qmp,server=on,wait=off", "-drive", f"if=virtio,file={disk}"),
        ],
        cwd=tmp_path,
    )
    yield kept
    kept.close()


def monitor_of(kept: KeptProcess) -> Monitor:
    def ended() -> str | None:
        return None if kept.exit_code is None else f"ended with {kept.exit_code}"

    return Monitor(kept.folder / "qmp", ended, timeout=SECONDS)


def test_commands_are_answered_and_snapshots_are_taken_and_loaded(bare: KeptProcess) -> None:
    monitor = monitor_of(bare)
    assert monitor.execute("query-status")["status"] == "prelaunch"
    monitor.save_snapshot("clean")
    monitor.execute("cont")
    assert monitor.execute("query-status")["status"] == "running"
    monitor.execute("stop")
    monitor.load_snapshot("clean")
    assert monitor.execute("query-status")["status"] in ("paused", "prelaunch")
    monitor.close()
    monitor.close()


def test_what_qemu_refuses_is_told_in_its_words(bare: KeptProcess) -> None:
    monitor = monitor_of(bare)
    with pytest.raises(MachineError, match=r"refused the command no-such.*has not been found"):
        monitor.execute("no-such")
    with pytest.raises(MachineError, match=r"refused 'loadvm missing': Error: .*snapshot: false"):
        monitor.load_snapshot("missing")
    assert monitor.execute("query-status")["status"] == "prelaunch", "it is of use still"
    monitor.close()


def test_a_qemu_that_ends_in_the_middle_is_told_as_that(bare: KeptProcess) -> None:
    monitor = monitor_of(bare)
    bare.close()
    with pytest.raises(MachineError):
        monitor.execute("query-status")
    monitor.close()


def test_a_qemu_whose_end_is_known_late_is_waited_for(bare: KeptProcess) -> None:
    ends: list[str | None] = []
    monitor = Monitor(bare.folder / "qmp", lambda: ends.pop() if ends else None, timeout=SECONDS)
    bare.close()
    ends += ["it was killed", None, None]
    with pytest.raises(MachineError, match=r"^it was killed$"):
        monitor.execute("query-status")
    monitor.close()


def test_waiting_for_it_logs_no_error(bare: KeptProcess, caplog: pytest.LogCaptureFixture) -> None:
    monitor_of(bare).close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_qemu_that_never_starts_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="it ended"):
        Monitor(tmp_path / "qmp", lambda: "it ended", timeout=SECONDS)


def test_a_monitor_that_does_not_come_is_waited_for_so_long(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"did not answer its monitor within 0\.05 s"):
        Monitor(tmp_path / "qmp", lambda: None, timeout=0.05)
