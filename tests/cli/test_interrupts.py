"""Ctrl-C, and all that means the same, in every phase of a command: it is heard, and the target runs on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from interruptible import WAYS, interrupt, started
from kd_peer import KEY, ThinTarget, free_udp_port

from harness.trace import TraceReader

ROOT = Path(__file__).resolve().parent.parent.parent
SCENARIOS = ROOT / "scenarios"
LINE = "[procnotify] OnProcessNotify PPID(4) created PID(8) {seq=1 t=1 cpu=0 by=4.8 new=12}\n"
LONG = "600s"
each_way = pytest.mark.parametrize("way", WAYS)
one_way = pytest.mark.parametrize("way", WAYS[:1])
"""Which of the ways it was is forgotten as soon as it is heard; what differs is where the command waits."""


def poll(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    """Until the phase is reached that is to be interrupted."""
    for _ in range(6000):
        if ready():
            return
        assert process.poll() is None, process.communicate()
        threading.Event().wait(0.01)
    pytest.fail("the phase was not reached")


@each_way
def test_while_it_records(way: str, tmp_path: Path) -> None:
    port, out = free_udp_port(), tmp_path / "run.jsonl"
    with ThinTarget.kdnet(port) as target:
        with started("record", f"net:port={port},key={KEY.format()}", "--out", str(out)) as process:
            target.wait(lambda: bool(target.continues), 60)
            target.print(LINE)
            assert process.stdout is not None
            assert process.stdout.readline() == LINE
            _, errors = interrupt(process, way)
        target.wait(lambda: not target.halted)
    assert process.returncode == 0, errors
    assert "left running" in errors
    assert [event.line for event in TraceReader(out)] == [LINE.strip()]


@one_way
def test_while_it_waits_for_a_target(way: str, any_debugger: str, tmp_path: Path) -> None:
    port, log = free_udp_port(), tmp_path / "log"
    words = ("record", f"net:port={port},key={KEY.format()}", "--wait", LONG, "--log", str(log))
    with started(*words, "--debugger", any_debugger) as process:
        poll(process, lambda: log.exists() and b"listening at UDP port %d" % port in log.read_bytes())
        _, errors = interrupt(process, way)
    assert process.returncode == 130, errors
    waiting, interrupted = errors.splitlines()
    assert waiting == "procnotify: waiting for the target, at most 600 s; Ctrl-C ends it"
    assert interrupted == "procnotify: interrupted"


@one_way
def test_while_it_looks_for_a_serial_port(way: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    port = r"\\.\pipe\procnotify-nobody" if sys.platform == "win32" else str(tmp_path / "com1")
    with started("record", f"com:pipe,port={port}", "--wait", LONG, "--log", str(log)) as process:
        poll(process, lambda: log.exists() and b"no serial port" in log.read_bytes())
        _, errors = interrupt(process, way)
    assert process.returncode == 130, errors


@each_way
def test_while_it_runs(way: str, tmp_path: Path) -> None:
    scenario = str(SCENARIOS / "thirty-launches.yaml")
    with started("run", scenario, "--trace-dir", str(tmp_path)) as process:
        poll(process, lambda: any(path.stat().st_size > 20_000 for path in tmp_path.glob("2*/*.jsonl")))
        _, errors = interrupt(process, way)
    assert process.returncode == 130, errors
    assert "interrupted in thirty-launches" in errors and "the target was left running" in errors
    (trace,) = tmp_path.glob("2*/*.jsonl")
    assert trace.read_bytes().splitlines()[-1].startswith(b'{"kind":"footer"')


@one_way
def test_while_it_compiles(way: str, tmp_path: Path) -> None:
    cache = {"PROCNOTIFY_CACHE": str(tmp_path)}
    with started("run", str(SCENARIOS / "create-thread.yaml"), environment=cache, cwd=tmp_path) as process:
        assert process.stderr is not None
        assert "compiling" in process.stderr.readline()
        _, errors = interrupt(process, way)
    assert process.returncode == 130, errors
    left = [path for path in tmp_path.rglob("*") if path.name.startswith((".driver", ".actor"))]
    assert left == []


@one_way
def test_while_it_dials(way: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        host.bind(("127.0.0.1", 0))
        host.settimeout(60)
        port = str(host.getsockname()[1])
        with started("serve", "--hostip", "127.0.0.1", "--port", port, "--key", "1.2.3.4") as process:
            host.recv(2048)
            _, errors = interrupt(process, way)
    assert process.returncode == 130, errors


@pytest.mark.skipif(sys.platform == "win32", reason="to be started so that SIGHUP is ignored is POSIX")
def test_what_the_command_was_started_to_ignore_is_ignored(tmp_path: Path) -> None:
    port, out = free_udp_port(), tmp_path / "run.jsonl"

    with ThinTarget.kdnet(port) as target:
        record = ("record", f"net:port={port},key={KEY.format()}", "--out", str(out))
        with started(*record, ignored="SIGHUP") as process:
            target.wait(lambda: bool(target.continues), 60)
            os.kill(process.pid, signal.SIGHUP)
            target.print(LINE)
            assert process.stdout is not None
            assert process.stdout.readline() == LINE
            _, errors = interrupt(process, "SIGTERM")
    assert process.returncode == 0, errors
