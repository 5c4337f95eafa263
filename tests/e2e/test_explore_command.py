"""``procnotify explore`` on a driver with a planted race and on its mended twin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import harness.cli
from harness.toolchain import Arch, build_driver

EXECUTIONS = Path(__file__).resolve().parents[1] / "virtual" / "executions"
SCENARIO = """\
scenario: race
summary: A program with threads starts and ends.
observe: true
steps:
  - launch: {image: notepad.exe, as: notepad}
  - settle: {quiet: 300ms, max: 10s}
  - terminate: notepad
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explored")
    built = folder / "executions.sys"
    build_driver(EXECUTIONS, Arch.X64, built)
    for case in ("fills-unlocked", "fills-locked"):
        shutil.copy(built, folder / f"{case}.sys")
    (folder / "race.yaml").write_text(SCENARIO, encoding="utf-8")
    return folder


def call(folder: Path, *words: object, driver: str = "fills-unlocked") -> tuple[int, str]:
    arguments = [
        *map(str, words),
        "--driver",
        str(folder / f"{driver}.sys"),
        "--trace-dir",
        str(folder / "t"),
    ]
    result = CliRunner().invoke(harness.cli.cli, arguments, standalone_mode=False)
    if result.exception is not None:
        return getattr(result.exception, "exit_code", -1), str(result.exception)
    return int(result.return_value), result.stdout


def explored(folder: Path, *words: object, driver: str = "fills-unlocked") -> tuple[int, dict[str, object]]:
    words = ("explore", folder / "race.yaml", "--json", "-q", "--out", folder / "replays", *words)
    code, output = call(folder, *words, driver=driver)
    return code, json.loads(output)


def test_a_race_is_found_shrunk_and_repeats_from_its_replay_file(folder: Path) -> None:
    code, found = explored(folder, "--seeds", 2, "--cpus", 1)
    assert code == 4
    (failure,) = found["failures"]  # type: ignore[misc]  # a list
    assert "0x000000c2 BAD_POOL_CALLER" in failure["reason"]
    assert 1 <= failure["shrunk_to"] <= 3
    assert failure["shrunk_to"] < failure["preemptions"]
    code, output = call(folder, "run", "--replay", failure["replay"], "--debugger", "none")
    assert code == 4
    assert "BAD_POOL_CALLER" in output
    code, output = call(
        folder, "run", "--replay", failure["replay"], "--debugger", "none", driver="fills-locked"
    )
    assert code == 2
    assert "the driver is another one than in the replay: fills-locked.sys" in output


def test_several_processes_find_what_one_finds(folder: Path) -> None:
    one, several = (explored(folder, "--seeds", 4, "--no-shrink", "--cpus", cpus) for cpus in (1, 2))
    assert one == several


def test_the_mended_twin_holds_and_there_is_no_baseline(folder: Path) -> None:
    code, found = explored(folder, "--seeds", 4, "--cpus", 1, driver="fills-locked")
    assert (code, found["failed"], found["schedules"], found["baseline"]) == (0, 0, 4, None)


def test_every_schedule_without_a_preemption_is_one(folder: Path) -> None:
    words = ("--policy", "exhaustive", "--preemptions", 0, "--cpus", 1)
    code, found = explored(folder, *words)
    assert (code, found["schedules"], found["proved"]) == (0, 1, True)
    code, found = explored(folder, *words[:2], "--max-schedules", 2, "--cpus", 1)
    assert (found["schedules"], found["complete"], found["proved"]) == (2, False, False)


def test_what_is_no_policy_or_no_scenario_is_refused(folder: Path) -> None:
    code, output = call(folder, "explore", folder / "race.yaml", "--policy", "chaos")
    assert code == 2
    assert "there is no policy 'chaos'; known: default, random, urw, pct, pos, exhaustive" in output
    code, output = call(folder, "explore", folder / "none.yaml")
    assert code == 2
    assert "cannot be read" in output


@pytest.mark.parametrize("option", ["--preemptions", "--max-schedules"])
def test_a_bound_that_nobody_would_keep_is_refused(folder: Path, option: str) -> None:
    code, said = call(folder, "explore", folder / "race.yaml", option, 2)
    assert (code, f"{option} is a bound of --policy exhaustive" in said) == (2, True)
