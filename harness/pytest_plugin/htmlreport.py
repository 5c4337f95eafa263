"""``--procnotify-html``: the page about the session's scenario runs, also those of xdist's workers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.runs.result import RunResult

__all__ = ["HtmlReport", "carry_run", "require_page"]

_BEGINNING = b"<!doctype html"
_CARRIED = "procnotify_run"
"""Attribute of the report that brings a run to the process that writes the page."""


def carry_run(report: pytest.TestReport, result: RunResult) -> None:
    """Let the report bring the run along; it is of this very version, so it may be pickled."""
    report.__dict__[_CARRIED] = pickle.dumps(result)


def require_page(path: Path) -> None:
    """See that where something is, it is an earlier page: what a session will read is not known yet.

    :raises pytest.UsageError: something else is there.
    """
    if not path.exists():
        return
    page = False
    if path.is_file():
        with path.open("rb") as file:
            page = file.read(len(_BEGINNING)).lower() == _BEGINNING
    if not page and (not path.is_file() or path.stat().st_size):
        raise pytest.UsageError(
            f"--procnotify-html: {path} is there, and is no HTML page; choose another file"
        )


class HtmlReport:
    """Takes the runs that reports bring, and writes the page when the session ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results: list[RunResult] = []
        self._failure = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        carried: bytes | None = report.__dict__.pop(_CARRIED, None)
        if carried is not None:
            self._results.append(pickle.loads(carried))

    def pytest_sessionfinish(self) -> None:
        from harness.report.frequency import frequencies
        from harness.report.html.writing import write_html

        # Workers end in any order.
        self._results.sort(key=lambda result: (str(result.path), result.scenario, result.seed))
        try:
            write_html(self._path, self._results, often=frequencies(self._results))
        except OSError as error:
            self._failure = f"cannot write {self._path}: {error.strerror or error}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        from harness.report.text import one_line

        if self._failure:
            terminalreporter.line(one_line(f"procnotify: {self._failure}"), red=True)
        else:
            terminalreporter.write_sep("-", one_line(f"procnotify HTML report: {self._path}"))
