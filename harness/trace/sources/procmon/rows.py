"""The rows of a Process Monitor CSV export, one record an event."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from harness.errors import TraceError
from harness.trace.sources.imported import Damaged
from harness.trace.sources.unpacked import open_unpacked

__all__ = ["DAY", "MAX_FIELD", "ProcmonRow", "claims_csv", "csv_rows", "time_of_day"]

MAX_FIELD: Final = 128 << 10
"""Characters of one field; the environment of a process, the longest, has at most 32,767 in Windows."""

DAY: Final = 24 * 3600 * 10_000_000
"""In 100 ns units."""

_CLAIM: Final = re.compile(r'\ufeff?"(?:Time of Day|Process Name|PID|Sequence)"(?:,"[^"\n]*")+\r?(?:\n|$)')
_NEEDED: Final = ("Time of Day", "PID", "Operation", "Path", "Detail")
_TIME: Final = re.compile(r"(\d{1,2}):(\d\d):(\d\d)[.,](\d{7})(?: ([AP])M)?", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,10}", re.ASCII)
_MAX_LINE: Final = 64 << 10
_MAX_COLUMNS: Final = 64


class ProcmonRow(NamedTuple):
    """One event as Process Monitor's driver recorded it; fields of columns that are not shown are None."""

    where: str
    """File and line."""
    time: int
    """In 100 ns units since the beginning of the recording's first day."""
    pid: int
    operation: str
    path: str
    detail: str
    process_name: str | None = None
    tid: int | None = None
    """The thread in whose context it happened."""
    parent_pid: int | None = None
    image_path: str | None = None


def claims_csv(head: str) -> bool:
    """Whether a text that begins so is such an export."""
    return _CLAIM.match(head) is not None


def time_of_day(text: str) -> int | None:
    """``7:37:18.2093997 AM`` in 100 ns units since midnight; None: it is no time of day."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds = (int(match[part]) for part in (1, 2, 3))
    if match[5]:
        hours = hours % 12 + (12 if match[5] == "P" else 0)
    return ((hours * 60 + minutes) * 60 + seconds) * 10_000_000 + int(match[4])


def csv_rows(path: Path, *, needed: tuple[str, ...] = ()) -> Iterator[ProcmonRow]:
    """Every row in its order, from a file that may be compressed by gzip or xz.

    A day that ends between two rows is counted on.

    :param needed: columns that must be there, besides those without which a row means nothing.
    :raises TraceError: there is no such column.
    :raises Damaged: a row is damaged, or earlier than the row before it.
    :raises OSError: the file cannot be read.
    """
    with io.TextIOWrapper(open_unpacked(path), encoding="utf-8-sig", errors="replace", newline="\n") as file:
        pieces = iter(lambda: file.readline(_MAX_LINE), "")
        reader = csv.reader(pieces, strict=True)
        columns = _columns(path, reader, (*_NEEDED, *needed))
        days = latest = 0
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise Damaged(f"{path}:{reader.line_num}: damaged: {error}") from None
            if fields is None:
                return
            where = f"{path}:{reader.line_num}"
            if len(fields) != len(columns):
                raise Damaged(f"{where}: damaged: {len(fields)} fields where {len(columns)} belong")
            row = dict(zip(columns, fields, strict=True))
            time = time_of_day(row["Time of Day"])
            if time is None:
                raise Damaged(f"{where}: {row['Time of Day'][:40]!r} is not a time of day")
            time += days
            if time + DAY // 2 < latest:
                days, time = days + DAY, time + DAY
            if time < latest:
                raise Damaged(
                    f"{where}: the row is earlier than the one before it",
                    hint="export the events sorted by their time, as they were recorded",
                )
            latest = time
            yield _row(where, time, row)


def _columns(path: Path, reader: Iterator[list[str]], needed: tuple[str, ...]) -> list[str]:
    try:
        columns = next(reader, [])
    except csv.Error as error:
        raise TraceError(f"{path}:1: damaged: {error}") from None
    missing = sorted(set(needed).difference(columns))
    if missing:
        raise TraceError(
            f"{path}: no column {', '.join(missing)}",
            hint="export from Process Monitor with these columns shown",
        )
    if len(columns) > _MAX_COLUMNS or len(set(columns)) < len(columns):
        raise TraceError(f"{path}: a column stands twice, or there are more than {_MAX_COLUMNS}")
    return columns


def _row(where: str, time: int, row: Mapping[str, str]) -> ProcmonRow:
    return ProcmonRow(
        where,
        time,
        _number(where, "PID", row["PID"]),
        row["Operation"],
        row["Path"],
        row["Detail"],
        row.get("Process Name"),
        _number(where, "TID", row["TID"]) if "TID" in row else None,
        _number(where, "Parent PID", row["Parent PID"]) if "Parent PID" in row else None,
        row.get("Image Path"),
    )


def _number(where: str, column: str, text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise Damaged(f"{where}: {column} is {text[:40]!r}, which is no number")
    return int(text)
