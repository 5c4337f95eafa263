"""The columns of the table, by the fields of the events."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args, get_origin

import msgspec

from harness.errors import RigError
from harness.events import KINDS

__all__ = [
    "COLUMNS",
    "FOOTER_KEY",
    "HEADER_KEY",
    "KIND",
    "SUFFIX",
    "Column",
    "ColumnType",
    "columns_of",
    "parquet",
]

SUFFIX: Final = ".parquet"
"""What the name of such a file ends in."""
KIND: Final = "kind"
"""The column of the event's kind."""
HEADER_KEY: Final = b"procnotify.header"
"""In the file's metadata: the trace's header, as the first line of a trace file has it."""
FOOTER_KEY: Final = b"procnotify.footer"
"""The same of its footer, where it has one."""
_UNSIGNED: Final = frozenset({"address", "base", "code", "size", "status"})
"""Fields whose numbers may have 64 bits without a sign; all others have a sign and 63."""

ColumnType: TypeAlias = Literal["string", "int64", "uint64", "float64", "bool", "json"]


class Column(NamedTuple):
    """A field, in whatever kinds of events it occurs."""

    name: str
    type: ColumnType
    """``json``: a text that holds the value in JSON."""
    kinds: frozenset[str]


def _type_of(name: str, annotation: Any) -> ColumnType:
    if get_origin(annotation) is Literal:
        return "string"
    choices = [part for part in get_args(annotation) or (annotation,) if part is not type(None)]
    if choices == [str]:
        return "string"
    if choices == [int]:
        return "uint64" if name in _UNSIGNED else "int64"
    if choices == [float]:
        return "float64"
    return "bool" if choices == [bool] else "json"


def columns_of(kinds: dict[str, type[Any]]) -> tuple[Column, ...]:
    """The columns for events of these kinds.

    :raises TypeError: one field has two types.
    """
    found: dict[str, Column] = {}
    for kind, event in kinds.items():
        for field in msgspec.structs.fields(event):
            type_ = _type_of(field.name, field.type)
            known = found.get(field.name, Column(field.name, type_, frozenset()))
            if known.type != type_:
                raise TypeError(f"the field {field.name} is {known.type} and {type_}")
            found[field.name] = known._replace(kinds=known.kinds | {kind})
    return tuple(found.values())


COLUMNS: Final = columns_of(KINDS)
"""All of them but :data:`KIND`."""


def parquet() -> tuple[ModuleType, ModuleType]:
    """The library, ``pyarrow``, and its part for Parquet files.

    :raises RigError: it is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise RigError(
            "Parquet needs pyarrow, which is not installed", hint="pip install 'procnotify[columns]'"
        ) from None
    return pyarrow, parquet
