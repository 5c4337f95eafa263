"""Process Monitor's recordings: its process events, each row read once, as events or as launches."""

from harness.trace.sources.procmon.events import ProcmonCsv
from harness.trace.sources.procmon.launches import (
    DEVICE,
    RecordedEvent,
    RecordedLaunch,
    nt_path,
    read_launches,
)
from harness.trace.sources.procmon.pml import ProcmonLog
from harness.trace.sources.procmon.rows import ProcmonRow, claims_csv, csv_rows

__all__ = [
    "DEVICE",
    "ProcmonCsv",
    "ProcmonLog",
    "ProcmonRow",
    "RecordedEvent",
    "RecordedLaunch",
    "claims_csv",
    "csv_rows",
    "nt_path",
    "read_launches",
]
