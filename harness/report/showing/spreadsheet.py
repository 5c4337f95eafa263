"""The events of a recording as comma-separated values, for spreadsheets and analysts.

RFC 4180 with a heading; UTF-8, a line feed behind each row, empty where an event has no such field. A row is
a line, whatever the target's names hold. A spreadsheet takes a cell for a formula that begins with ``=``,
``+``, ``-`` or ``@``: such a text has an apostrophe before it, which a spreadsheet reads as "this is text".
So has what comes behind a semicolon: where the decimal sign is a comma, spreadsheets divide rows there,
whatever is quoted.
Addresses are in hexadecimal, since spreadsheets keep 15 digits of a number.
"""

from __future__ import annotations

import csv
import unicodedata
from typing import Final, TextIO

import msgspec

from harness.events import Event, kind_of
from harness.report.text import one_line
from harness.trace.columns.schema import COLUMNS, Column
from harness.trace.lives import Life

__all__ = ["MAX_CELL", "SpreadsheetRows"]

MAX_CELL: Final = 32_767
"""Characters of a cell, as many as Excel has; a longer text is cut."""
_FORMULA: Final = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
"""Begins one; also in full width."""


class SpreadsheetRows:
    """Writes the chosen events, in their order.

    :param file: opened with ``newline=""``.
    """

    def __init__(self, file: TextIO) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._rows.writerow(["kind", "program", *(column.name for column in COLUMNS)])

    def take(self, event: Event, life: Life | None) -> None:
        """Write a row.

        :param life: the process that the event is about.
        """
        program = "" if life is None else life.program
        values = (_cell(column, getattr(event, column.name, None)) for column in COLUMNS)
        self._rows.writerow([kind_of(event), _text(program), *values])


def _cell(column: Column, value: object) -> str:
    match column.type:
        case _ if value is None:
            return ""
        case "string":
            return _text(str(value))
        case "uint64":
            return hex(value) if isinstance(value, int) and value >= 0 else str(value)
        case "json":
            return _text(msgspec.json.encode(value).decode("utf-8"))
        case _:
            return str(value)


def _text(text: str) -> str:
    shown = one_line(text)
    parts = shown.split(";")
    return ";".join(f"'{part}" if _begins_a_formula(part) else part for part in parts)[:MAX_CELL]


def _begins_a_formula(text: str) -> bool:
    """Whether one is left when what a spreadsheet does not see is away: blanks, format characters, and the
    quotation marks of a cell."""
    for character in text:
        if character in _FORMULA:
            return True
        unseen = character == '"' or character.isspace() or unicodedata.category(character) == "Cf"
        if not unseen:
            return False
    return False
