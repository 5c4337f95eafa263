"""Writing a trace as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO, Final

import msgspec

from harness.errors import TraceError
from harness.events import Event, kind_of
from harness.trace.columns.schema import COLUMNS, FOOTER_KEY, HEADER_KEY, KIND, Column, parquet
from harness.trace.format import Footer, Header, Record, encode

__all__ = ["ROWS", "ColumnStore"]

ROWS: Final = 1 << 16
"""Events that are held in memory before they are written, as one row group."""


class ColumnStore:
    """A :class:`~harness.trace.writer.RecordStore` that is a Parquet file. It can be read only when it was
    closed after its footer: Parquet has its index at the end.

    :raises RigError: pyarrow is not installed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._arrow, self._parquet = parquet()
        arrow = self._arrow
        self._types = {
            "string": arrow.string(),
            "json": arrow.string(),
            "int64": arrow.int64(),
            "uint64": arrow.uint64(),
            "float64": arrow.float64(),
            "bool": arrow.bool_(),
        }
        self._schema = arrow.schema(
            [(KIND, arrow.string()), *((column.name, self._types[column.type]) for column in COLUMNS)]
        )
        self._rows: list[Event] = []
        self._table: Any = None
        self._written = 0

    def write(self, records: Iterable[Header | Record]) -> None:
        """Take records; a row group is written when it is full.

        :raises TraceError: a number does not fit its column.
        """
        for record in records:
            if isinstance(record, Header):
                schema = self._schema.with_metadata({HEADER_KEY: encode(record)})
                self._table = self._parquet.ParquetWriter(self._file, schema, compression="zstd")
            elif isinstance(record, Footer):
                self._flush()
                self._table.add_key_value_metadata({FOOTER_KEY: encode(record)})
            else:
                self._rows.append(record)
                if len(self._rows) >= ROWS:
                    self._flush()

    def close(self) -> None:
        """Write what is held, and the index."""
        self._flush()
        if self._table is not None:
            self._table.close()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        kinds = list(map(kind_of, rows))
        there = frozenset(kinds)
        arrays = [self._arrow.array(kinds, self._arrow.string())]
        arrays += [self._array(column, rows, kinds, there) for column in COLUMNS]
        self._table.write_batch(self._arrow.record_batch(arrays, schema=self._schema), row_group_size=ROWS)
        self._written += len(rows)

    def _array(self, column: Column, rows: list[Event], kinds: list[str], there: frozenset[str]) -> Any:
        arrow_type = self._types[column.type]
        if not column.kinds & there:
            return self._arrow.nulls(len(kinds), arrow_type)
        name, having = column.name, column.kinds
        pairs = zip(rows, kinds, strict=True)
        values = [getattr(row, name) if kind in having else None for row, kind in pairs]
        if column.type == "json":
            values = [None if value is None else msgspec.json.encode(value).decode() for value in values]
        try:
            return self._arrow.array(values, arrow_type)
        except (OverflowError, ValueError) as error:  # of pyarrow, too, whose own are ValueErrors
            last = self._written + len(rows) - 1
            raise TraceError(
                f"one of the events {self._written} to {last} has a {name} that does not fit: {error}"
            ) from None
