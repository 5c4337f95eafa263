"""One process at a time on the machine of a machine file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from this_system import KILL

from harness.cli import cli
from harness.errors import MachineError
from harness.machines import alone_on_machine

FILE = """\
machine: lab
type: existing
connection: net:port=50000,key=1.2.3.4
guest: {channel: qga, address: 127.0.0.1:4444}
"""
HOLDER = """
import sys
from harness.machines import alone_on_machine
with alone_on_machine(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCNOTIFY_CACHE", str(tmp_path / "cache"))


def test_a_machine_file_is_held_once_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(FILE, encoding="utf-8", newline="\n")
    (tmp_path / "other.yaml").write_text(FILE, encoding="utf-8", newline="\n")
    (tmp_path / "folder").mkdir()
    again = str(tmp_path / "folder" / ".." / "lab.yaml")
    with alone_on_machine(str(tmp_path / "lab.yaml")):
        refused = pytest.raises(MachineError, match="another call is at work on the machine of")
        with refused, alone_on_machine(again):
            pytest.fail("two hold it")
        with alone_on_machine(str(tmp_path / "other.yaml")):
            pass
    with alone_on_machine(again):
        pass


def test_the_virtual_target_is_everybodys_own() -> None:
    with alone_on_machine("virtual"), alone_on_machine("virtual"):
        pass


def test_a_run_on_a_machine_that_somebody_has_says_so(tmp_path: Path) -> None:
    lab = tmp_path / "lab.yaml"
    lab.write_text(FILE, encoding="utf-8", newline="\n")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lab)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline().strip() == b"held"
        done = CliRunner().invoke(cli, ["doctor", str(lab)], standalone_mode=False)
        assert isinstance(done.exception, MachineError)
        assert "wait for its end" in str(done.exception)
        holder.send_signal(KILL)
        holder.wait(30)
    with alone_on_machine(str(lab)):  # who was killed left nothing behind
        pass
