"""What goes wrong with a virtual machine in the middle of a run: told by its name, and gone in the next run.
Many runs in a row leave nothing.

``PROCNOTIFY_MACHINE_MATRIX=1`` tries all of it; otherwise what takes a minute of waiting is left out.
``PROCNOTIFY_MACHINE_RUNS=200`` makes so many runs in a row.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from lab import Lab
from this_system import SHELL

from harness.connection import NetConnection
from harness.debuggers import debugger_factory
from harness.errors import GuestError
from harness.events import kind_of
from harness.guests.channels import GuestChannel
from harness.machines.qemu.machine import CLEAN as CLEAN_SNAPSHOT
from harness.machines.qemu.machine import QemuMachine
from harness.machines.qemu.monitor import Monitor
from harness.outcome import Outcome
from harness.runs.opening import open_rig, read_driver
from harness.runs.progress import PhaseEntered, Progress, StepStarted
from harness.runs.result import RunResult
from harness.runs.rig import Rig
from harness.runs.runner import run_scenario
from harness.runs.watch import Watch
from harness.scenario.load import load, parse
from harness.toolchain import Arch, build_driver
from harness.trace.reader import TraceReader

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
MATRIX = bool(os.environ.get("PROCNOTIFY_MACHINE_MATRIX"))
RUNS = int(os.environ.get("PROCNOTIFY_MACHINE_RUNS", "2"))
OUR_GROWTH = 16 << 20
"""Bytes that this process may grow by in all of these runs; a leak of a trace's events would be more."""
QEMU_GROWTH = 64 << 20
"""The same of QEMU, whose cache of translated code fills, and whose guest touches more of its memory."""
SILENCE = 60.0
"""A guest that is emulated in software, on a machine that does other things too, may be silent for long."""
slow = pytest.mark.skipif(not MATRIX, reason="waits for a minute: PROCNOTIFY_MACHINE_MATRIX=1")


class Trouble:
    """Does something to the machine when the second step begins, or the release."""

    def __init__(self) -> None:
        self.do: Callable[[], None] | None = None
        self._steps = 0
        self._in_release = False

    def __call__(self, progress: Progress) -> None:
        if self.do is None:
            return
        match progress:
            case StepStarted():
                self._steps += 1
                if self._steps == 2 and not self._in_release:
                    self.do()
            case PhaseEntered(phase="release") if self._in_release:
                self.do()

    def arm(self, do: Callable[[], None], *, in_release: bool) -> None:
        self.do, self._steps, self._in_release = do, 0, in_release


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
    return machine.reached.guest.channel


def troubled(rig: Rig, trouble: Trouble, do: Callable[[], object], *, in_release: bool = False) -> RunResult:
    """A run in whose second step, or in whose release, ``do`` is done; it ends with outcome 3."""
    trouble.arm(do, in_release=in_release)
    try:
        failed = run_scenario(rig, TWO_STEPS, seed=1)
    finally:
        trouble.do = None
    assert failed.outcome is Outcome.RIG, failed
    return failed


def require_clean(rig: Rig) -> None:
    """Nothing is left halted of the run before, and the next one passes."""
    require_nothing_halted(rig)
    result = run_scenario(rig, CLEAN, seed=1)
    assert result.outcome is Outcome.PASSED, result
    assert result.release is not None and result.release.running is True, result.release
    require_nothing_halted(rig)


def require_nothing_halted(rig: Rig) -> None:
    """No target waits for a debugger that is gone: the machine is paused or off, and once it is back in its
    clean state nobody listens and its target runs by itself."""
    machine = machine_of(rig)
    assert machine.status().state in ("paused", "off")
    connection = machine.connection()
    assert isinstance(connection, NetConnection)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind(("0.0.0.0", connection.port))


def require_it_runs(rig: Rig) -> None:
    """As the run has left it, before it goes back to the clean state: once its machine goes on the target
    runs by itself, so that a debugger that attaches finds it at no exception and can let it go."""
    connection = rig.machine.connection()
    assert rig.open_debugger is not None
    debugger = rig.open_debugger(str(connection))
    debugger.listen()
    monitor_of(rig).execute("cont")
    try:
        info = debugger.attach(timeout=SILENCE)
        debugger.go()
    finally:
        release = debugger.detach(timeout=SILENCE)
        monitor_of(rig).execute("stop")
    assert info.stop is None, info.stop
    assert release.running is True, release
    assert "its clock moved by" in release.proof


def marks(result: RunResult) -> list[str]:
    """The kinds of the events in the trace that divide it into boots."""
    assert result.trace is not None
    kinds = [kind_of(event) for event in TraceReader(result.trace)]
    return [kind for kind in kinds if kind in ("reboot", "disconnect")]


def test_a_guest_that_stands_still(rig: Rig, trouble: Trouble) -> None:
    failed = troubled(rig, trouble, lambda: monitor_of(rig).execute("stop"))
    assert re.search(r"the target fell silent during .*; the machine says it is paused", failed.reason), (
        failed
    )
    assert failed.trace is not None
    assert failed.trace.with_suffix(".screen.png").read_bytes().startswith(b"\x89PNG")
    require_it_runs(rig)
    require_clean(rig)


def revert(rig: Rig) -> None:
    """Behind the harness's back, as a person at the hypervisor does it: the guest goes on from there."""
    monitor_of(rig).load_snapshot(CLEAN_SNAPSHOT)


def test_a_guest_that_is_reverted_in_the_middle_of_a_run(rig: Rig, trouble: Trouble) -> None:
    failed = troubled(rig, trouble, lambda: revert(rig))
    assert "the machine says it is running (it was stopped and went on in the middle" in failed.reason, failed
    assert marks(failed) == ["reboot"]
    require_it_runs(rig)
    require_clean(rig)


def test_a_guest_that_is_reverted_in_the_middle_of_a_release(rig: Rig, trouble: Trouble) -> None:
    failed = troubled(rig, trouble, lambda: revert(rig), in_release=True)
    assert "the steps are done, but " in failed.reason, failed
    assert "while it was released; the machine says it is running (it was stopped" in failed.reason, failed
    assert marks(failed) == ["reboot"]
    require_clean(rig)


@pytest.mark.parametrize("in_release", [False, True], ids=["step", "release"])
def test_a_machine_that_we_revert_ourselves_ends_the_run(
    rig: Rig, trouble: Trouble, in_release: bool
) -> None:
    failed = troubled(rig, trouble, lambda: machine_of(rig).prepare(), in_release=in_release)
    word = "the machine says it is paused (it went back to its clean state in the middle of the run)"
    assert word in failed.reason, failed
    require_clean(rig)


def test_a_guest_that_is_reset_is_told_from_one_that_is_reverted(rig: Rig, trouble: Trouble) -> None:
    failed = troubled(rig, trouble, lambda: monitor_of(rig).execute("system_reset"))
    assert "it was reset in the middle of the run" in failed.reason, failed
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


@pytest.mark.parametrize(("deaf", "outcome"), [(1, Outcome.PASSED), (2, Outcome.RIG)])
def test_a_guest_that_wakes_up_deaf_goes_back_once_more(rig: Rig, deaf: int, outcome: Outcome) -> None:
    require_clean(rig)  # the snapshot is there: a start from cold has other patience
    guest = machine_of(rig).reached
    heard = []

    def await_up(timeout: float) -> None:
        heard.append(timeout)
        if len(heard) <= deaf:
            raise GuestError("it does not answer")
        type(guest).await_up(guest, timeout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guest, "await_up", await_up)
        result = run_scenario(rig, CLEAN, seed=1)
    assert result.outcome is outcome, result
    assert heard == [20.0, 60.0]
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


def test_microsofts_debugger_hears_the_same_machine(rig: Rig, pykd: str) -> None:
    result = run_scenario(replace(rig, open_debugger=debugger_factory(pykd)), CLEAN, seed=1)
    assert result.outcome is Outcome.PASSED, result
    assert result.events > 20


@dataclass(frozen=True)
class Footprint:
    """What this process and QEMU hold between two runs."""

    processes: tuple[int, ...]
    files: tuple[str, ...]
    """Below the temporary folder."""
    descriptors: int
    """Of this process: files, pipes, sockets and with them ports."""
    threads: int
    qemu_descriptors: int
    memory: int
    """Resident bytes of this process."""
    qemu_memory: int

    @classmethod
    def of(cls, lab: Lab) -> Footprint:
        gc.collect()
        qemu = lab.qemu()
        return cls(
            processes=tuple(sorted(lab.processes())),
            files=tuple(sorted(str(path) for path in lab.temporary.rglob("*"))),
            descriptors=_entries("/proc/self/fd"),
            threads=_entries("/proc/self/task"),
            qemu_descriptors=_entries(f"/proc/{qemu}/fd"),
            memory=_resident("self"),
            qemu_memory=_resident(str(qemu)),
        )


def _entries(folder: str) -> int:
    return len(list(Path(folder).iterdir()))


def _resident(process: str) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1]) << 10


def test_runs_in_a_row_leave_nothing(rig: Rig, lab: Lab) -> None:
    for _ in range(2):
        require_clean(rig)  # what is made once and kept is there afterwards
    before, traces = Footprint.of(lab), files_of(rig)
    for number in range(RUNS):
        result = run_scenario(rig, CLEAN, seed=1)
        assert result.outcome is Outcome.PASSED, (number, result)
    require_nothing_halted(rig)
    after, new = Footprint.of(lab), files_of(rig) - traces
    print(f"{RUNS} runs: {before} -> {after}")
    assert len(new) == RUNS and all(path.suffix == ".jsonl" for path in new), new
    grown = replace(after, memory=before.memory, qemu_memory=before.qemu_memory)
    assert grown == before
    assert after.memory - before.memory < OUR_GROWTH
    assert after.qemu_memory - before.qemu_memory < QEMU_GROWTH


def files_of(rig: Rig) -> set[Path]:
    """All that lies beside the rig's traces."""
    assert rig.traces.path is not None
    return set(rig.traces.path.iterdir())
