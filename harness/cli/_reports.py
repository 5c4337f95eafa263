"""The reports of runs beside the terminal's: JUnit XML, an HTML page, and what a CI service shows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import click

from harness.cli._reading import drawing_progress
from harness.errors import ProcnotifyError
from harness.files import cannot_write
from harness.report.ci.annotations import Annotation
from harness.report.ci.telling import annotate_ci, commands_among, tell_ci
from harness.report.html.writing import write_html
from harness.report.junit import write_junit
from harness.report.text import one_line
from harness.runs.result import RunResult
from harness.trace.sources import TraceSource
from harness.verdict.judgedrun import JudgedRun

__all__ = [
    "annotate_ci_service",
    "begin_report",
    "finish_html",
    "finish_junit",
    "html_option",
    "relay_to_ci_service",
    "tell_ci_service",
]

html_option = click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a report that a browser opens, without any network (docs/reports.md).",
)
"""``--html``: the command is called with ``html``, a path or None."""


def begin_report(path: Path, option: str) -> None:
    """Find out whether the report can be written before anything runs; what an earlier call wrote is gone,
    so that nobody takes it for this one's.

    :raises ProcnotifyError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("wb").close()
    except OSError as error:
        raise cannot_write(path, error, hint=f"choose another {option}") from None


def finish_html(
    path: Path,
    runs: Sequence[JudgedRun],
    *,
    often: Sequence[str] | None = None,
    source: TraceSource | None = None,
) -> list[ProcnotifyError]:
    """Write the page; why it cannot be written.

    :param often: of each run, how often its cause came.
    :param source: of the events of all runs; None: each has a trace of its own.
    """
    try:
        write_html(path, runs, often=often, source=source, drawn=drawing_progress())
    except OSError as error:
        return [cannot_write(path, error, hint="choose another --html")]
    return []


def finish_junit(path: Path, results: Sequence[RunResult]) -> list[ProcnotifyError]:
    """Write the report; why it cannot be written."""
    try:
        write_junit(path, results)
    except OSError as error:
        return [cannot_write(path, error, hint="choose another --junit")]
    return []


def tell_ci_service(results: Sequence[RunResult], *, to_stderr: bool) -> None:
    """Annotations and a summary, where the environment says that a CI service runs this.

    :param to_stderr: standard output is for something else; the services read both.
    """
    tell_ci(
        os.environ,
        results,
        command=partial(click.echo, err=to_stderr),
        warn=lambda why: click.echo(f"procnotify: warning: {one_line(why)}", err=True),
    )


def annotate_ci_service(annotations: Iterable[Annotation], *, to_stderr: bool) -> None:
    """The annotations alone, of what is no run."""
    annotate_ci(os.environ, annotations, command=partial(click.echo, err=to_stderr))


def relay_to_ci_service(logs: Iterable[Path], *, to_stderr: bool) -> None:
    """What calls of ours told the service into files, each line once."""
    texts = (log.read_text(encoding="utf-8", errors="replace") for log in logs if log.exists())
    told = (line for text in texts for line in commands_among(os.environ, text.split("\n")))
    for line in dict.fromkeys(told):
        click.echo(line, err=to_stderr)
