"""Scenarios on a machine that somebody else started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from this_system import SHELL

from harness.cli import cli
from harness.errors import UsageError
from harness.runs.serveddrivers import STAND_IN
from harness.trace.sources import open_trace

pytestmark = SHELL
SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"
SHORT = ("create-thread", "load-library-twice", "notepad-launch", "process-tree-exit", "wow64-process")


def run(*words: str) -> tuple[int, dict[str, object], str]:
    done = CliRunner().invoke(cli, ["run", *words, "--json"], standalone_mode=False)
    document = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    return int(done.return_value or 0), document, f"{done.output}{done.stderr}{done.exception}"


def test_scenarios_pass_one_after_the_other_and_leave_it_running(
    existing_machine: Path, tmp_path: Path
) -> None:
    paths = [str(SCENARIOS / f"{name}.yaml") for name in SHORT]
    traces = tmp_path / "traces"
    for _ in range(2):
        code, document, said = run(*paths, "--machine", str(existing_machine), "--trace-dir", str(traces))
        assert code == 0, said
        assert [result["outcome"] for result in document["results"]] == ["passed"] * len(SHORT)
    trace = open_trace(traces / "latest" / "create-thread-1.jsonl")
    assert trace.header.machine == {"type": "existing", "name": "host"}
    assert any(event.host_time is not None for event in trace), "its clock is not the model's"


def test_its_driver_comes_from_the_debugger(existing_machine: Path, tmp_path: Path) -> None:
    scenario = str(SCENARIOS / "driver-load-unload.yaml")
    where = ["--machine", str(existing_machine), "--trace-dir", str(tmp_path / "traces")]
    code, document, said = run(scenario, *where, "--kdfiles")
    assert code == 0, said
    assert [result["outcome"] for result in document["results"]] == ["passed"]
    assert (tmp_path / "files" / "procnotify.sys").read_bytes() == STAND_IN


def test_a_debugger_cannot_wait_elsewhere(existing_machine: Path, tmp_path: Path) -> None:
    scenario = str(SCENARIOS / "create-thread.yaml")
    elsewhere = ["--connection", "net:port=50000,key=1.2.3.4", "--trace-dir", str(tmp_path)]
    with pytest.raises(UsageError, match="leave out --connection: the machine file says"):
        refused(scenario, "--machine", str(existing_machine), *elsewhere)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--policy", "random"], "--policy is for the virtual target, and the machine host is none"),
        (["--processors", "4"], "--processors is for the virtual target"),
        (["--print-mask", "0xf"], "--print-mask is for the virtual target"),
        (["--debugger", "none"], "the machine 'host' cannot do without a debugger"),
    ],
)
def test_what_only_the_virtual_target_can(tmp_path: Path, option: list[str], words: str) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(
        "machine: host\ntype: existing\nconnection: net:port=50000,key=1.2.3.4\n"
        "guest: {channel: qga, address: 127.0.0.1:1}\n",
        encoding="utf-8",
        newline="\n",
    )
    with pytest.raises(UsageError, match=words):
        refused(str(SCENARIOS / "create-thread.yaml"), "--machine", str(file), *option)


def refused(*words: str) -> None:
    CliRunner().invoke(cli, ["run", *words], standalone_mode=False, catch_exceptions=False)
