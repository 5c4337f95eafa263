"""``procnotify try``: a driver alone, with what it did and what was wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.runs.trace_folder import through_latest
from harness.toolchain import Arch, build_driver, default_driver

SMALL = Path(__file__).resolve().parents[1] / "drivers" / "small" / "c"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_driver(SMALL, Arch.X64, tmp_path_factory.mktemp("try") / "small.sys").path


def tried(driver: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["try", str(driver), *options], standalone_mode=False)


def named(small: Path, name: str) -> Path:
    driver = small.with_name(f"{name}.sys")
    for suffix in (".sys", ".pdb"):
        shutil.copyfile(small.with_suffix(suffix), driver.with_suffix(suffix))
    return driver


def test_a_right_driver_shows_its_tree_with_its_prints(small: Path) -> None:
    result = tried(named(small, "tells-all"))
    assert result.return_value == 0, result.output
    lines = result.stdout.splitlines()
    (launched,) = [line for line in lines if line.startswith("actor.exe") and "helper: launch" in line]
    assert launched.partition("| ")[2].startswith("[DRIVER] Process Created. (")
    assert any(line.startswith("  notepad.exe ") for line in lines), "it stands in its parent"
    assert any("image probe-try.dll" in line and "ImagePath=" in line for line in lines)
    assert "nothing is left behind, and no standing rule is broken" in lines
    assert "[actor]" not in result.stdout
    assert "procnotify: unload_driver" in result.stderr and "procnotify: boot" not in result.stdout


def test_a_leak_is_told_with_its_call_and_can_be_switched_off(small: Path) -> None:
    driver = named(small, "keeps-reference")
    result = tried(driver)
    assert result.return_value == 1
    assert "UnloadReferences: keeps-reference.sys left behind" in result.stdout
    assert "(LooksUpProcess, small.c:" in result.stdout
    assert tried(driver, "--without-rule", "UnloadReferences").return_value == 0


def test_json_has_the_tree_and_the_rules(small: Path, tmp_path: Path) -> None:
    result = tried(named(small, "keeps-callback"), "--json", "--trace-dir", str(tmp_path / "traces"))
    found = json.loads(result.stdout)
    assert (result.return_value, found["exit_code"], found["outcome"]) == (4, 4, "bugcheck")
    assert [broken["rule"] for broken in found["broken_rules"]] == ["UnloadCallbacks"]
    assert any(row["what"].startswith("process ") and row["prints"] for row in found["tree"])
    assert through_latest(tmp_path / "traces" / "latest" / "try-1.jsonl").exists()


def test_the_projects_driver_is_judged_by_its_lines_too() -> None:
    result = tried(default_driver().path)
    assert result.return_value == 0, result.output
    assert "[procnotify] DriverUnload totals" in result.stdout


def test_what_is_no_driver_is_wrong_input(tmp_path: Path) -> None:
    result = tried(tmp_path / "none.sys")
    assert result.exception is not None and "cannot read the driver" in str(result.exception)
