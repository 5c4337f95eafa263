"""The page about a matrix."""

from __future__ import annotations

import re
from pathlib import Path

from harness.outcome import Outcome
from harness.report.html.matrixpage import CELL_PAGE, matrix_page
from harness.report.html.writing import write_matrix_html
from harness.runs.matrix import CellResult, MatrixCell

RUN = {"scenario": "a", "reason": "<b>why</b>", "exit_code": 1, "promises": {"held": 3, "not_judged": 1}}


def cell(folder: Path, machine: str, driver: str | None, outcome: Outcome) -> CellResult:
    own = folder / f"{driver} #1"
    own.mkdir(parents=True)
    if driver != "gone.sys":
        (own / CELL_PAGE).write_text("page", encoding="utf-8", newline="\n")
    runs = [RUN] if outcome is Outcome.BROKEN else []
    path = None if driver is None else Path(driver)
    return CellResult(MatrixCell(machine, "native", path), outcome, own, 1.0, "", runs)


def test_every_cell_says_how_it_ended_and_leads_to_its_runs(tmp_path: Path) -> None:
    results = [
        cell(tmp_path / "m", "lab<1>", None, Outcome.PASSED),
        cell(tmp_path / "m", "lab<1>", "a.sys", Outcome.BROKEN),
        cell(tmp_path / "m", "virtual", "gone.sys", Outcome.RIG),
    ]
    page = matrix_page(results, tmp_path)
    assert "<h1>1 of 3 cells without a failure</h1>" in page
    assert re.findall(r'<th scope="col">(.*?)</th>', page) == [
        *("machine", "debugger", "own driver", "a.sys", "gone.sys")
    ]
    links = re.findall(r'<a [^>]*href="(.*?)">(.*?)</a>', page)
    assert links == [
        ("m/None%20%231/report.html", "passed"),
        ("m/a.sys%20%231/report.html", "broken promise"),
    ]
    assert "0 of 1 runs passed, 3 promises held, 1 not judged" in page
    assert "a: &lt;b&gt;why&lt;/b&gt;" in page
    assert page.count("not run") == 3
    assert "default-src 'none'" in page


def test_it_is_written_where_there_is_no_folder_yet(tmp_path: Path) -> None:
    write_matrix_html(tmp_path / "new" / "matrix.html", [])
    assert "0 of 0 cells" in (tmp_path / "new" / "matrix.html").read_text(encoding="utf-8")
