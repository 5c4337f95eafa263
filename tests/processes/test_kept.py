"""Programs with a folder of their own: neither is there any more once they are closed, or we are killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from this_system import KILL, SHELL, is_running

from harness.processes import KeptProcess
from harness.waiting import wait_in_slices

pytestmark = SHELL
SECONDS = 60.0


def wait_until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()

    def looked(seconds: float) -> bool:
        pause.wait(min(seconds, 0.02))
        return holds()

    assert wait_in_slices(looked, SECONDS)


def writing_its_pid(folder: Path, then: str) -> list[str]:
    return ["sh", "-c", f"echo $$ >{folder}/pid.fresh; mv {folder}/pid.fresh {folder}/pid; {then}"]


def pid_in(folder: Path) -> int:
    wait_until((folder / "pid").exists)
    return int((folder / "pid").read_text(encoding="utf-8"))


def test_closing_ends_the_program_and_takes_the_folder_away(tmp_path: Path) -> None:
    kept = KeptProcess(lambda folder: writing_its_pid(folder, "exec sleep 600"), cwd=tmp_path)
    pid = pid_in(kept.folder)
    assert is_running(pid)
    assert kept.exit_code is None
    kept.close()
    assert not is_running(pid)
    assert not kept.folder.exists()
    kept.close()


def test_what_a_program_left_can_be_read_when_it_has_ended(tmp_path: Path) -> None:
    kept = KeptProcess(
        lambda folder: ["sh", "-c", f"pwd; echo trouble >&2; echo x >{folder}/left; exit 3"], cwd=tmp_path
    )
    wait_until(lambda: kept.exit_code is not None)
    assert kept.exit_code == 3
    assert kept.output.decode().split() == [str(tmp_path.resolve()), "trouble"]
    assert (kept.folder / "left").read_text(encoding="utf-8") == "x\n"
    kept.close()
    assert not kept.folder.exists()


def test_a_signal_that_ended_it_is_told(tmp_path: Path) -> None:
    kept = KeptProcess(lambda folder: ["sh", "-c", "kill -9 $$"], cwd=tmp_path)
    wait_until(lambda: kept.exit_code is not None)
    assert kept.exit_code == -9
    kept.close()


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    kept = KeptProcess(lambda folder: [str(tmp_path / "nothing")], cwd=tmp_path)
    wait_until(lambda: kept.exit_code is not None)
    assert kept.exit_code == 127
    assert b"No such file" in kept.output
    kept.close()
    assert not kept.folder.exists()


def test_a_program_that_does_not_want_to_end_is_killed(tmp_path: Path) -> None:
    stubborn = "trap '' TERM; while :; do sleep 1; done"
    kept = KeptProcess(lambda folder: writing_its_pid(folder, stubborn), cwd=tmp_path)
    pid = pid_in(kept.folder)
    kept.close()
    assert not is_running(pid)


def test_where_no_command_line_can_be_made_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail(folder: Path) -> list[str]:
        (folder / "half made").touch()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        KeptProcess(fail, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_killed_we_leave_neither_program_nor_folder(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from harness.processes import KeptProcess\n"
        "kept = KeptProcess(lambda f: ['sh', '-c', f'echo $$ >{f}/pid.fresh; mv {f}/pid.fresh {f}/pid;"
        " exec sleep 600'], cwd=Path('.'))\n"
        "print(kept.folder, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().decode().strip())
        pid = pid_in(folder)
        assert is_running(pid)
        os.kill(holder.pid, KILL)
    wait_until(lambda: not is_running(pid) and not folder.exists())
