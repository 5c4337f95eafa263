"""The reports of runs beside the terminal's: JUnit XML, and what a CI service shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from harness.errors import ProcnotifyError
from harness.files import cannot_write
from harness.report.ci.telling import tell_ci
from harness.report.junit import write_junit
from harness.report.text import one_line
from harness.runs.result import RunResult

__all__ = ["begin_junit", "finish_junit", "tell_ci_service"]


def begin_junit(path: Path) -> None:
    """Find out whether the report can be written before anything runs; what an earlier call wrote is gone,
    so that nobody takes it for this one's.

    :raises ProcnotifyError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("wb").close()
    except OSError as error:
        raise cannot_write(path, error, hint="choose another --junit") from None


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
