"""The files that ``show`` writes for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from harness.errors import UsageError
from harness.files import cannot_write, whole_file
from harness.report.showing.spreadsheet import SpreadsheetRows
from harness.report.text import one_line
from harness.trace.columns import SUFFIX
from harness.trace.conversion import convert
from harness.trace.sources import TraceSource

__all__ = ["rows_to", "write_table"]


@contextmanager
def rows_to(path: Path | None) -> Iterator[SpreadsheetRows | None]:
    """What writes rows to ``path``, which appears whole or not at all; None: none is wanted.

    :raises UsageError: it cannot be written.
    """
    if path is None:
        yield None
        return
    try:
        with whole_file(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
            yield SpreadsheetRows(file)
            file.close()  # before it takes its name: Windows renames no open file
    except OSError as error:
        raise cannot_write(path, error, hint="choose another --csv") from None
    _say_written(path)


def write_table(source: TraceSource, path: Path) -> None:
    """Write all events as a Parquet table.

    :raises UsageError: its name says that it is no such table, or it cannot be written.
    """
    if path.suffix.lower() != SUFFIX:
        raise UsageError(f"{path} does not end in {SUFFIX}", hint=f"--parquet {path.with_suffix(SUFFIX)}")
    convert(source, path, force=True)
    _say_written(path)


def _say_written(path: Path) -> None:
    click.echo(f"procnotify: {one_line(str(path))} written", err=True)
