"""Where machine and debugger meet, and who is there first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from run_doubles import ScriptedDebugger, ScriptedMachine, scenario_of

from harness.connection import Connection, NetConnection, PipeConnection, TcpConnection
from harness.debuggers.base import TargetInfo
from harness.errors import ConnectionFailed
from harness.kd.kdnet import Key
from harness.machines.base import BootOptions, MachineStatus
from harness.runs.debugged import DebuggedCapture
from harness.runs.inspection import inspect_virtual
from harness.runs.rig import GuestFiles, Rig
from harness.runs.steps import GuestDriver
from harness.scenario.load import parse

NET = NetConnection(50000, Key.parse("1.2.3.4"))
SERIAL = TcpConnection("192.0.2.7", 5554)
PIPE = PipeConnection("/run/vm/com1")


class LoggingDebugger(ScriptedDebugger):
    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self._log = log

    def listen(self) -> None:
        self._log.append("listen")

    def attach(self, *, timeout: float) -> TargetInfo:
        self._log.append("attach")
        raise ConnectionFailed("far enough")


class LoggingMachine(ScriptedMachine):
    def __init__(self, log: list[str], own: Connection) -> None:
        super().__init__(MachineStatus("running", 0))
        self._log = log
        self._own = own

    def connection(self) -> Connection:
        return self._own

    def start(self, boot: BootOptions) -> None:
        self._log.append(f"start at {boot.connection}")

    def stop(self) -> None:
        self._log.append("stop")


def rig_of(log: list[str], own: Connection, asked: Connection | None = None) -> Rig:
    def open_debugger(connection: str) -> LoggingDebugger:
        log.append(f"open {connection}")
        return LoggingDebugger(log)

    driver = GuestDriver("d", "d.sys", b"MZ")
    machine = LoggingMachine(log, own)
    return Rig(machine, open_debugger, driver, GuestFiles(b"", b""), Path("unused"), asked)


ORDERS = [
    (NET, ["listen", f"start at {NET}"]),
    (SERIAL, [f"start at {SERIAL}", "listen"]),
    (PIPE, [f"start at {PIPE}", "listen"]),
]


@pytest.mark.parametrize(("connection", "order"), ORDERS, ids=["net", "tcp", "pipe"])
def test_a_run_listens_first_where_the_target_dials(connection: Connection, order: list[str]) -> None:
    log: list[str] = []
    capture = DebuggedCapture(rig_of(log, connection), scenario_of("  - exit: 0"), 1)
    with pytest.raises(ConnectionFailed, match="far enough"):
        capture.run()
    assert log == [f"open {connection}", *order, "attach", "stop"]


@pytest.mark.parametrize(("connection", "order"), ORDERS, ids=["net", "tcp", "pipe"])
def test_so_does_a_look_into_the_target(connection: Connection, order: list[str]) -> None:
    log: list[str] = []
    rig = rig_of(log, connection)
    with (
        pytest.raises(ConnectionFailed, match="far enough"),
        inspect_virtual(rig, timeout=1.0, released=lambda release: log.append("released")),
    ):
        pytest.fail("attached")
    assert log == [f"open {connection}", *order, "attach", "released", "stop"]


def test_a_connection_that_was_asked_for_is_taken_before_the_machines_own() -> None:
    assert rig_of([], NET).boot(7) == BootOptions(7, NET)
    assert rig_of([], NET, SERIAL).boot(7) == BootOptions(7, SERIAL)


def test_what_the_command_line_says_of_the_target_goes_before_what_the_scenario_says() -> None:
    top = "scenario: t\nsummary: t.\nexpect: [{never: [{process_exit: any}]}]\n"
    own = "profile: win10-1903\npolicy: random\nprocessors: 4\nprint_mask: {DEFAULT: 0xf, LDR: 1}\n"
    scenario = parse(f"{top}{own}", Path("t.yaml"))
    rig = rig_of([], NET)
    masks = {"DEFAULT": 0xF, "LDR": 1}
    assert rig.boot(7, scenario) == BootOptions(7, NET, "win10-1903", "random", 4, masks)
    told = replace(rig, policy="default", processors=1, print_masks={"DEFAULT": 8})
    masks = {"DEFAULT": 8, "LDR": 1}
    assert told.boot(7, scenario) == BootOptions(7, NET, "win10-1903", "default", 1, masks)
