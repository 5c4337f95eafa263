"""A driver that prints lines of its own, run by its line grammar: named at the door, or in the scenario."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.check import command as check
from harness.cli.lines import command as lines
from harness.cli.run import command as run
from harness.toolchain import Arch, build_driver
from harness.trace.sources import open_trace

FOLDER = Path(__file__).resolve().parent / "prints_its_own_words"
GRAMMAR = FOLDER / "lines.yaml"
SCENARIO = """\
scenario: own-words
summary: A program lives and dies, and its parent is told.
steps:
  - launch: {image: notepad.exe, as: notepad}
  - terminate: $notepad
expect:
  - scope: {pid: $notepad}
    order:
      - process_create: {pid: $notepad, parent_pid: $agent}
      - process_exit: {pid: $notepad}
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_driver(FOLDER, Arch.X64, tmp_path_factory.mktemp("own") / "own.sys").path


@pytest.mark.parametrize("debugger", ["none", "native"])
def test_its_lines_are_judged_and_kept_with_their_grammar(
    driver: Path, debugger: str, tmp_path: Path
) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    words = [str(scenario), "--driver", str(driver), "--debugger", debugger, "--trace-dir", str(tmp_path)]
    done = CliRunner().invoke(run, [*words, "--lines", str(GRAMMAR)], standalone_mode=False)
    assert done.return_value == 0, done.output
    trace = tmp_path / "latest" / "s-1.jsonl"
    assert open_trace(trace).header.lines["name"] == "own-words"
    # The trace knows by what it was read.
    assert CliRunner().invoke(check, [str(trace), str(scenario)]).exit_code == 0
    understood = CliRunner().invoke(lines, [str(trace)], standalone_mode=False)
    assert understood.return_value == 0, understood.output


def test_the_scenario_may_name_the_grammar(driver: Path, tmp_path: Path) -> None:
    (tmp_path / "own.lines.yaml").write_bytes(GRAMMAR.read_bytes())
    scenario = tmp_path / "s.yaml"
    words = [str(scenario), "--driver", str(driver), "--debugger", "none", "--trace-dir", str(tmp_path)]
    scenario.write_text(SCENARIO, encoding="utf-8")
    lines = [*words, "--witness", "print"]
    assert CliRunner().invoke(run, lines, standalone_mode=False).return_value != 0  # none of it is ours
    scenario.write_text(SCENARIO.replace("steps:", "lines: own.lines.yaml\nsteps:"), encoding="utf-8")
    done = CliRunner().invoke(run, lines, standalone_mode=False)
    assert done.return_value == 0, done.output
