"""The report as a file: reads the traces and the scenario files, writes the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from harness.errors import ProcnotifyError
from harness.events import Event
from harness.files import read_file, write_whole
from harness.report.html.matrixpage import matrix_page
from harness.report.html.page import html_page
from harness.runs.matrix import CellResult
from harness.trace.readable import Readable
from harness.trace.sources import TraceSource, open_trace
from harness.trace.witness import SeenBy
from harness.verdict.judgedrun import JudgedRun

__all__ = ["write_html", "write_matrix_html"]

_MAX_SCENARIO: Final = 4 << 20
"""Bytes of a scenario file that is shown."""


def write_html(
    path: Path,
    runs: Sequence[JudgedRun],
    *,
    often: Sequence[str] | None = None,
    source: TraceSource | None = None,
    drawn: Callable[[int], object] = lambda done: None,
) -> None:
    """Write the page about ``runs`` to ``path``, making its folder if need be.

    :param often: see :func:`~harness.report.html.page.html_page`.
    :param source: of the events of all of them; None: each has a trace of its own.
    :param drawn: told after each timeline how many are done.
    :raises OSError: it cannot be written.
    """
    page = html_page(runs, often=often, recorded=partial(_recorded, source), text_of=_text_of, drawn=drawn)
    write_whole(path, page.encode("utf-8"))


def write_matrix_html(path: Path, results: Sequence[CellResult]) -> None:
    """Write the page about the cells of a matrix to ``path``, making its folder if need be.

    :raises OSError: it cannot be written.
    """
    write_whole(path, matrix_page(results, path.parent).encode("utf-8"))


def _recorded(source: TraceSource | None, run: JudgedRun) -> Iterable[Event] | str:
    if run.trace is None:
        return "No timeline: this run has no trace."
    try:
        events = SeenBy(Readable(source or open_trace(run.trace)), run.witness)
        # What is damaged before its first event says so now.
        return events if any(True for _ in events) else "No timeline: the trace has no event."
    except ProcnotifyError as error:
        return f"No timeline: {error}"


def _text_of(path: Path) -> str:
    try:
        return read_file(path, limit=_MAX_SCENARIO).decode("utf-8", "replace")
    except OSError:
        return ""
