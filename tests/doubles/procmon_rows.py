"""A Process Monitor CSV export, written row by row."""

from __future__ import annotations

import csv
import io

__all__ = ["COLUMNS", "export", "row"]

COLUMNS = ("Time of Day", "Process Name", "PID", "Operation", "Path", "Result", "Detail", "TID", "Parent PID")


def row(time: str, pid: int, operation: str, *, path: str = "", detail: str = "", tid: int = 9) -> list[str]:
    return [time, "a.exe", str(pid), operation, path, "SUCCESS", detail, str(tid), "4"]


def export(*rows: list[str], columns: tuple[str, ...] = COLUMNS) -> str:
    """The text of a file; of the rows the cells of ``columns``."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    kept = [COLUMNS.index(column) for column in columns]
    writer.writerows([cells[place] for place in kept] for cells in rows)
    return text.getvalue()
