"""Every bug of NotifyBench is found and named, no mended twin raises an alarm, and the page tells of each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest import CaptureFixture, MonkeyPatch

from benchmarks.notifybench import command, search
from benchmarks.notifybench.bugs import BUGS
from benchmarks.notifybench.drivers import HERE, Drivers
from benchmarks.notifybench.search import Cell, find, in_processes, survive
from harness.virtual.dispatcher.policies import POLICIES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "notifybench.md"
TWIN_SEEDS = int(os.environ.get("PROCNOTIFY_SEEDS", "2"))
FOUND_WITHIN = 200
"""Schedules of the policy ``random``."""
Cells = Callable[..., Cell]


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Drivers:
    return Drivers(tmp_path_factory.mktemp("notifybench"), list(BUGS))


@pytest.fixture(scope="module")
def cell(drivers: Drivers) -> Cells:
    def made(bug: str, policy: str = "random", most: int = FOUND_WITHIN, *, mended: bool = False) -> Cell:
        return Cell(bug, policy, drivers.file(bug, mended=mended), most, float("inf"))

    return made


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_found_with_its_rule_and_its_function(cell: Cells, bug: str) -> None:
    found = find(cell(bug))
    assert not found.other
    assert found.seed is not None, f"not in {found.schedules} schedules"


@pytest.mark.parametrize("bug", BUGS)
def test_a_mended_twin_raises_no_alarm(cell: Cells, bug: str) -> None:
    for policy in ("default", "random"):
        survived = survive(cell(bug, policy, TWIN_SEEDS, mended=True))
        assert not survived.alarm, f"{policy}, seed {survived.seed}: {survived.alarm}"
        assert survived.schedules == TWIN_SEEDS


def test_cells_are_done_in_other_processes(cell: Cells) -> None:
    (found,) = in_processes(find, [cell("removes-itself", "default")], jobs=2)
    assert (found.schedules, found.cell.bug) == (1, "removes-itself")


def test_the_page_tells_of_every_bug_and_where_it_was() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, bug in BUGS.items():
        row = re.search(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
        assert row is not None, name
        assert bug.source in row[0] and bug.kind in row[0], name
    folders = {path.parent.name for path in HERE.glob("*/driver.c")}
    assert folders == set(BUGS) == {path.parent.name for path in HERE.glob("*/scenario.yaml")}


@pytest.fixture
def one_process(monkeypatch: MonkeyPatch, drivers: Drivers) -> None:
    """The command in this process, with the drivers that are built."""
    monkeypatch.setattr(command, "in_processes", lambda work, cells, jobs: map(work, cells))
    monkeypatch.setattr(command, "Drivers", lambda folder, bugs: drivers)


@pytest.mark.usefixtures("one_process")
def test_the_table_has_a_column_for_every_policy(capsys: CaptureFixture[str]) -> None:
    assert command.main(["--only", "removes-itself", "--schedules", "2"]) == 0
    head, row, total = capsys.readouterr().out.splitlines()[1:]
    assert [word.strip() for word in head.split("|")[1:]] == list(POLICIES)
    assert row.startswith("removes-itself ") and len(row.split("|")) == len(POLICIES) + 1
    assert total == "1 of 1 found"


@pytest.mark.usefixtures("one_process")
def test_what_is_not_found_and_what_else_is_wrong_are_no_success(
    capsys: CaptureFixture[str], monkeypatch: MonkeyPatch
) -> None:
    removes = BUGS["removes-itself"]
    monkeypatch.setitem(search.BUGS, "removes-itself", removes._replace(told="nothing says this"))
    assert command.main(["--only", "removes-itself", "--policy", "default", "--schedules", "2"]) == 1
    out = capsys.readouterr().out
    assert "- (1)" in out and "0 of 1 found" in out and "something else was wrong: seed 1" in out


@pytest.mark.usefixtures("one_process")
def test_an_alarm_of_a_twin_is_told_with_its_seed(
    capsys: CaptureFixture[str], drivers: Drivers, monkeypatch: MonkeyPatch
) -> None:
    assert command.main(["--mended", "1", "--only", "removes-itself", "--policy", "default"]) == 0
    assert "1 in" in capsys.readouterr().out
    broken = drivers.file("removes-itself", mended=False)
    monkeypatch.setattr(Drivers, "file", lambda self, bug, *, mended: broken)
    assert command.main(["--mended", "1", "--only", "removes-itself", "--policy", "default"]) == 1
    assert "alarm at seed 1: " in capsys.readouterr().out
