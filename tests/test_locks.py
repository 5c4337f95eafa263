"""Locks between processes: one at a time, and none left behind by who was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.locks import HeldElsewhere, held_alone
from tests.this_system import KILL

HOLDER = """
import sys
from pathlib import Path
from harness.locks import held_alone
with held_alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_alone(path), pytest.raises(HeldElsewhere, match="lock"), held_alone(path):
        pytest.fail("two hold it")
    with held_alone(path):
        assert path.exists()


def test_an_error_in_the_block_is_not_taken_for_the_locks(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="mine"), held_alone(tmp_path / "lock"):
        raise OSError("mine")


@pytest.mark.parametrize("killed", [False, True])
def test_another_process_holds_it_until_it_ends_or_is_killed(tmp_path: Path, killed: bool) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline().strip() == b"held"
        with pytest.raises(HeldElsewhere), held_alone(path):
            pytest.fail("two hold it")
        if killed:
            holder.send_signal(KILL)
        else:
            assert holder.stdin is not None
            holder.stdin.close()
        holder.wait(30)
        with held_alone(path):
            pass


def test_a_folder_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), held_alone(tmp_path / "no folder" / "lock"):
        pytest.fail("it is not there")
