"""The virtual target as a machine, in its real process."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from serial_cables import FORMS, serial_connection

from harness.connection import NetConnection, TcpConnection
from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import DriverFileError, GuestError, TargetLost, UsageError
from harness.kd.kdnet import Key
from harness.machines import MACHINES, BootOptions, DriverChecker, Machine, open_machine
from harness.machines.virtual import VirtualMachine


@pytest.fixture
def machine() -> Iterator[VirtualMachine]:
    machine = VirtualMachine()
    yield machine
    machine.close()


@pytest.fixture
def boot() -> Iterator[BootOptions]:
    """A connection at which somebody is bound but nobody answers: the target dials in vain."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        yield BootOptions(1, NetConnection(listener.getsockname()[1], Key.parse("1.2.3.4")))


def test_it_boots_answers_and_stops_clean(machine: VirtualMachine, boot: BootOptions) -> None:
    machine.start(boot)
    assert machine.status().state == "running"
    assert machine.guest().put("a.txt", b"x" * 300_000) == r"C:\procnotify\a.txt"
    first = machine.pid
    machine.stop()
    machine.stop()
    assert machine.status().state == "off"
    machine.start(boot)
    assert machine.pid == first, "one process serves all boots"
    machine.close()
    machine.close()
    assert machine.pid is None


def test_a_wrong_path_is_refused_and_the_target_lives_on(machine: VirtualMachine, boot: BootOptions) -> None:
    machine.start(boot)
    with pytest.raises(GuestError, match="is not a file name"):
        machine.guest().put("..\\x.sys", b"")
    assert machine.status().state == "running"


@pytest.mark.parametrize("form", FORMS)
def test_it_is_debugged_over_a_serial_port_of_any_form(
    machine: VirtualMachine, form: str, tmp_path: Path
) -> None:
    connection = serial_connection(form, tmp_path)
    for _ in range(2):  # the port is free again after a stop
        debugger = NativeDebugger(connection)
        if connection.debugger_first:
            debugger.listen()
        machine.start(BootOptions(1, connection))
        assert debugger.attach(timeout=60).build == 18362
        assert machine.status().state == "halted"
        assert debugger.detach(timeout=10).running is True
        assert machine.status().state == "running"
        machine.stop()


def test_a_serial_port_that_somebody_has_is_named(machine: VirtualMachine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(GuestError, match=rf"serial port 127\.0\.0\.1:{port} cannot be served"):
            machine.start(BootOptions(1, TcpConnection("127.0.0.1", port)))


def test_it_meets_the_debugger_at_a_free_port_with_a_new_key(machine: VirtualMachine) -> None:
    first, second = machine.connection(), machine.connection()
    assert first.debugger_first
    assert first.key != second.key
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", first.port))


def test_a_profile_that_it_does_not_have_is_named(machine: VirtualMachine, boot: BootOptions) -> None:
    with pytest.raises(UsageError, match=r"no profile 'win95'; known: .*win10-1903"):
        machine.start(replace(boot, profile="win95"))
    machine.start(replace(boot, profile="win10-1903"))
    assert machine.describe()["profile"] == "win10-1903"


def test_a_policy_that_it_does_not_have_is_named_and_the_one_it_follows_is_told(
    machine: VirtualMachine, boot: BootOptions
) -> None:
    with pytest.raises(UsageError, match=r"no policy 'chaos'; known: default, random, urw"):
        machine.start(replace(boot, policy="chaos"))
    machine.start(boot)
    assert machine.describe()["policy"] == "default"
    machine.start(replace(boot, policy="random"))
    assert machine.describe()["policy"] == "random"


@pytest.mark.parametrize("processors", [9, -1])
def test_a_number_of_processors_that_it_cannot_have_is_refused(
    machine: VirtualMachine, boot: BootOptions, processors: int
) -> None:
    with pytest.raises(UsageError, match=f"cannot have {processors} processors; it has 1 to 8"):
        machine.start(replace(boot, processors=processors))


def test_print_masks_are_told_where_they_are_not_windows_own(
    machine: VirtualMachine, boot: BootOptions
) -> None:
    machine.start(boot)
    assert "print_masks" not in machine.describe()
    machine.start(replace(boot, print_masks={"DEFAULT": 0xF, "IHVBUS": 8}))
    assert machine.describe()["print_masks"] == "Kd_DEFAULT_Mask=0xf Kd_IHVBUS_Mask=0x8"


def test_before_the_start_there_is_nothing_to_ask(machine: VirtualMachine) -> None:
    with pytest.raises(TargetLost, match="is not started"):
        machine.guest()


def test_a_child_that_cannot_start_says_why(boot: BootOptions) -> None:
    machine = VirtualMachine(argv=[sys.executable, "-c", "raise SystemExit('no unicorn')"])
    with pytest.raises(TargetLost, match="ended with exit code 1: no unicorn"):
        machine.start(boot)
    machine.close()


@pytest.mark.parametrize(
    ("image", "message"), [(b"", "not a PE"), (b"MZ" + bytes(100), "not a PE"), (b"#!/bin/sh\n", "not a PE")]
)
def test_a_file_that_is_no_driver_is_refused_before_anything_starts(
    machine: VirtualMachine, image: bytes, message: str
) -> None:
    assert isinstance(machine, DriverChecker)
    with pytest.raises(DriverFileError, match=message):
        machine.check_driver(image)
    assert machine.pid is None


def test_machines_are_found_by_name() -> None:
    machine: Machine = open_machine("virtual")
    assert machine.describe()["type"] == "virtual"
    with pytest.raises(UsageError, match="no machine named 'vax'; known: " + ", ".join(MACHINES)):
        open_machine("vax")
