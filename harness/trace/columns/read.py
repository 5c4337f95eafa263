"""Reading a trace that is a table, as a stream; memory does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from harness.errors import TraceError
from harness.events import KINDS, Event
from harness.trace.columns.schema import COLUMNS, FOOTER_KEY, HEADER_KEY, KIND, parquet
from harness.trace.format import FORMAT, Footer, Header

__all__ = ["ColumnTrace"]

_ROWS: Final = 1 << 14
"""Rows that are looked at in one go."""
MAX_METADATA: Final = 64 << 20
"""Bytes of the longest text in the file's own description, the trace's header among them."""
MAX_ENTRIES: Final = 1 << 22
"""Parts that the description may have: row groups times columns, above all."""

_T = TypeVar("_T")
_TEXTS = {KIND, *(column.name for column in COLUMNS if column.type in ("string", "json"))}
_KEPT = {
    field.name
    for kind in KINDS.values()
    for field in msgspec.structs.fields(kind)
    if field.default not in (None, msgspec.NODEFAULT)
}
"""Fields that stand for something else where they are left out than where they are null."""
_JSON = {column.name for column in COLUMNS if column.type == "json"}


class ColumnTrace:
    """One pass over the table.

    :raises RigError: pyarrow is not installed.
    :raises TraceError: the file cannot be read, is damaged, or is not a trace.
    """

    damage = ""
    """Damage raises an error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open(()) as file:
            metadata = file.metadata.metadata or {}
            if HEADER_KEY not in metadata:
                raise TraceError(
                    f"{path}: a Parquet table, but not of a trace", hint="`procnotify convert` writes one"
                )
            self.header = self._decoded(metadata[HEADER_KEY], Header)
            if self.header.format > FORMAT:
                raise TraceError(
                    f"{path}: the trace has format {self.header.format}, known is {FORMAT}",
                    hint="update procnotify",
                )
            self.footer = self._decoded(metadata[FOOTER_KEY], Footer) if FOOTER_KEY in metadata else None
            names = {KIND, *(column.name for column in COLUMNS)}
            self._names = [name for name in file.schema_arrow.names if name in names]

    def __iter__(self) -> Iterator[Event]:
        index = 0
        texts = [name for name in self._names if name in _TEXTS]
        with self._open(texts) as file:
            batches = file.iter_batches(batch_size=_ROWS, columns=self._names, use_threads=False)
            while (batch := self._next(batches, index)) is not None:
                for event in self._events(batch, index):
                    if event.index != index:
                        raise self._damaged(index, f"event {event.index} stands there")
                    index += 1
                    yield event
        if self.footer is not None and self.footer.events != index:
            raise TraceError(
                f"{self.path}: the footer counts {self.footer.events} events, the file holds {index}"
            )

    def _open(self, texts: Sequence[str]) -> Any:
        """:param texts: columns of which a text that stands in many rows is one object, so that a small file
        stays small."""
        arrow, parquet_ = parquet()
        try:
            return parquet_.ParquetFile(
                self.path,
                read_dictionary=texts,
                pre_buffer=False,
                thrift_string_size_limit=MAX_METADATA,
                thrift_container_size_limit=MAX_ENTRIES,
            )
        except (OSError, ValueError, arrow.ArrowException) as error:
            raise TraceError(
                f"{self.path}: cannot be read as Parquet: {_line(error)}",
                hint="a table whose writing was cut off has no index",
            ) from None

    def _next(self, batches: Iterator[Any], index: int) -> Any:
        arrow, _ = parquet()
        try:
            batch = next(batches, None)
            if batch is not None:
                batch.validate(full=True)
            return batch
        except (OSError, ValueError, arrow.ArrowException) as error:
            raise self._damaged(index, _line(error)) from None

    def _events(self, batch: Any, index: int) -> list[Event]:
        columns = {
            name: self._values(name, column, index)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
            if column.null_count < len(column) or name in _KEPT
        }
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        try:
            return msgspec.convert(rows, list[Event])
        except msgspec.ValidationError as error:
            raise self._damaged(index, str(error)) from None

    def _values(self, name: str, column: Any, index: int) -> list[Any]:
        arrow, _ = parquet()
        if not arrow.types.is_dictionary(column.type):
            return list(column.to_pylist())
        try:
            texts = column.dictionary.to_pylist()
            if name in _JSON:
                texts = [None if text is None else msgspec.json.decode(text) for text in texts]
        except (ValueError, RecursionError) as error:  # no UTF-8, no JSON
            raise self._damaged(index, f"{name}: {_line(error)}") from None
        return [None if number is None else texts[number] for number in column.indices.to_pylist()]

    def _decoded(self, text: bytes, record: type[_T]) -> _T:
        try:
            return msgspec.json.decode(text, type=record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TraceError(f"{self.path}: damaged {record.__name__.lower()}: {_line(error)}") from None

    def _damaged(self, index: int, what: str) -> TraceError:
        return TraceError(f"{self.path}: damaged behind event {index}: {_shown(what)}")


def _line(error: Exception) -> str:
    return _shown(str(error).split("\n")[0][:300]) or type(error).__name__


def _shown(text: str) -> str:
    """A value of the file may stand in it, whatever characters it is made of."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
