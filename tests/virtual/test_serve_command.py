"""``procnotify serve`` as a process of its own, heard by the native debugger and by ntoseye over real UDP."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from serial_cables import serial_connection

from harness.connection import NetConnection, free_connection, parse_connection
from harness.debuggers import debugger_factory
from harness.debuggers.base import PrintReceived, TargetRebooted

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "harness", "serve", *args]


@contextmanager
def served(connection: str, *args: str, hostip: str = "127.0.0.1") -> Iterator[subprocess.Popen[str]]:
    where = parse_connection(connection)
    words = command(connection, *args)
    if isinstance(where, NetConnection):  # the other way to write it
        key = connection.partition("key=")[2]
        words = command("--hostip", hostip, "--port", str(where.port), "--key", key, *args)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("form", ["net", "pipe", "tcp,server"])
def test_a_scenario_is_done_for_whoever_listens(form: str, tmp_path: Path) -> None:
    connection = str(free_connection() if form == "net" else serial_connection(form, tmp_path))
    debugger = debugger_factory("native")(connection)
    if parse_connection(connection).debugger_first:
        debugger.listen()
    with served(connection, "--run", str(SCENARIOS / "create-thread.yaml")) as process:
        assert debugger.attach(timeout=60).build == 18362
        debugger.go()
        lines: list[str] = []
        while (event := debugger.receive(timeout=60)) is not None:
            if isinstance(event, PrintReceived):
                lines.append(event.text)
            if isinstance(event, TargetRebooted):
                break
        assert process.wait(30) == 0
    assert lines[0].startswith("[procnotify] DriverEntry PsSetCreateProcessNotifyRoutine success")
    assert " totals " in lines[-1]
    debugger.detach(timeout=5)


def test_a_net_connection_is_dialled_on_this_machine_where_no_address_is_given() -> None:
    connection = str(free_connection())
    debugger = debugger_factory("native")(connection)
    debugger.listen()
    process = subprocess.Popen(command(connection), stderr=subprocess.PIPE, text=True)
    try:
        assert debugger.attach(timeout=60).build == 18362
        assert debugger.detach(timeout=30).running is True
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_it_dials_over_ipv6() -> None:
    connection = str(free_connection())
    debugger = debugger_factory("native")(connection)
    debugger.listen()
    with served(connection, hostip="::1"):
        assert debugger.attach(timeout=60).build == 18362
        assert debugger.detach(timeout=30).running is True


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--hostip", "nowhere", "--port", "50000", "--key", "1.2.3.4"), "'nowhere' is no IP address"),
        (("--hostip", "127.0.0.1", "--port", "50000", "--key", "1.2.3"), "a KDNET key has four parts"),
        (("--hostip", "127.0.0.1", "--port", "0", "--key", "1.2.3.4"), "--port"),
        (("--port", "50000", "--key", "1.2.3.4"), "nothing says where the debugger is"),
        (("net:port=50000,key=1.2.3.4", "--port", "50000"), "CONNECTION says already what --port"),
        (("com:pipe,port=/tmp/kd1", "--hostip", "127.0.0.1"), "a serial port has no --hostip"),
        (("com:pipe,port=/nowhere/kd1",), "cannot be served"),
    ],
)
def test_wrong_words_are_refused_in_a_line(args: tuple[str, ...], words: str) -> None:
    done = subprocess.run(command(*args), capture_output=True, text=True, timeout=60)
    assert done.returncode == (3 if "served" in words else 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_ntoseye_attaches_and_hears_every_line(ntoseye: ModuleType) -> None:
    connection = str(free_connection())
    where = parse_connection(connection)
    assert isinstance(where, NetConnection)
    with served(connection, "--run", str(SCENARIOS / "create-thread.yaml")):
        debugger = ntoseye.attach(
            backend="kdnet",
            connect=f"127.0.0.1:{where.port}",
            key=connection.partition("key=")[2],
            kd_handshake_timeout=60,
        )
        debugger.run(timeout=10)
        page = debugger.debug_log()
        lines = [line.text for line in page.lines]
        assert not page.dropped
        debugger.close()
    assert lines[0].startswith("[procnotify] DriverEntry PsSetCreateProcessNotifyRoutine success")
    assert any(" totals " in line for line in lines)
