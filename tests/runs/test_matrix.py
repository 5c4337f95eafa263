"""A matrix of runs: who runs beside whom, and what becomes of a run that ends otherwise than it should."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.outcome import Outcome
from harness.report.matrix import cell_line, matrix_table, write_matrix_junit
from harness.runs import matrix
from harness.runs.matrix import CellResult, MatrixCell, MatrixInterrupted, matrix_cells, run_matrix

# A stand-in for procnotify: notes its words and who runs beside it, then ends as its machine's name says.
PROGRAM = """
import json, os, signal, sys, time
from pathlib import Path

words = sys.argv[1:]
option = lambda name: words[words.index(name) + 1]
machine, folder, where = option("--machine"), Path(option("--trace-dir")), Path(words[1])
with (where / "words.txt").open("a") as out:
    out.write(json.dumps(words) + "\\n")
mine = where / f"running-{machine}"
mine.open("x").close()
if machine.startswith("meets"):
    while sum(path.name.startswith("running-meets") for path in where.iterdir()) < 2:
        time.sleep(0.01)
if machine in ("waits", "deaf"):
    if machine == "deaf":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    (where / "waiting").touch()
    try:
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        (where / "let go").touch()
        sys.exit(130)
if not machine.startswith("meets"):
    mine.unlink()
if machine == "dies":
    print("the last words", file=sys.stderr)
    os._exit(99)
if machine == "babbles":
    print("no JSON")
    sys.exit(0)
code = {"breaks": 1, "crashes": 4}.get(machine, 0)
promises = {"held": 7, "not_judged": 2, "why": []}
results = [{"scenario": "s", "reason": "because" if code else "", "exit_code": code, "promises": promises}]
suite = '<testsuite name="x"><testcase name="s"/></testsuite>'
(folder / "junit.xml").write_text(f"<testsuites>{suite}</testsuites>")
print(json.dumps({"results": results, "exit_code": code}))
sys.exit(code)
"""


@pytest.fixture
def program(tmp_path: Path) -> Sequence[str]:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8", newline="\n")
    return (sys.executable, str(path))


def run(
    cells: Sequence[MatrixCell], folder: Path, program: Sequence[str], *, jobs: int = 9
) -> list[CellResult]:
    told: list[CellResult] = []
    results = run_matrix(cells, [str(folder)], folder / "cells", jobs=jobs, tell=told.append, program=program)
    assert sorted(map(id, told)) == sorted(map(id, results))
    return results


def words_of(folder: Path) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "words.txt").read_text(encoding="utf-8").splitlines()]


def test_every_combination_comes_once() -> None:
    cells = matrix_cells(["a", "b", "a"], ["native"], [None, Path("x.sys")])
    assert [str(cell) for cell in cells] == ["a, native", "a, native, x.sys", "b, native", "b, native, x.sys"]


def test_machines_run_side_by_side(tmp_path: Path, program: Sequence[str]) -> None:
    results = run(matrix_cells(["meets-1", "meets-2"], ["native"], [None]), tmp_path, program)
    assert [result.outcome for result in results] == [Outcome.PASSED] * 2


def test_the_cells_of_one_machine_run_one_after_the_other(tmp_path: Path, program: Sequence[str]) -> None:
    # The stand-in ends with an error where another one runs on its machine.
    cells = matrix_cells(["one"], ["native", "pykd", "ntoseye"], [None, Path("x.sys")])
    results = run(cells, tmp_path, program)
    assert [result.cell for result in results] == list(cells)
    assert [result.outcome for result in results] == [Outcome.PASSED] * 6
    assert [words[words.index("--debugger") + 1] for words in words_of(tmp_path)] == [
        *("native", "native", "pykd", "pykd", "ntoseye", "ntoseye")
    ]


def test_each_cell_has_a_folder_of_its_own(tmp_path: Path, program: Sequence[str]) -> None:
    cells = matrix_cells(["m"], ["native"], [Path("a/x.sys"), Path("b/x.sys")])
    folders = [result.folder for result in run(cells, tmp_path, program)]
    assert len(set(folders)) == 2 and all((folder / "run.log").exists() for folder in folders)


@pytest.mark.parametrize(
    ("machine", "outcome", "reason"),
    [
        ("breaks", Outcome.BROKEN, "s: because"),
        ("crashes", Outcome.BUGCHECK, "s: because"),
        ("dies", Outcome.RIG, "exit code 99 and said last: the last words"),
        ("babbles", Outcome.RIG, "exit code 0 and without a word"),
    ],
)
def test_what_becomes_of_a_run_is_told(
    machine: str, outcome: Outcome, reason: str, tmp_path: Path, program: Sequence[str]
) -> None:
    good, bad = run(matrix_cells(["m", machine], ["native"], [None]), tmp_path, program)
    assert good.outcome is Outcome.PASSED
    assert bad.outcome is outcome
    assert reason in bad.reason
    assert reason in cell_line(bad).plain
    junit = tmp_path / "junit.xml"
    write_matrix_junit(junit, [good, bad])
    text = junit.read_text(encoding="utf-8")
    assert '<testsuite name="m, native"' in text and f'<testsuite name="{machine}, native"' in text
    if not bad.runs:
        assert 'type="rig failed"' in text and reason in text
    (row,) = [i for i, cell in enumerate(matrix_table([good, bad]).columns[0].cells) if cell == machine]
    assert str(list(matrix_table([good, bad]).columns[2].cells)[row]).startswith(outcome.words)


@pytest.mark.parametrize("machine", ["waits", "deaf"])
def test_ctrl_c_asks_each_run_to_end_and_ends_one_that_does_not_hear(
    machine: str, tmp_path: Path, program: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if machine == "deaf":
        monkeypatch.setattr(matrix, "END_SECONDS", 0.3)

    def interrupted(running: object, timeout: float | None = None) -> object:
        if timeout is not None:
            for _ in range(6000):
                if (tmp_path / "waiting").exists():
                    raise KeyboardInterrupt
                threading.Event().wait(0.01)
        return real(running, timeout)  # type: ignore[arg-type]

    real = matrix.wait
    monkeypatch.setattr(matrix, "wait", interrupted)
    cells = matrix_cells([machine], ["native", "pykd"], [None])
    with pytest.raises(MatrixInterrupted) as ended:
        run_matrix(cells, [str(tmp_path)], tmp_path / "c", jobs=1, tell=lambda _: None, program=program)
    (result,) = ended.value.results  # the one behind it never began
    assert (result.outcome, result.error) == (Outcome.RIG, "interrupted")
    assert (tmp_path / "let go").exists() is (machine == "waits" and sys.platform != "win32")
    assert len(words_of(tmp_path)) == 1
