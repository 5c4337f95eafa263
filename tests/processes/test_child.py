"""A child process: how it is ended, and what ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.processes import ChildProcess, run_child

LASTING = "import time; time.sleep(600)" if sys.platform == "win32" else "input()"
"""What only a job object ends; where there is none it ends with its standard input."""
FAMILY = f"""
import subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", "print(1, flush=True); " + {LASTING!r}],
                              stdin=subprocess.PIPE)
print(grandchild.pid, flush=True)
grandchild.wait()
"""
"""Prints the process id of a child of its own, and 1 by that child, which holds its standard output too."""
WINDOWS = pytest.mark.skipif(sys.platform != "win32", reason="a job object is Windows'")


def test_a_child_runs_to_its_end() -> None:
    script = "import sys; print('said'); sys.exit(3)"
    code, output = run_child([sys.executable, "-c", script], timeout=60, stdout=subprocess.PIPE)
    assert (code, output.split()) == (3, [b"said"])


def test_what_is_not_there_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No such file|not found|cannot find"):
        run_child([str(tmp_path / "nothing.exe")], timeout=60)


def test_a_child_that_does_not_end_is_killed_and_what_holds_its_output_is_not_waited_for() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_child([sys.executable, "-c", FAMILY], timeout=0.5, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_ctrl_c_while_a_child_runs_ends_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[ChildProcess] = []

    def interrupted(self: ChildProcess, **options: object) -> tuple[bytes, bytes]:
        started.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(ChildProcess, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_child([sys.executable, "-c", "import sys; sys.stdin.read()"], timeout=60, stdin=subprocess.PIPE)
    assert started[0].returncode not in (None, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_a_child_has_a_process_group_of_its_own() -> None:
    with ChildProcess([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert os.getpgid(child.pid) == child.pid
        child.kill()


@WINDOWS
@pytest.mark.parametrize("way", ["killed", "its starter ends"])
def test_what_a_child_has_started_ends_with_it(way: str) -> None:
    assert sys.platform == "win32"
    import _winapi

    if way == "killed":
        child = ChildProcess([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    else:
        starter = (
            "import sys, subprocess\nfrom harness.processes import ChildProcess\n"
            f"child = ChildProcess([sys.executable, '-c', {FAMILY!r}], stdin=subprocess.PIPE)\n"
            "sys.stdin.readline()\n"
            "import os; os._exit(0)\n"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    assert child.stdout is not None and child.stdin is not None
    words = {child.stdout.readline().strip(), child.stdout.readline().strip()} - {b"1"}
    (pid,) = map(int, words)
    grandchild = _winapi.OpenProcess(0x00100000, False, pid)  # SYNCHRONIZE
    if way == "killed":
        child.kill()
    else:
        child.stdin.write(b"\n")
        child.stdin.flush()
    assert _winapi.WaitForSingleObject(grandchild, 60_000) == _winapi.WAIT_OBJECT_0
    child.wait(60)
    child.stdin.close()
    child.stdout.close()
    _winapi.CloseHandle(grandchild)


@WINDOWS
def test_a_child_has_a_console_that_nobody_sees() -> None:
    script = "import ctypes; print(ctypes.windll.kernel32.GetConsoleWindow())"
    code, output = run_child([sys.executable, "-c", script], timeout=60, stdout=subprocess.PIPE)
    assert (code, output.split()) == (0, [b"0"])


def test_children_may_be_started_on_several_threads() -> None:
    codes: list[int] = []

    def run() -> None:
        codes.append(run_child([sys.executable, "-c", "pass"], timeout=60)[0])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 4
