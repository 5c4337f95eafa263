"""The workflow file: it is YAML, and what it calls exists. Nobody has seen it run yet."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from harness.cli import cli

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
ACTION = re.compile(r"actions/[a-z-]+@v[0-9]+")


def steps() -> list[dict[str, Any]]:
    found = []
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            assert job["timeout-minutes"] > 0
            found += job["steps"]
    return found


COMMANDS = [step["run"] for step in steps() if "run" in step]


def environments() -> set[str]:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    return {name.strip() for name in tox["tox"]["envlist"].split(",")}


def test_each_action_is_github_s_own_and_pinned_to_a_major_version() -> None:
    actions = [step["uses"] for step in steps() if "uses" in step]
    assert actions and all(ACTION.fullmatch(action) for action in actions)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_one_that_there_is(command: str) -> None:
    program, _, arguments = command.partition(" -m ")
    assert program == "python", "every shell of every system understands it"
    words = arguments.split()
    if words[:3] == ["tox", "run", "-e"]:
        assert set(words[3].split(",")) <= environments()
    elif words[0] == "harness":
        # Options are refused before anything is done with them.
        done = CliRunner().invoke(cli, [*words[1:], "--help"])
        assert done.exit_code == 0, done.output
        assert all(word in done.output for word in words if word.startswith("--"))
        assert (ROOT / words[2]).is_dir()
    else:
        assert words in (["pip", "install", "tox"], ["pip", "install", "."])


def test_all_three_systems_run_the_tests() -> None:
    (path,) = WORKFLOWS
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    systems = {"ubuntu-latest", "windows-latest", "macos-latest"}
    for name in ("tests", "scenarios"):
        assert set(jobs[name]["strategy"]["matrix"]["system"]) == systems
