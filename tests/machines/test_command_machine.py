"""Scenarios on a machine that the user's own commands start, stop and revert."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from this_system import SHELL

from harness.connection import NetConnection
from harness.errors import MachineError, MachineFileError
from harness.kd.kdnet import Key
from harness.machines.access import GuestAccess
from harness.machines.command import CommandMachine
from harness.machines.file import parse_machine
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.runner import run_scenario
from harness.scenario.load import load

pytestmark = SHELL
ROOT = Path(__file__).parent.parent.parent
TARGET = ROOT / "tests" / "machines" / "guest" / "target.py"
NET = NetConnection(50000, Key.parse("1.2.3.4"))
NOWHERE = GuestAccess("qga", "/tmp", None, ("127.0.0.1", 1), {})
TEXT = """\
machine: lab
type: command
connection: net:port=50000,key=1.2.3.4
guest: {channel: qga, address: 127.0.0.1:1}
"""


@pytest.fixture
def commands(
    program: Callable[[str], str], guest_helper: Path, udp_port: int, tmp_path: Path
) -> Iterator[Path]:
    """A machine file whose commands start and end a guest agent and the virtual target on this host, and
    write down when they do."""
    target_socket, agent = tmp_path / "target.sock", tmp_path / "agent.sock"
    (tmp_path / "machine.sh").write_text(
        f"""#!/bin/sh
echo $1 >>{tmp_path}/log
case $1 in
start)
  export TARGET_SOCKET={target_socket}
  setsid {sys.executable} {TARGET} \\
    {target_socket} 127.0.0.1 net:port={udp_port},key=1.2.3.4 &
  echo $! >{tmp_path}/pids
  while [ ! -S {target_socket} ]; do sleep 0.1; done
  setsid {program("qemu-ga")} -m unix-listen -p {agent} -t {tmp_path} -f {tmp_path}/agent.pid &
  echo $! >>{tmp_path}/pids
  ;;
stop)
  kill $(cat {tmp_path}/pids)
  rm -f {target_socket} {agent}
  ;;
esac
""",
        encoding="utf-8",
        newline="\n",
    )
    words = "".join(f"{key}: [sh, machine.sh, {key}]\n" for key in ("start", "stop", "snapshot", "revert"))
    file = tmp_path / "lab.yaml"
    file.write_text(
        f"machine: host\ntype: command\nconnection: net:port={udp_port},key=1.2.3.4\n"
        f"guest: {{channel: qga, address: {agent}, folder: {tmp_path}/files, helper: {guest_helper}}}\n"
        f"{words}",
        encoding="utf-8",
        newline="\n",
    )
    yield file


def test_every_run_begins_from_the_snapshot_of_the_first(commands: Path, tmp_path: Path) -> None:
    scenario = load(ROOT / "scenarios" / "create-thread.yaml")
    with open_rig(
        machine=str(commands), debugger="native", driver=None, trace_folder=tmp_path / "traces"
    ) as rig:
        results = [run_scenario(rig, scenario, seed=seed) for seed in (1, 2)]
    assert [result.outcome for result in results] == [Outcome.PASSED] * 2, results
    log = (tmp_path / "log").read_text(encoding="utf-8").split()
    assert log == ["start", "snapshot", "stop", "revert", "start", "stop"]


def machine_of(tmp_path: Path, seconds: float = 60, **commands: tuple[str, ...]) -> CommandMachine:
    return CommandMachine("lab", tmp_path, NET, NOWHERE, commands, boot_seconds=0.1, command_seconds=seconds)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("sh", "-c", "echo no licence >&2; exit 3"), "lab: start: sh ended with exit code 3: no licence"),
        (("sh", "-c", "exit 1"), "ended with exit code 1: it said nothing"),
        (("./missing",), r"lab: start: \./missing cannot be run: No such file"),
        (("true",), "the guest of lab is not up: no guest agent answered at 127.0.0.1:1"),
    ],
)
def test_a_machine_that_does_not_start_says_why(tmp_path: Path, argv: tuple[str, ...], words: str) -> None:
    with pytest.raises(MachineError, match=words):
        machine_of(tmp_path, start=argv).prepare()


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"sleep did not end within 0\.2 s; command_timeout"):
        machine_of(tmp_path, seconds=0.2, start=("sleep", "600")).prepare()


def test_a_snapshot_of_the_users_own_comes_before_the_first_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    commands = {key: ("sh", "-c", f"echo {key} >>{log}") for key in ("start", "stop", "revert")}
    machine = machine_of(tmp_path, **commands)
    with pytest.raises(MachineError, match="is not up"):
        machine.prepare()
    machine.close()
    assert log.read_text(encoding="utf-8").split() == ["revert", "start", "stop"]


@pytest.mark.parametrize(
    ("more", "line", "message"),
    [
        ("start: vm start\n", 5, "start must be a list, not 'vm start'"),
        ("start: []\n", 5, "start is empty"),
        ("start: [vm, 3]\n", 5, "a word of start must be a text, not the number 3"),
        ("snapshot: [vm]\n", 5, "a snapshot without 'revert' is of no use"),
        ("command_timeout: 0s\n", 5, "command_timeout must be longer than nothing"),
    ],
)
def test_a_mistake_is_told_with_its_place(more: str, line: int, message: str) -> None:
    with pytest.raises(MachineFileError) as caught:
        parse_machine(TEXT + more, Path("lab.yaml"))
    assert str(caught.value).startswith(f"lab.yaml:{line}: {message}")


def test_what_its_commands_do_not_tell_is_not_known(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    assert machine.status().state == "off"
    assert machine.describe() == {"type": "command", "name": "lab"}
