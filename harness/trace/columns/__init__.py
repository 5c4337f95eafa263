"""The trace as a table: a row an event, a column a field, in Parquet.

A field of an event is a column of the same name, null where the event has none; ``kind`` is the event's kind.
What is more than a number or a text (``call``, ``totals``, ``parameters``) is JSON. Header and footer stand
in the file's metadata, so that a table read back is the same trace.
"""

from harness.trace.columns.read import ColumnTrace
from harness.trace.columns.schema import COLUMNS, SUFFIX, Column
from harness.trace.columns.store import ColumnStore

__all__ = ["COLUMNS", "SUFFIX", "Column", "ColumnStore", "ColumnTrace"]
