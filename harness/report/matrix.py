"""The results of a matrix: a table for people, one JUnit document, and values that JSON has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from junitparser import Error, JUnitXml, JUnitXmlError, TestCase, TestSuite
from rich.table import Table
from rich.text import Text

from harness.report.promises import promise_count
from harness.report.terminal import OUTCOME_STYLES
from harness.report.text import one_line, printable
from harness.runs.matrix import CellResult

__all__ = ["cell_as_json", "cell_line", "matrix_table", "write_matrix_junit"]


def cell_line(result: CellResult) -> Text:
    """One cell that has come to its end; of one that did not pass, why, and where more stands."""
    line = Text(f"{result.outcome.words:<14}", style=OUTCOME_STYLES[result.outcome])
    facts = f" {one_line(str(result.cell))}  {result.passed} of {len(result.runs)} runs passed"
    if result.runs:
        facts += f", {promise_count(result.held, result.not_judged)}"
    line.append(f"{facts}  {result.seconds:.1f} s", style="default")
    if result.outcome:
        line.append(f"\n    {one_line(result.reason)}", style="default")
        line.append(f"\n    {one_line(str(result.folder / 'run.log'))}", style="default")
    return line


def matrix_table(results: Sequence[CellResult]) -> Table:
    """A row a machine and debugger, a column a driver."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("machine")
    table.add_column("debugger")
    drivers = list(dict.fromkeys(result.cell.driver for result in results))
    for driver in drivers:
        table.add_column("own driver" if driver is None else one_line(driver.name))
    by_cell = {(r.cell.machine, r.cell.debugger, r.cell.driver): r for r in results}
    for machine, debugger in dict.fromkeys((r.cell.machine, r.cell.debugger) for r in results):
        found = [by_cell.get((machine, debugger, driver)) for driver in drivers]
        table.add_row(one_line(machine), debugger, *map(_shown, found))
    return table


def _shown(result: CellResult | None) -> Text:
    if result is None:
        return Text("not run", style="dim")
    counts = f" {result.passed}/{len(result.runs)}" if result.runs else ""
    if result.not_judged:
        counts += f", {result.not_judged} not judged"
    return Text(f"{result.outcome.words}{counts}", style=OUTCOME_STYLES[result.outcome])


def cell_as_json(result: CellResult) -> dict[str, object]:
    """One cell; its runs as ``run --json`` tells them."""
    cell = result.cell
    return {
        "machine": cell.machine,
        "debugger": cell.debugger,
        "driver": cell.driver,
        "outcome": result.outcome.words,
        "exit_code": int(result.outcome),
        "error": result.error,
        "seconds": round(result.seconds, 3),
        "promises": {"held": result.held, "not_judged": result.not_judged},
        "folder": result.folder,
        "results": list(result.runs),
    }


def write_matrix_junit(path: Path, results: Sequence[CellResult]) -> None:
    """Write one document with a test suite for each cell.

    :raises OSError: it cannot be written.
    """
    document = JUnitXml()
    for result in results:
        for suite in _suites(result):
            suite.name = printable(str(result.cell))
            document.add_testsuite(suite)
    document.update_statistics()
    path.parent.mkdir(parents=True, exist_ok=True)
    document.write(str(path), pretty=True)


def _suites(result: CellResult) -> list[TestSuite]:
    """What the cell's run wrote; of one that wrote nothing, that it did not."""
    try:
        written = JUnitXml.fromfile(str(result.folder / "junit.xml"))
        suites = [suite for suite in written if isinstance(suite, TestSuite)]
    except (OSError, SyntaxError, JUnitXmlError):  # an XML that is not whole is a SyntaxError
        suites = []
    if any(len(suite) for suite in suites):
        return suites
    suite = TestSuite("")
    case = TestCase("run", classname="procnotify")
    case.result = [Error(printable(result.error or "nothing ran"), result.outcome.words)]
    suite.add_testcase(case)
    return [suite]
