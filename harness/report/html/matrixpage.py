"""The page about a matrix: a table of its cells, each with a link to the page about its runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote
from xml.etree.ElementTree import Element

from harness.report.html.article import state_class
from harness.report.html.elements import add, html_of
from harness.report.html.frame import DOCTYPE, add_head
from harness.report.promises import promise_count
from harness.runs.matrix import CellResult

__all__ = ["CELL_PAGE", "matrix_page"]

CELL_PAGE = "report.html"
"""In a cell's folder: the page about its runs."""


def matrix_page(results: Sequence[CellResult], folder: Path) -> str:
    """The page about these cells.

    :param folder: where the page will lie; links lead from there.
    """
    html = Element("html", {"lang": "en"})
    passed = sum(not result.outcome.failed for result in results)
    title = f"{passed} of {len(results)} cells without a failure"
    add_head(html, title=title)
    body = add(html, "body")
    main = add(body, "main", id="main")
    add(main, "h1", title)
    table = add(add(main, "div", class_="wide"), "table", class_="matrix")
    add(table, "caption", "A row a machine and debugger, a column a driver", class_="unseen")
    drivers = list(dict.fromkeys(result.cell.driver for result in results))
    head = add(add(table, "thead"), "tr")
    names = ("own driver" if driver is None else driver.name for driver in drivers)
    for words in ("machine", "debugger", *names):
        add(head, "th", words, scope="col")
    rows = add(table, "tbody")
    by_cell = {(result.cell.machine, result.cell.debugger, result.cell.driver): result for result in results}
    for machine, debugger in dict.fromkeys((r.cell.machine, r.cell.debugger) for r in results):
        row = add(rows, "tr")
        add(row, "th", machine, scope="row")
        add(row, "td", debugger)
        for driver in drivers:
            _add_cell(add(row, "td"), by_cell.get((machine, debugger, driver)), folder)
    add(add(body, "footer"), "p", "Written by procnotify. This file loads nothing and sends nothing.")
    return DOCTYPE + html_of(html) + "\n"


def _add_cell(place: Element, result: CellResult | None, folder: Path) -> None:
    if result is None:
        add(place, "span", "not run", class_="facts")
        return
    badge = f"badge {state_class(result.outcome.words)}"
    page = result.folder / CELL_PAGE
    if page.is_file() and page.stat().st_size:
        add(place, "a", result.outcome.words, href=_link(page, folder), class_=badge)
    else:
        add(place, "span", result.outcome.words, class_=badge)
    facts = [f"{result.passed} of {len(result.runs)} runs passed"]
    if result.runs:
        facts.append(promise_count(result.held, result.not_judged))
    add(place, "p", ", ".join(facts), class_="facts")
    if result.outcome:
        add(place, "p", result.reason)


def _link(page: Path, folder: Path) -> str:
    try:
        return quote(Path(os.path.relpath(page, folder)).as_posix())
    except ValueError:  # on another drive of Windows
        return page.resolve().as_uri()
