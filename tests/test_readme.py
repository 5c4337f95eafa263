"""What the README says works as pasted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.cli import COMMANDS
from harness.scenario import parse

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_ci_calls_the_test_command_of_the_readme() -> None:
    commands = [line.strip() for line in README.splitlines() if line.startswith("    python3 -m venv")]
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_lines_for_windows_are_the_same_in_cmd_and_in_powershell() -> None:
    lines = [line.strip() for line in README.splitlines() if line.startswith(("    py ", "    .venv\\"))]
    assert lines[0] == "py -m venv .venv"
    for line in lines:
        # Windows PowerShell 5.1 has no &&, and takes a comma, a semicolon, $ and more for its own.
        assert re.fullmatch(r"[\w .\\-]+", line), line
    assert [line.split()[2] for line in lines[1:]] == ["pip", "harness", "pip", "tox"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_connections_are_written_so_that_powershell_does_not_part_them(page: Path) -> None:
    commands = re.findall(r"procnotify [^`|\n]*(?:net|com):[^`|\n]*", page.read_text(encoding="utf-8"))
    assert [found for found in commands if not re.search(r"[\"'](?:net|com):[^ ]*[\"']", found)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"(?:^ {4}|`|bin/|\$ )procnotify (\w+)", text, re.MULTILINE)) <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_linked_exists(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_scenario_is_one() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert parse(text, Path("README.md")).name == "notepad"
