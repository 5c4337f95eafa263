"""``procnotify matrix`` as its users call it, with real runs in its cells."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner

import harness.cli.matrix
from harness.cli import cli
from harness.toolchain import Arch, build_driver

ROOT = Path(__file__).resolve().parent.parent.parent
SCENARIO = str(ROOT / "scenarios" / "create-thread.yaml")
FAULTY = ROOT / "tests" / "drivers" / "never_prints_thread_exits"


def test_two_drivers_and_two_ways_to_listen(tmp_path: Path) -> None:
    good = build_driver(ROOT / "driver" / "procnotify", Arch.X64, tmp_path / "good.sys").path
    faulty = build_driver(FAULTY, Arch.X64, tmp_path / "faulty.sys").path
    words = ["--driver", str(good), "--driver", str(faulty), "--debugger", "native", "--debugger", "none"]
    places = ["--trace-dir", str(tmp_path / "traces"), "--junit", str(tmp_path / "junit.xml")]
    places += ["--html", str(tmp_path / "matrix.html")]
    done = CliRunner().invoke(
        cli,
        ["matrix", SCENARIO, *words, *places, "--json", "--", "--seeds", "1-2", "--keep-traces", "all"],
        standalone_mode=False,
    )
    assert done.return_value == 1, done.output
    document = json.loads(done.stdout)
    assert document["exit_code"] == 1
    assert [(Path(c["driver"]).stem, c["debugger"], c["exit_code"]) for c in document["cells"]] == [
        ("good", "native", 0), ("faulty", "native", 1), ("good", "none", 0), ("faulty", "none", 1),
    ]  # fmt: skip
    assert all(len(cell["results"]) == 2 for cell in document["cells"])
    assert all(Path(run["trace"]).exists() for cell in document["cells"] for run in cell["results"])
    assert "broken promise 0/2" in done.stderr and "passed 2/2" in done.stderr
    assert (tmp_path / "junit.xml").read_text(encoding="utf-8").count("<testsuite ") == 4
    page = (tmp_path / "matrix.html").read_text(encoding="utf-8")
    links = [tmp_path / unquote(link) for link in re.findall(r'href="(traces/.*?)"', page)]
    pages = [link.read_text(encoding="utf-8") for link in links]
    assert [text.count("Broken promise: 2 of 2 runs") for text in pages] == [0, 2, 0, 2]  # title and headline


def test_what_belongs_before_the_dashes_is_refused_behind_them(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli, ["matrix", SCENARIO, "--trace-dir", str(tmp_path), "--", "--driver=x.sys"], standalone_mode=False
    )
    assert "--driver stands behind --; it is an option of matrix itself" in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_who_hands_out_no_drivers_is_refused_before_anything_runs(tmp_path: Path) -> None:
    words = ["--debugger", "native", "--debugger", "none", "--kdfiles", "--trace-dir", str(tmp_path)]
    done = CliRunner().invoke(cli, ["matrix", SCENARIO, *words], standalone_mode=False)
    assert "--debugger none has no files for it; choose --debugger native or pykd" in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_each_cell_is_asked_to_have_its_debugger_hand_out_the_drivers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Sequence[str]] = []

    def run_matrix(cells: object, arguments: Sequence[str], folder: Path, **_: object) -> list[object]:
        asked.append(arguments)
        return []

    monkeypatch.setattr(harness.cli.matrix, "run_matrix", run_matrix)
    words = ["--kdfiles", "--trace-dir", str(tmp_path), "--", "--seeds", "1-2"]
    CliRunner().invoke(cli, ["matrix", SCENARIO, *words], standalone_mode=False)
    assert asked == [(SCENARIO, "--seeds", "1-2", "--kdfiles")]


def test_a_wrong_machine_is_wrong_input_of_its_cell_alone(tmp_path: Path) -> None:
    words = ["--machine", "virtual", "--machine", "no such machine"]
    done = CliRunner().invoke(
        cli, ["matrix", SCENARIO, *words, "--trace-dir", str(tmp_path), "--json"], standalone_mode=False
    )
    good, wrong = json.loads(done.stdout)["cells"]
    assert (done.return_value, good["exit_code"], wrong["exit_code"]) == (2, 0, 2)
    assert "no machine named 'no such machine'" in wrong["error"]
