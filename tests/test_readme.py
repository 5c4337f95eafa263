"""What the README says works as pasted."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import ROOT

from harness.cli import COMMANDS
from harness.scenario import parse

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_calls_the_test_command_of_the_readme() -> None:
    commands = [line.strip() for line in README.splitlines() if line.startswith("    python3 -m venv")]
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_every_command_named_exists() -> None:
    named = set(re.findall(r"(?:^ {4}|`|bin/)procnotify (\w+)", README, re.MULTILINE))
    assert named <= set(COMMANDS)


def test_the_scenario_is_one() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert parse(text, Path("README.md")).name == "notepad"
