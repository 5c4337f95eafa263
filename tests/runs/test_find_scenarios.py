"""Which scenario files a path means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from this_system import FIFOS

from harness.errors import UsageError
from harness.runs.scenarios import find_scenarios


def tree(root: Path, *names: str, text: str = "# first\nscenario: x\n") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def names(root: Path, *paths: str) -> list[str]:
    found = find_scenarios([root / path for path in paths])
    return [path.relative_to(root).as_posix() for path in found.scenarios]


def test_a_folder_means_all_below_it_in_both_spellings(tmp_path: Path) -> None:
    tree(tmp_path, "b.yaml", "a.yml", "deep/er/c.yaml", "deep/d.YAML", "e.txt")
    assert names(tmp_path, ".") == ["a.yml", "b.yaml", "deep/d.YAML", "deep/er/c.yaml"]


def test_folders_that_pytest_skips_are_skipped_unless_they_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "a.yaml", ".tox/b.yaml", "venv/c.yaml", "node_modules/d.yaml", "build/e.yaml")
    assert names(tmp_path, ".") == ["a.yaml"]
    assert names(tmp_path, "build") == ["build/e.yaml"]


def test_a_file_that_is_named_twice_is_found_once(tmp_path: Path) -> None:
    tree(tmp_path, "s/a.yaml", "s/b.yaml")
    assert names(tmp_path, "s/b.yaml", "s", "s/../s/a.yaml") == ["s/b.yaml", "s/a.yaml"]


def test_two_files_with_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    tree(tmp_path, "a/run.yaml", "b/run.yaml")
    assert names(tmp_path, ".") == ["a/run.yaml", "b/run.yaml"]


def test_other_projects_yaml_is_left_aside_and_told(tmp_path: Path) -> None:
    tree(tmp_path, "a.yaml")
    tree(tmp_path, "compose.yml", text="services: {}\n")
    found = find_scenarios([tmp_path])
    assert [path.name for path in found.scenarios] == ["a.yaml"]
    assert [path.name for path in found.left_aside] == ["compose.yml"]
    assert find_scenarios([tmp_path / "compose.yml"]).scenarios == (tmp_path / "compose.yml",), "if named"


def test_a_folder_without_a_scenario_says_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no scenario \(\*\.yaml, \*\.yml\) in the folder .*; the first key"
    ):
        find_scenarios([tmp_path])
    tree(tmp_path, "compose.yml", text="services: {}\n")
    with pytest.raises(UsageError, match=r"1 YAML file\(s\) there begin with another key"):
        find_scenarios([tmp_path])


def test_a_byte_order_mark_hides_nothing(tmp_path: Path) -> None:
    tree(tmp_path, "a.yaml", text="\ufeffscenario: x\n")
    assert names(tmp_path, ".") == ["a.yaml"]


@FIFOS
def test_a_pipe_and_a_loop_of_links_are_not_waited_for(tmp_path: Path) -> None:
    tree(tmp_path, "s/a.yaml")
    os.mkfifo(tmp_path / "s" / "pipe.yaml")
    (tmp_path / "s" / "loop").symlink_to(tmp_path / "s")
    assert names(tmp_path, "s") == ["s/a.yaml"]
