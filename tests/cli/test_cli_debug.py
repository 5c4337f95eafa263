"""``procnotify debug``: commands of real debuggers, and what is said when they cannot be had."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.connection import NetConnection, free_connection, parse_connection

CREATE_THREAD = Path(__file__).resolve().parents[2] / "scenarios" / "create-thread.yaml"


def debug(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "harness", "debug", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)


def test_dbgeng_shows_the_driver_the_registers_and_the_stack(pykd: str) -> None:
    done = debug("-c", "lm", "-c", "vertarget", "-c", "r rip", "-c", "k")
    assert done.returncode == 0, done.stderr
    assert "procnotify   (deferred)" in done.stdout
    assert "Windows 10 Kernel Version 18362 MP (2 procs) Free x64" in done.stdout
    assert "nt!DbgBreakPointWithStatus" in done.stdout
    commands = [line for line in done.stdout.splitlines() if line.startswith("kd> ")]
    assert commands == ["kd> lm", "kd> vertarget", "kd> r rip", "kd> k"]
    assert "procnotify: the target was left running: it broke in and continued" in done.stderr


def test_ntoseye_shows_registers_and_memory(ntoseye: object) -> None:
    done = debug("--debugger", "ntoseye", "-c", "r", "-c", "db fffff78000000000 L10")
    assert done.returncode == 0, done.stderr
    assert "rip fffff80210001010" in done.stdout
    assert "fffff78000000000" in done.stdout
    assert "the target was left running" in done.stderr


def test_a_breakpoint_in_a_target_that_is_there_is_hit(pykd: str) -> None:
    connection = str(free_connection())
    where = parse_connection(connection)
    assert isinstance(where, NetConnection)
    dialling = ["--hostip", "127.0.0.1", "--port", str(where.port), "--key", where.key.format()]
    serve = [sys.executable, "-m", "harness", "serve", *dialling, "--run", str(CREATE_THREAD)]
    target = subprocess.Popen(serve, stderr=subprocess.DEVNULL)
    try:
        done = debug(connection, "-c", "bp nt!DbgPrintEx", "-c", "g", "-c", "k", "-c", "bc *")
    finally:
        target.kill()
        target.wait()
    assert done.returncode == 0, done.stderr
    assert "Breakpoint 0 hit" in done.stdout
    stack = done.stdout.partition("kd> k")[2]
    assert re.search(r"nt!DbgPrintEx\n.* procnotify\+0x[0-9a-f]+\n", stack), stack
    assert "its clock moved by" in done.stderr


def test_a_refused_command_is_the_last(other_debugger: str) -> None:
    done = debug("--debugger", other_debugger, "-c", "r rip", "-c", "nonsense", "-c", "r rip")
    assert done.returncode == 2
    assert f"procnotify: {other_debugger} refuses the command 'nonsense': " in done.stderr
    assert done.stdout.count("kd> r rip") == 1
    assert "the target was left running" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_crash_asked_for_is_a_bugcheck(pykd: str) -> None:
    done = debug("-c", ".crash")
    assert done.returncode == 4, done.stderr
    assert "Bugcheck code DEADDEAD" in done.stdout
    assert "procnotify: the target crashed: it said that it reboots" in done.stderr


def test_a_command_that_never_ends_is_given_up(pykd: str) -> None:
    done = debug("-c", "g", "--timeout", "2s")
    assert done.returncode == 3
    assert "pykd hung in phase \"command 'g'\" for 2 s and was killed" in done.stderr
    assert "the native debugger took the target over" in done.stderr


def test_the_host_s_shell_is_out_of_reach(pykd: str) -> None:
    done = debug("-c", ".shell echo x")
    assert done.returncode == 2
    assert ".shell has been disabled" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-c", "lm", "--debugger", "native"], 2, "the native debugger has no commands; use --debugger pykd"),
        (["-c", "lm", "--debugger", "windbg"], 2, "there is no debugger named 'windbg'; known: native, pykd"),
        (["--debugger", "native"], 2, "Missing option '-c'"),
        (["net:port=x,key=1.2.3.4", "-c", "r", "--debugger", "native"], 2, "'x' is no port number"),
        (["-c", "r", "--timeout", "soon"], 2, "'soon' is no duration"),
    ],
)
def test_wrong_words_are_refused_in_a_line(words: list[str], code: int, said: str) -> None:
    done = debug(*words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_driver_goes_with_the_virtual_target_only() -> None:
    done = debug(str(free_connection()), "-c", "r", "--debugger", "native", "--driver", "x.sys")
    assert done.returncode == 2
    assert "--driver goes with the virtual target" in done.stderr


def test_what_is_missing_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PROCNOTIFY_WINE", "/nowhere/wine")
    done = debug("-c", "r")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("procnotify: PROCNOTIFY_WINE names /nowhere/wine, which is no program; ")
